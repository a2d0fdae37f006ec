"""Points and directions at which the oracles of a problem are tried, the error that names one, and what was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel._differences import Field
from pessimism.bilevel._users_oracles import PlainOracles, has, returned
from pessimism.bilevel.problem import OracleError

POINTS = 3
DIRECTIONS = 2


class ProblemError(AssertionError):
    """An oracle is not what the others say it should be.

    Examples
    --------
    >>> raise ProblemError("cvp has the wrong sign")
    Traceback (most recent call last):
    ...
    pessimism.bilevel.check.ProblemError: cvp has the wrong sign
    """

    __module__ = "pessimism.bilevel.check"  # where users find it, and what tracebacks print


class Probe:
    """The problem, three points around the user's and one that mixes two of them, and random directions."""

    def __init__(self, problem: Any, start: tuple[Floats, Floats], rng: np.random.Generator) -> None:
        self.problem, self.rng, self.oracles = problem, rng, PlainOracles(problem)
        self.points = [(self._inside(self._near(start[0])), self._near(start[1])) for _ in range(POINTS)]
        self.points.append((self.points[0][0], self.points[1][1]))  # what is remembered of x must not be of y

    def _near(self, centre: Floats) -> Floats:
        # away from the user's own: at a stationary point there is nothing to compare a gradient with
        return centre + 0.1 * np.maximum(1.0, np.abs(centre)) * self.rng.normal(size=len(centre))

    def _inside(self, x: Floats) -> Floats:
        allowed = self.project(x)
        return x if np.array_equal(x, allowed) else self.project(2.0 * allowed - x)  # mirrored: off the edge

    def project(self, x: Floats) -> Floats:
        if not self.has("project_x"):
            return x
        with naming("project_x", x):
            return returned("project_x", self.problem.project_x(x.copy()), len(x))

    def allows(self, x: Floats) -> bool:
        return np.array_equal(x, self.project(x))

    def has(self, name: str) -> bool:
        return has(self.problem, name)

    def direction(self, like: Floats) -> Floats:
        v = self.rng.normal(size=len(like))
        return np.asarray(v / np.linalg.norm(v))

    def cases(self) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
        """Points (x, y) with directions (u, v)."""
        for x, y in self.points:
            for _ in range(DIRECTIONS):
                yield x, y, self.direction(x), self.direction(y)

    def evaluate(self, name: str, x: Floats, y: Floats, v: Floats | None = None, rows: tuple[int, ...] = ()) -> Floats:
        with naming(name, x, y):
            return self.oracles.evaluate(name, x, y, v, rows)

    def of_x(self, name: str, y: Floats, rows: tuple[int, ...] = ()) -> Field:
        """An oracle as a function of x alone."""
        oracle = self.value if name in ("f", "g") else self.evaluate
        return lambda t: oracle(name, t, y, rows=rows)

    def of_y(self, name: str, x: Floats, rows: tuple[int, ...] = ()) -> Field:
        """An oracle as a function of y alone."""
        oracle = self.value if name in ("f", "g") else self.evaluate
        return lambda t: oracle(name, x, t, rows=rows)

    def value(self, name: str, x: Floats, y: Floats, rows: tuple[int, ...] = ()) -> Floats:
        """The number f or g, as a vector of one entry."""
        handle = (self.oracles.handle(rows, name),) if rows else ()
        with naming(name, x, y):
            number = np.asarray(getattr(self.problem, name)(x.copy(), y.copy(), *handle))
            if number.size != 1 or number.dtype.kind not in "biuf" or not np.isfinite(number).all():
                raise OracleError(f"{name} must return one finite number, got {number!r}")
        return number.reshape(1).astype(np.float64)


class Tests:
    """What the tests found; those that need an oracle the problem lacks, or one found wrong, are left out."""

    def __init__(self, probe: Probe) -> None:
        self.probe, self.wrong = probe, set[str]()
        self.faults: list[ProblemError] = []
        names = (
            "grad_f_x",
            "grad_f_y",
            "grad_g",
            "grad_gx",
            "hvp",
            "cvp",
            "symmetry",
            "solve_y",
            "gradient",
            "samples",
        )
        self.errors: dict[str, Any] = dict.fromkeys((*names, "curvature"))

    def run(self, blamed: str, test: Callable[[Probe], Any], needs: tuple[str, ...], into: str = "") -> None:
        if self.wrong & {*needs, *(("g",) if "grad_g" in needs else ())} or not all(map(self.probe.has, needs)):
            return
        try:
            found = test(self.probe)
        except ProblemError as fault:
            self.faults.append(fault)
            # without g, what differs from grad_g may be right
            self.wrong |= {blamed} if self.probe.has("g") or blamed not in ("hvp", "cvp") else {blamed, "grad_g"}
        else:
            self.errors |= found if isinstance(found, dict) else {into: found} if into else {}

    def report(self) -> dict[str, Any]:
        """The errors measured; or all that is wrong, in one error."""
        if self.faults:
            first, *others = self.faults
            raise ProblemError("\n".join([str(first), *(f"And {fault}" for fault in others)])) from first.__cause__
        return self.errors


@contextmanager
def naming(name: str, *point: Floats) -> Iterator[None]:
    try:
        yield
    except OracleError as error:
        raise ProblemError(f"{error}{where(*point)}") from error
    except Exception as error:
        raise ProblemError(f"{name} raised {type(error).__name__}: {error}{where(*point)}") from error


def where(*point: Floats) -> str:
    short = [np.array2string(vector, precision=4, threshold=6, edgeitems=2) for vector in point]
    names = ", ".join(f"{name} = {vector}" for name, vector in zip(("x", "y"), short, strict=False))
    return f" (at {names}, moved from the point given)" if point else ""
