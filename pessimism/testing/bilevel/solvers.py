r"""Checking a bilevel solver: known awkward problems, then many drawn ones.

Budgets and counts are watched from outside; the invariances of `pessimism.testing.bilevel._promises` need no knowledge
of the formula, which is why they find mistakes in all of them.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from pessimism import _check
from pessimism.bilevel.problems import Cosh, Quadratic
from pessimism.testing._driver import PromiseError, Trial, checked_arguments
from pessimism.testing.bilevel._promises import PROMISES
from pessimism.testing.bilevel._recipes import recipe
from pessimism.testing.bilevel._solver import Case, Solver, SolverError, SolverSubject, cases, probe_case

__all__ = ["SolverError", "check_solver"]

REPEATS = 8
"""Further runs on a case that breaks a promise, before it is believed that the solver draws from rng alone."""


def check_solver(
    method: Solver,
    *,
    normalised: bool = False,
    step: float | Callable[[int], float] | None = None,
    resumable: bool = False,
    waive: Collection[str] = (),
    examples: int = 30,
) -> None:
    r"""Raise a SolverError that shows the smallest run found in which a solver breaks a promise.

    Parameters
    ----------
    method : callable
        ``method(problem, x0, y0, *, budget, rng) -> result`` with ``result.x``, ``.y``, ``.ncalls`` (of each kind that
        was called) and ``.cost``. It sees the four oracles, `grad_gx` and `sample`; rng is what
        `numpy.random.default_rng` takes, x0 and y0 are arrays.
    normalised : bool
        The directions claim to be normalised: a multiple of f changes no x.
    step : float or callable, optional
        The claimed length of every step on x, or of a plain method its multiple of the gradient; or a function of the
        step's number, from 0. The result then needs ``history["x"]``, x0 and x after every step, and
        ``history["nit"]``, their numbers. Default: no claim, and a plain step may be any: nothing but a claim tells
        a momentum that adds up from one that averages.
    resumable : bool
        ``method(problem, result, None, ...)`` claims to go on where the result ended, given the same Generator. That
        asks for no draw before the first call of a step, which the budget may refuse; x moves once a step.
    waive : collection of str
        Promises that the solver does not make: "repeat", "samples", "seed", "zero", "rotation" or "descends".
    examples : int
        Runs to draw, besides a few fixed ones: sizes of one, sizes that differ either way, a budget of 0.

    Raises
    ------
    SolverError
        An AssertionError, so that a plain call is a test. It shows the first of the broken promises and lists the
        others.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: finite x and y of their sizes; no exception, no RuntimeWarning. The lower level of the drawn problems
      has curvature 1 to 4 (about that for ridge problems), so steps of up to a quarter are stable
    - oracles: called with x, y and v of their sizes, and on samples of their own level
    - budget: no call beyond it, whatever it is, and whatever the solver catches
    - mutation: x0 and y0, or the arrays of the result that is continued, are left as they were
    - "repeat": the same rng, the same run
    - "samples": on one noisy problem samples differ, a handle serves at no more than two x, and a step that goes back
      to the x before does so on a sample that the new x has seen; no sample of f moves x the wrong way, or at once by
      more than half again what it does in all
    - "seed": on that problem another rng gives another run, if samples are drawn
    - counts: ncalls and cost are the calls that were made
    - idle: neither x nor y moves without a call
    - "zero": where f = 0, :math:`g = \|y\|^2/2` and y0 = 0, x stays exactly where it is: there is no 0/0
    - length: :math:`|\,\|x_{t+1} - x_t\| - \eta_t| \le 8\varepsilon(\|x_t\| + \eta_t)` for the claimed
      :math:`\eta_t`, except where x does not move; of a plain method, :math:`\eta_t` is its multiple of the gradient,
      up to a factor of 1.5
    - scale: with f times 2^-30 or 2^20 a normalised method ends at the same x
    - "rotation": in coordinates Qx, Q orthogonal, it ends at Q times its x
    - resume: a run cut after a step and resumed from its result ends where one run does, and counts its own calls, or
      those of both runs
    - "descends": on one easy problem with exact calls, the moves of a run in which x hardly moves have a cosine of 0.2
      or more with :math:`-\nabla F`, at four points around the minimiser, and are along :math:`f_x - c\,C z` for no
      one :math:`c \ne 1`; a y at rest minimises g; what is passed on has more than 7 digits; and with 2000 calls F
      falls by a twentieth of what it can, and by nine tenths of what it can within the distance that x has gone

    Scale, rotation and resume allow a relative 1e-6, as rounding is all that differs. All promises are derived by us,
    and the last is loose enough for series of two terms. So it does not see: a biased direction that no factor
    explains, as a short series is one, and factors within 2 % of 1; the weights of a momentum whose length is not
    claimed, or normalised away, and the old x with the new y in recursive momentum, as all are the same where x hardly
    moves; rounding of what is neither returned nor passed to an oracle; samples shared within a step, which several
    methods do; rates, which are theorems about many steps. Cost: that of
    some ten runs of up to 60 calls an example, and of ten runs of 1000 or 2000.

    Examples
    --------
    >>> from pessimism.bilevel import minimize_bilevel
    >>> def slip(problem, x0, y0, *, budget, rng):
    ...     rates = {"step": 0.1, "lower_step": 0.2, "z_step": 0.2, "warm_step": 0.2, "warm_steps": 2}
    ...     return minimize_bilevel(problem, x0, y0, method="slip", budget=budget, rng=rng, record=1, **rates)
    >>> check_solver(slip, normalised=True, step=lambda t: 0.1 / (1 + t) ** 0.5, resumable=True, examples=3)

    >>> try:
    ...     check_solver(slip, step=0.1, examples=3)
    ... except SolverError as error:
    ...     print(str(error).partition(":")[0])
    slip breaks "length"
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments("method", method, "problem, x0 and y0", waive, SolverSubject.waivable, examples)
    lengths = None if step is None else _lengths(step)
    subject = SolverSubject(
        method, waived, _check.flag("normalised", normalised), lengths, _check.flag("resumable", resumable)
    )
    trial = _SolverTrial(subject, PROMISES, cases(), number)
    broken = trial.broken(_fixed())
    if broken:
        raise _told(*broken.values())


def _told(first: PromiseError, *others: PromiseError) -> PromiseError:
    """A broken promise in full, and the first line about each of the others."""
    lines = {line.partition(":")[0]: line for line in (str(error).partition("\n")[0] for error in (first, *others))}
    more = [line.replace(" breaks ", " also breaks ", 1) for line in list(lines.values())[1:]]
    told = type(first)("\n  ".join([str(first), *more]))
    told.__cause__ = first.__cause__
    return told


class _SolverTrial(Trial[Case]):
    def broken(self, fixed: Mapping[str, Case]) -> dict[str, PromiseError]:
        """What is broken, in the order of the promises; if the first is on a drawn case, on the smallest one found."""
        for _ in range(REPEATS):  # what is kept between runs breaks other promises too, and in one dimension it hides
            found = self.judge(probe_case(), ["repeat"])
            if "repeat" in found:
                return found
        found = {}
        for what, case in fixed.items():
            for name, error in self.judge(case, [name for name in self.names if name not in found]).items():
                shown = type(error)(f"{error}\n  This is a fixed example: {what}.")
                shown.__cause__ = error.__cause__
                found.setdefault(name, shown)
            if "repeat" in found:
                break
        drawn = {} if {"repeat", "contract"} & found.keys() else self.collect({})
        every = {name: found.get(name) or drawn[name] for name in ("contract", *self.names) if name in found | drawn}
        if "repeat" in every:
            every = {"repeat": every["repeat"]}
        first = next(iter(every), None)
        if first is not None and first not in found:
            every[first] = self.smallest(first, drawn[first])
        return every

    def judge(self, case: Case, names: Collection[str]) -> dict[str, PromiseError]:
        """Two runs may have agreed by chance: before another promise is called broken, more of them are compared."""
        found = super().judge(case, names)
        settled = {"contract", "repeat"} & found.keys() or "repeat" in self.subject.waived
        if found and "repeat" in names and not settled:
            for _ in range(REPEATS):
                again = super().judge(case, ["repeat"])
                if again:
                    return again | found
        return found


def _lengths(step: float | Callable[[int], float]) -> Callable[[int], float]:
    """The length of every step, by its number."""
    if callable(step):
        return lambda t: _check.scalar("what step returns", step(t))
    length = _check.positive("step", step)
    return lambda t: length


def _fixed() -> dict[str, Case]:
    """Runs that are seldom drawn."""
    one = recipe(Quadratic, ([[2.0]], [[1.0]], [0.5], [3.0]), {"rho": 0.5})
    hessian = [[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0]]
    tall = recipe(Cosh, (hessian, [[1.0], [-1.0], [0.5]], [0.5, 0.0, 1.0], [1.0, 1.0, 1.0]), {})
    first = Case(one, np.array([1.0]), np.array([0.5]), 41, 0, 1, 2.0**-30)
    return {
        "a budget of 0": first._replace(budget=0),
        "sizes of one": first,
        "more of x than of y": probe_case(),
        "more of y than of x": Case(tall, np.array([1.5]), np.zeros(3), 53, 1, 2, 2.0**20),
    }
