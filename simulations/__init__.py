"""One file per figure: GRID (profile -> cells), run_cell(cell, rng) -> rows, plot(rows) -> figure."""

import signal


def ignore_interrupts() -> None:
    """For worker processes, which import this by name: Ctrl-C is the business of the one that gave them work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
