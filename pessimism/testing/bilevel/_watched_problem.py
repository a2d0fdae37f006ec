r"""A bilevel problem that watches who calls it, and can be shown in another form.

It counts calls, refuses those beyond the budget and those that mean nothing, and knows for which level a handle was
drawn, what it holds and where it was used. Scaled, turned and empty problems are made by changing what goes in and
comes out: with :math:`x' = Q x / s` the gradients in x are s Q times those at :math:`s Q^\top x'`, and with f = 0 and
g = |y|^2/2 every direction is exactly 0.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel.problem import KINDS

NEAR = 20
"""Draws between which equal samples are one sample: farther apart they are so by chance."""

LEVEL = {kind: "f" if kind == "grad_f" else "g" for kind in KINDS}


class Refused(BaseException):
    """A call that must not be made. Not an Exception, so that a solver that catches those does not go on forever."""


class Handle(NamedTuple):
    """A sample, the level for which it was drawn, and its number among all."""

    level: str
    rows: Any
    number: int

    def is_as(self, other: "Handle") -> bool:
        """Whether both are of one sample: what is drawn again at once, from the same state, is the same."""
        return abs(self.number - other.number) < NEAR and str(self.rows) == str(other.rows)


@dataclass(frozen=True, slots=True)
class View:
    """How a problem is changed: x turned by Q and in units of s, f multiplied, everything emptied, without samples.

    With `exact_values` samples are drawn and change nothing, but that the vector of `extra` is added to f_x on its
    sample.
    """

    turn: Floats | None = None
    unit: float = 1.0
    factor: float = 1.0
    empty: bool = False
    exact: bool = False
    exact_values: bool = False
    extra: tuple[Handle, Floats] | None = None


class Watched:
    """The oracles of a problem seen in a view, counted.

    It remembers the first call that it refused (`fault`: the promise, and what is wrong), since a solver may catch
    everything; the samples that were `drawn`, and as `uses` each call on one: its kind, x and the sample's number; x
    at the call `halfway` through the budget; from there on, whether each kind was called at the first x, or y, only
    (`stays`), whether all x, y or v were numbers of 7 digits (`rounded`), and the y of every `grad_g` (`lower`); how
    many calls were made before x was another (`before_x_moved`); and whether some gradient of f in x was exactly 0
    (`flat`).
    """

    def __init__(self, problem: Any, view: View, budget: float) -> None:
        self.dim_x, self.dim_y = problem.dim_x, problem.dim_y
        self._problem, self._view, self._budget = problem, view, budget
        self.made = dict.fromkeys(KINDS, 0)
        self.fault: tuple[str, str] | None = None
        self.drawn: list[Handle] = []
        self.uses: list[tuple[str, bytes, int]] = []
        self.halfway: Floats | None = None
        self.stays: dict[tuple[str, str], bool] = {}
        self.rounded: dict[str, bool] = {}
        self.lower: list[Floats] = []
        self.before_x_moved: int | None = None
        self._first: tuple[Floats, Floats] | None = None
        self.flat = False
        if not view.exact:
            self.sample = self._sample

    def _sample(self, rng: Any, level: str) -> Handle:
        if level not in ("f", "g"):
            self._refuse("oracles", f"it drew a sample of level {level!r}: there are 'f' and 'g'")
        self.drawn.append(Handle(level, self._problem.sample(rng, level), len(self.drawn)))
        return self.drawn[-1]

    def grad_f(self, x: Any, y: Any, s: Any = None) -> tuple[Floats, Floats]:
        gx, gy = self._called("grad_f", s, x, y)
        if self._view.extra is not None and s is not None and s.is_as(self._view.extra[0]):
            gx = gx + self._view.extra[1]
        self.flat |= not np.any(gx)
        return self._view.factor * self._turned(gx), self._view.factor * gy

    def grad_g(self, x: Any, y: Any, s: Any = None) -> Floats:
        found = self._called("grad_g", s, x, y)
        return np.array(y, np.float64) if self._view.empty else np.asarray(found)

    def grad_gx(self, x: Any, y: Any, s: Any = None) -> Floats:
        return self._turned(self._called("grad_gx", s, x, y))

    def hvp(self, x: Any, y: Any, v: Any, s: Any = None) -> Floats:
        found = self._called("hvp", s, x, y, v)
        return np.array(v, np.float64) if self._view.empty else np.asarray(found)

    def cvp(self, x: Any, y: Any, v: Any, s: Any = None) -> Floats:
        return self._turned(self._called("cvp", s, x, y, v))

    def _turned(self, vector: Floats) -> Floats:
        return self._view.unit * (vector if self._view.turn is None else np.asarray(self._view.turn @ vector))

    def _called(self, kind: str, handle: Any, *where: Any) -> Any:
        self._check(kind, handle, where)
        if sum(self.made.values()) + 1 > self._budget:
            wrong = f"it calls {kind} once more when the budget of {self._budget} is spent"
            self._refuse("budget", f"{wrong}: compare before every call, also within a step")
        self.made[kind] += 1
        x = np.array(where[0], np.float64)
        self._note(kind, x, np.array(where[1], np.float64), handle)
        if self.halfway is not None:
            for name, part in zip("xyv", where, strict=False):
                fits = np.any(part) and np.array_equal(part, np.asarray(part).astype(np.float32))
                self.rounded[name] = self.rounded.get(name, True) and bool(fits)
        where = (self._view.unit * (x if self._view.turn is None else self._view.turn.T @ x), *where[1:])
        rows = None if handle is None or self._view.exact_values else handle.rows
        found = getattr(self._problem, kind)(*where, rows)
        if self._view.empty:
            return tuple(0.0 * part for part in found) if kind == "grad_f" else 0.0 * found
        return found

    def _note(self, kind: str, x: Floats, y: Floats, handle: Any) -> None:
        calls = sum(self.made.values())
        if self._first is None:
            self._first = x, y
        elif self.before_x_moved is None and not np.array_equal(x, self._first[0]):
            self.before_x_moved = calls - 1
        if self.halfway is None and calls > self._budget / 2:
            self.halfway = x
        if self.halfway is not None:
            for name, now, first in zip("xy", (x, y), self._first, strict=True):
                self.stays[name, kind] = self.stays.get((name, kind), True) and np.array_equal(now, first)
            if kind == "grad_g":
                self.lower.append(y)
        if handle is not None:
            self.uses.append((kind, x.tobytes(), handle.number))

    def _check(self, kind: str, handle: Any, where: tuple[Any, ...]) -> None:
        sizes = {"x": self.dim_x, "y": self.dim_y, "v": self.dim_y}
        for (name, size), value in zip(sizes.items(), where, strict=False):
            if np.shape(value) != (size,):
                wrong = f"it called {kind} with {name} of shape {np.shape(value)}, which must be ({size},)"
                self._refuse("oracles", wrong)
        if handle is not None and getattr(handle, "level", None) != LEVEL[kind]:
            drawn = f"one of level {handle.level!r}" if isinstance(handle, Handle) else repr(handle)
            wrong = f'it called {kind} on a sample that must come from sample(rng, "{LEVEL[kind]}"), got {drawn}'
            self._refuse("oracles", wrong)

    def _refuse(self, promise: str, wrong: str) -> NoReturn:
        self.fault = self.fault or (promise, wrong)
        raise Refused
