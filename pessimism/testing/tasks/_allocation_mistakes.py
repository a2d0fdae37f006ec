"""What a wrong allocation does instead, read off a relevance on which all known mistakes give different allocations."""

import numpy as np

from pessimism._types import Ints
from pessimism.testing.tasks._allocation import AllocationSubject, Problem, shares

PROBE = np.array([0.5, -0.3, 0.15, 0.05, 0.01])
PROBE_BUDGET, PROBE_FLOOR = 1_000_003, 50_000


def likely_cause(subject: AllocationSubject) -> str | None:
    """The known mistake that explains the allocations of the probe, if one does."""
    free, bound = (Problem(PROBE, np.array(PROBE_BUDGET), floor, None) for floor in (0, PROBE_FLOOR))
    if subject.caps:
        free, bound = (part._replace(caps=np.full(len(PROBE), PROBE_BUDGET)) for part in (free, bound))
    rows, floored = subject.ask(free), subject.ask(bound)
    if np.array_equal(rows, subject.ask(free._replace(relevance=PROBE[::-1]))) and np.ptp(rows) > 2:
        return "it gives another relevance of the same shape the same rows, as a cache does"
    claimed = float(subject.power or 0.0)
    exact = shares(free, claimed)
    if exact is None or np.abs(rows - exact).max() > 2:
        return _measured(rows, claimed)
    exact = shares(bound, claimed)
    if exact is not None and np.abs(floored - exact).max() > 2:
        rest = shares(free._replace(budget=free.budget - len(PROBE) * PROBE_FLOOR), claimed)
        if rest is not None and np.abs(floored - PROBE_FLOOR - rest).max() < len(PROBE):
            return "it buys the floor and then a share of the rest, the sum and not the maximum of both"
        return "it divides correctly without floors and not with them: c must be found again once the floors are set"
    return None


def _measured(rows: Ints, claimed: float) -> str:
    """The power in use, if it is one."""
    size, used = np.abs(PROBE), rows > 0
    shares = size**claimed / (size[used] ** claimed).sum()
    if 1 < used.sum() < len(rows) and np.abs(rows - PROBE_BUDGET * shares)[used].max() <= 2:
        return "the least relevant tasks are dropped, and the others share what they should get"
    design = np.stack([size**claimed, np.ones(len(size))], axis=1)
    slope, level = np.linalg.lstsq(design, rows)[0]
    if slope > 10 and level > 10 and np.abs(design @ [slope, level] - rows).max() <= 2:
        return f"it adds the same {level:.3g} rows to all, as a constant or a part that is divided evenly does"
    if used.all():
        powers = np.diff(np.log(rows)) / np.diff(np.log(size))
        if np.ptp(powers) < 0.01:
            power = powers.round(2)[0] + 0.0
            if abs(power - claimed) < 0.01:
                return (
                    f"it buys in proportion to |nu|^{claimed:g}, but not to the row: is something rounded early, or "
                    "computed in float32?"
                )
            return f"it buys in proportion to |nu|^{power:g}, not |nu|^{claimed:g}"
        heights = np.diff(np.log(rows)) / np.diff(size)
        if np.ptp(heights) < 0.01 * np.abs(heights).max():
            return f"it is a softmax: it buys in proportion to exp({heights[0]:.3g} |nu|), not |nu|^{claimed:g}"
    elif np.count_nonzero(rows) == 1:
        return "all rows go to one task, though several are relevant"
    return f"it does not buy in proportion to |nu|^{claimed:g} where no floor binds, nor to another power of it"
