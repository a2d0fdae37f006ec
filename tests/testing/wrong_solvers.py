"""Bilevel solvers a person would write: a right one, and others with one mistake each."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from pessimism.bilevel.problem import KINDS


class SpentError(Exception):
    """No further call."""


class Right:
    """A single loop with normalised momentum, constant steps, and three warm steps on y."""

    step, momentum, rate, level = 0.1, 0.5, 0.2, "g"

    def __call__(self, problem, x0, y0, *, budget, rng):
        self.problem, self.budget = problem, budget
        self.rng = self.generator(rng)
        self.ncalls = dict.fromkeys(KINDS, 0)
        self.path = []
        self.begin(x0, y0)
        try:
            self.warm()
            while True:
                self.one_step()
        except SpentError:
            pass
        return self.result()

    def generator(self, seed):
        return np.random.default_rng(seed)

    def begin(self, x0, y0):
        if isinstance(x0, SimpleNamespace):
            self.x, self.y, self.z, self.m, self.t = x0.x, x0.y, x0.z, x0.m, x0.t
        else:
            self.x, self.y, self.t = np.array(x0), np.array(y0), 0
            self.z, self.m = self.first_z(), np.zeros(len(x0))

    def first_z(self):
        return np.zeros(self.problem.dim_y)

    def warm(self):
        if self.t == 0:
            for _ in range(3):
                self.y = self.y - self.rate * self.call("grad_g", self.x, self.y)

    def call(self, kind, *where):
        self.guard()
        self.ncalls[kind] += 1
        return getattr(self.problem, kind)(*where, self.handle(kind))

    def guard(self):
        if sum(self.ncalls.values()) + 1 > self.budget:
            raise SpentError

    def handle(self, kind):
        if not hasattr(self.problem, "sample"):
            return None
        return self.problem.sample(self.rng, "f" if kind == "grad_f" else self.level)

    def one_step(self):
        fx, fy = self.call("grad_f", self.x, self.y)
        below = self.call("grad_g", self.x, self.y)
        residual = self.call("hvp", self.x, self.y, self.z) - fy
        u = fx - self.cross()
        self.y, self.z = self.y - self.rate * below, self.z - self.rate * residual
        self.m = self.momentum * self.m + (1 - self.momentum) * u
        self.move()

    def move(self):
        self.path.append((self.t, self.x))
        self.x = self.x - self.eta() * self.direction(self.m)
        self.t += 1

    def cross(self):
        return self.call("cvp", self.x, self.y, self.z)

    def eta(self):
        return self.step

    def direction(self, m):
        size = np.linalg.norm(m)
        return m / size if size > 0 else np.zeros(len(m))

    def result(self):
        numbers, path = zip(*[*self.path, (self.t, self.x)], strict=True)
        history = {"nit": np.array(numbers), "x": np.array(path)}
        state = {"x": self.x, "y": self.y, "z": self.z, "m": self.m, "t": self.t}
        return SimpleNamespace(**state, ncalls=self.ncalls, cost=self.cost(), history=history)

    def cost(self):
        return float(sum(self.ncalls.values()))


class Unnormalised(Right):
    def direction(self, m):
        return 0.2 * m


class MovesXBeforeTheRest(Right):
    """Its step goes on after x has moved."""

    def one_step(self):
        fx, _ = self.call("grad_f", self.x, self.y)
        self.m = self.momentum * self.m + (1 - self.momentum) * (fx - self.cross())
        self.move()
        _, fy = self.call("grad_f", self.x, self.y)
        self.z = self.z - self.rate * (self.call("hvp", self.x, self.y, self.z) - fy)
        self.y = self.y - self.rate * self.call("grad_g", self.x, self.y)


class LooksAtTheBudgetOnceAStep(Right):
    def guard(self):
        pass

    def one_step(self):
        super().guard()
        super().one_step()


class OneCallTooMany(Right):
    def guard(self):
        if sum(self.ncalls.values()) > self.budget:
            raise SpentError


class IgnoresTheBudgetAndCatchesEverything(Right):
    def __call__(self, *args, **keywords):
        try:
            return super().__call__(*args, **keywords)
        except:  # noqa: E722
            return self.result()

    def guard(self):
        pass


class ForgetsItsWarmStart(Right):
    def warm(self):
        super().warm()
        if self.t == 0:
            self.ncalls["grad_g"] = 0
            self.budget -= 3

    def result(self):
        self.budget += 3
        return super().result()


class CountsSteps(Right):
    def cost(self):
        return float(self.t)


class AddsASmallNumber(Right):
    def direction(self, m):
        return m / (np.linalg.norm(m) + 1e-10)


class BeginsAnywhere(Right):
    def first_z(self):
        return np.random.default_rng(0).normal(size=self.problem.dim_y)


class NeverNormalises(Right):
    def direction(self, m):
        return 0.2 * m


class DividesByZero(Right):
    def direction(self, m):
        return m / np.linalg.norm(m)


class DividesByZeroInSilence(Right):
    def direction(self, m):
        with np.errstate(all="ignore"):
            return m / np.linalg.norm(m)


class TakesSigns(Right):
    def direction(self, m):
        return np.sign(m)


class TakesSignsOfTheRightLength(Right):
    def direction(self, m):
        return np.sign(m) / max(np.sqrt(np.count_nonzero(m)), 1.0)


class ConfusesSizes(Right):
    def first_z(self):
        return np.zeros(self.problem.dim_x)


class TakesOneSampleForAll(Right):
    level = "f"


class NamesALevel(Right):
    level = "hessian"


class TakesOneSampleForAllAndCatchesEverything(IgnoresTheBudgetAndCatchesEverything):
    level, guard = "f", Right.guard


class PassesItsGenerator(Right):
    def handle(self, kind):
        return self.rng


class WritesInPlace(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        if not isinstance(x0, SimpleNamespace):
            self.y = y0
            self.y *= 0.5


class DrawsItsOwn(Right):
    """By chance, a first and a second run may agree: what it draws is fixed here, so that tests repeat."""

    runs = 0

    def generator(self, seed):
        self.runs += 1
        return np.random.default_rng(self.runs)

    def first_z(self):
        return self.rng.normal(size=self.problem.dim_y)


class DrawsItsOwnNowAndThen(DrawsItsOwn):
    """The runs that are compared first agree; the fifteenth is the probe in turned coordinates."""

    def generator(self, seed):
        self.runs += 1
        return np.random.default_rng(self.runs % 15 == 0)


class SharesItsMomentum(Right):
    """In one dimension normalised steps hide it."""

    shared: ClassVar = {}

    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.m = self.shared.get(len(self.x), self.m)

    def result(self):
        self.shared[len(self.x)] = self.m
        return super().result()


class EndsAtAnyY(Right):
    runs = 0

    def result(self):
        self.runs += 1
        self.y = self.y + self.runs
        return super().result()


class IgnoresRng(Right):
    def generator(self, seed):
        return np.random.default_rng(0)


class ForgetsMomentum(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.m = np.zeros(len(self.x))


class ForgetsMomentumAndMovesXFirst(ForgetsMomentum, MovesXBeforeTheRest):
    pass


class ForgetsZAndMovesXFirst(MovesXBeforeTheRest):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.z = self.first_z()


class ForgetsRng(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        if isinstance(x0, SimpleNamespace):
            self.rng = np.random.default_rng(0)


class CountsTheRunBefore(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.before = getattr(x0, "cost", 0.0)

    def cost(self):
        return super().cost() + self.before


class WritesIntoTheRunBefore(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        if isinstance(x0, SimpleNamespace):
            self.z = x0.z.copy()
            x0.z.fill(0.0)


class WarmsAgain(Right):
    def warm(self):
        for _ in range(3):
            self.y = self.y - self.rate * self.call("grad_g", self.x, self.y)


class RestartsItsSchedule(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.resumed, self.t = self.t > 0, 0

    def warm(self):
        if not self.resumed:
            super().warm()

    def eta(self):
        return self.step / (1 + self.t)


class ResumesAtTheFirstStep(Right):
    """After one step that is right."""

    def begin(self, x0, y0):
        super().begin(x0, y0)
        self.t = min(self.t, 1)

    def eta(self):
        return self.step / (1 + self.t) ** 0.5


class AddsTheCrossTerm(Right):
    def cross(self):
        return -super().cross()


class Ascends(Right):
    def direction(self, m):
        return -super().direction(m)


class FallsTooFast(Right):
    def eta(self):
        return self.step / (1 + self.t)


class BeginsItsScheduleLate(Right):
    def eta(self):
        return self.step / (2 + self.t) ** 0.5


class ALittleTooLong(Right):
    def direction(self, m):
        return super().direction(m) * (1 + 1e-9)


class TooSlow(Right):
    """A fiftieth of what there is to gain."""

    step = 1e-4


class HidesItsPath(Right):
    def result(self):
        found = super().result()
        found.history = {name: column[:1] for name, column in found.history.items()}
        return found


class InventsItsPath(Right):
    def result(self):
        found = super().result()
        start = found.history["x"][0]
        path = start, start + self.step * np.eye(len(start))[0], start
        found.history = {"nit": np.arange(3), "x": np.array(path)}
        return found


class RecordsEverySecond(Right):
    def result(self):
        found = super().result()
        found.history = {name: column[::2] for name, column in found.history.items()}
        return found


class NoHistory(Right):
    def result(self):
        found = super().result()
        del found.history
        return found


class MovesFirst(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        if not isinstance(x0, SimpleNamespace):
            self.x = self.x - self.step


class MovesYFirst(Right):
    def begin(self, x0, y0):
        super().begin(x0, y0)
        if not isinstance(x0, SimpleNamespace):
            self.y = self.y - self.rate


class StepsTooLong(Right):
    rate = 5.0


class Squeezes(Right):
    def result(self):
        found = super().result()
        found.x = np.squeeze(found.x)
        return found


class Returns(Right):
    """Something else in its result."""

    def __init__(self, change):
        self.change = change

    def result(self):
        found = super().result()
        vars(found).update(self.change(found))
        return found


class HasNoY(Right):
    def result(self):
        found = super().result()
        del found.y
        return found


class IndexesTheSecond(Right):
    def direction(self, m):
        return super().direction(m) + 0.0 * m[1]


BUDGET = '"budget": it calls'
WRONG = {  # claims and the message that must come
    LooksAtTheBudgetOnceAStep: ({}, BUDGET),
    OneCallTooMany: ({}, BUDGET),
    IgnoresTheBudgetAndCatchesEverything: ({}, BUDGET),
    ForgetsItsWarmStart: ({}, r'"counts": it made \d+ calls of grad_g and reports \d+'),
    CountsSteps: ({}, r'"counts": it made \d+ calls and reports a cost of'),
    AddsASmallNumber: ({"normalised": True}, '"scale": with f times .* is a constant added'),
    BeginsAnywhere: ({"normalised": True}, '"scale": with f times .* z not begun at 0'),
    NeverNormalises: ({"normalised": True}, '"scale"'),
    DividesByZero: ({}, '"zero": where every direction is 0, it warned of RuntimeWarning: invalid value'),
    DividesByZeroInSilence: ({}, r'"zero": where every direction is 0, its x is \[nan'),
    TakesSigns: ({"normalised": True, "step": 0.1}, r'"length": step \d+ is .* long, and 0.1.* was claimed'),
    TakesSignsOfTheRightLength: ({"normalised": True, "step": 0.1}, '"rotation": .* is each coordinate normalised'),
    ConfusesSizes: ({}, r'"oracles": it called hvp with v of shape \(3,\), which must be \(2,\)'),
    TakesOneSampleForAll: ({}, r'"oracles": it called grad_g on a sample .* got one of level \'f\''),
    TakesOneSampleForAllAndCatchesEverything: ({}, r'"oracles": it called grad_g on a sample'),
    NamesALevel: ({}, "\"oracles\": it drew a sample of level 'hessian'"),
    PassesItsGenerator: ({}, r'"oracles": it called grad_g on a sample .* got Generator'),
    WritesInPlace: ({}, '"mutation": it wrote into y0'),
    DrawsItsOwn: ({}, '"repeat": .* draw from rng alone'),
    DrawsItsOwnNowAndThen: ({}, '"repeat": .* draw from rng alone'),
    SharesItsMomentum: ({}, '"repeat": .* keep nothing between runs'),
    EndsAtAnyY: ({}, '"repeat": asked again with the same rng, it ends at y = '),
    IgnoresRng: ({}, '"seed": it draws samples, and with rng=1 it ends at the same x and y'),
    ForgetsMomentum: ({"resumable": True}, '"resume": .* are momentum'),
    ForgetsMomentumAndMovesXFirst: ({"resumable": True}, '"resume": .* are momentum'),
    ForgetsZAndMovesXFirst: ({"resumable": True}, '"resume": .* are momentum'),
    ForgetsRng: ({"resumable": True}, '"resume": .* are momentum'),
    CountsTheRunBefore: (
        {"resumable": True},
        r'"counts": resumed after \d+ calls for \d+ more, it made \d+ calls and reports a cost',
    ),
    WritesIntoTheRunBefore: ({"resumable": True}, '"mutation": resumed .* wrote into z of the earlier result'),
    WarmsAgain: ({"resumable": True}, '"resume": .* warm starts not made again'),
    RestartsItsSchedule: ({"resumable": True, "waive": ["descends"]}, '"resume": .* number of the step'),
    ResumesAtTheFirstStep: ({"resumable": True}, '"resume": .* number of the step'),
    AddsTheCrossTerm: ({}, '"descends": .* is a sign or a transpose wrong'),
    Ascends: ({}, '"descends"'),
    FallsTooFast: ({"step": lambda t: 0.1 / (1 + t) ** 0.5}, r'"length": step 1 is 0.05\d* long'),
    BeginsItsScheduleLate: ({"step": lambda t: 0.1 / (1 + t) ** 0.5}, '"length": step 0 .* schedule off by one'),
    ALittleTooLong: ({"step": 0.1}, r'"length": step \d+ is 0.10000000\d* long'),
    TooSlow: ({}, '"descends": .* or are the steps too small for 2000 calls'),
    HidesItsPath: ({"step": 0.1}, '"length": history."x". must lead from x0 to x'),
    InventsItsPath: ({"step": 0.1}, '"length": history."x". must lead from x0 to x'),
    RecordsEverySecond: ({"step": 0.1}, '"length": .* every step in the history: record each'),
    NoHistory: ({"step": 0.1}, '"length": a claimed step needs history'),
    MovesFirst: ({}, '"idle": without a single call it moved'),
    MovesYFirst: ({}, '"idle": without a single call it moved from y0'),
    StepsTooLong: ({}, '"descends": with 2000 exact calls, (it warned of|its )'),
    Squeezes: ({}, r'"contract": its x must hold 1 numbers, got array\('),
    HasNoY: ({}, r'"contract": its result must have .* got SimpleNamespace without \.y'),
    IndexesTheSecond: ({}, '"contract": it raised IndexError'),
}
