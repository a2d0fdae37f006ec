"""One file per figure: GRID (profile -> cells), run_cell(cell, rng) -> rows, plot(rows) -> figure."""

import signal
import warnings


def expect_imitation() -> None:
    """Figures show where a rule imitates; a filter of warnings is one for all threads of a process."""
    from pessimism.mdp import ImitationWarning

    warnings.filterwarnings("ignore", category=ImitationWarning)


def begin_worker() -> None:
    """For worker processes, which import this by name: Ctrl-C is the business of the one that gave them work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    expect_imitation()
