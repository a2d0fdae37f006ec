"""Bilevel solvers a person would write: right ones, and others with one mistake each."""

from types import SimpleNamespace

import numpy as np

from pessimism.bilevel.problem import KINDS


class SpentError(Exception):
    """No further call."""


class Right:
    """A single loop with normalised momentum, constant steps, and three warm steps on y.

    `first`, `again` and `told` return what a mistake changes in the first state, in one that is resumed and in the
    result.
    """

    step, momentum, rate, y_rate, level = 0.1, 0.5, 0.2, 0.2, "g"

    def __call__(self, problem, x0, y0, *, budget, rng):
        self.problem, self.budget = problem, budget
        self.rng = self.generator(rng)
        self.ncalls = dict.fromkeys(KINDS, 0)
        self.path, self.kept = [], {}
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
        self.resumed = isinstance(x0, SimpleNamespace)
        if self.resumed:
            self.x, self.y, self.z, self.m, self.t = x0.x, x0.y, x0.z, x0.m, x0.t
        else:
            self.x, self.y, self.t = np.array(x0), np.array(y0), 0
            self.z, self.m = self.first_z(), np.zeros(len(x0))
        vars(self).update(self.again(x0) if self.resumed else self.first(x0, y0))

    def first(self, x0, y0):
        return {}

    def again(self, result):
        return {}

    def told(self, result):
        return {}

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
        fx, self.fy = self.call("grad_f", self.x, self.y)
        below = self.call("grad_g", self.x, self.y)
        residual = self.call("hvp", self.x, self.y, self.z) - self.fy
        u = fx - self.cross()
        self.y, self.z = self.y - self.y_rate * below, self.z - self.rate * residual
        self.move(u)

    def average(self, u):
        return self.momentum * self.m + (1 - self.momentum) * u

    def move(self, u):
        self.m = self.average(u)
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
        found = SimpleNamespace(**state, ncalls=self.ncalls, cost=self.cost(), history=history)
        vars(found).update(self.told(found))
        return found

    def cost(self):
        return float(sum(self.ncalls.values()))


class Unnormalised(Right):
    def direction(self, m):
        return 0.2 * m


class MovesXBeforeTheRest(Right):
    """Its step goes on after x has moved."""

    def one_step(self):
        fx, _ = self.call("grad_f", self.x, self.y)
        self.move(fx - self.cross())
        _, fy = self.call("grad_f", self.x, self.y)
        self.z = self.z - self.rate * (self.call("hvp", self.x, self.y, self.z) - fy)
        self.y = self.y - self.rate * self.call("grad_g", self.x, self.y)


class SharesASample(Right):
    """One of each level for all calls of a step."""

    anew = True

    def handle(self, kind):
        key = kind == "grad_f", self.t * self.anew
        if key not in self.kept:
            self.kept[key] = Right.handle(self, kind)
        return self.kept[key]


class Recursive(Right):
    """Recursive momentum: with `pairs` the new and the old x have one sample, and `first` is the one asked first."""

    pairs, asks_first, old = True, "new", None

    def first(self, x0, y0):
        return {"old": None}

    def one_step(self):
        new, samples = (self.x, self.y, self.z), [self.handle("grad_f"), self.handle("cvp")]
        others = samples if self.pairs else [self.handle("grad_f"), self.handle("cvp")]
        before = self.estimate(self.old, others) if self.old and self.asks_first == "old" else None
        u = self.estimate(new, samples)
        if self.old and before is None:
            before = self.estimate(self.old, others)
        below, residual = self.call("grad_g", *new[:2]), self.call("hvp", *new) - self.fy
        self.y, self.z = self.y - self.rate * below, self.z - self.rate * residual
        self.m = u if before is None else self.recursion(u, before)
        self.old = new
        self.move(u)

    def recursion(self, u, before):
        return u + 0.9 * (self.m - before)

    def estimate(self, at, samples):
        self.guard()
        fx, fy = self.ask("grad_f", *at[:2], samples[0])
        self.guard()
        if at[0] is self.x:
            self.fy = fy
        return fx - self.ask("cvp", *at, samples[1])

    def ask(self, kind, *arguments):
        self.ncalls[kind] += 1
        return getattr(self.problem, kind)(*arguments)

    def average(self, u):
        return self.m


class Returns(Right):
    """Something else in its result."""

    def __init__(self, change):
        self.told = change


# Mistakes that take more than an expression.


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


class DividesByZeroInSilence(Right):
    def direction(self, m):
        with np.errstate(all="ignore"):
            return m / np.linalg.norm(m)


class NeverAsksAboutG(Right):
    def warm(self):
        pass

    def one_step(self):
        self.move(self.call("grad_f", self.x, self.y)[0])


class CannotDoNothing(NeverAsksAboutG):
    """Two mistakes that have nothing to do with each other."""

    def warm(self):
        self.share = 1 / self.budget


class WritesInPlace(Right):
    def first(self, x0, y0):
        y0 *= 0.5
        return {"y": y0}


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

    def __init__(self):
        self.shared = {}

    def first(self, x0, y0):
        return {"m": self.shared.get(len(self.x), self.m)}

    def told(self, result):
        self.shared[len(self.x)] = self.m
        return {}


class EndsAtAnyY(Right):
    runs = 0

    def told(self, result):
        self.runs += 1
        return {"y": self.y + self.runs}


class WritesIntoTheRunBefore(Right):
    def again(self, result):
        kept = result.z.copy()
        result.z.fill(0.0)
        return {"z": kept}


class RestartsItsSchedule(Right):
    def again(self, result):
        return {"t": 0}

    def warm(self):
        if not self.resumed:
            super().warm()

    def eta(self):
        return self.step / (1 + self.t)


class InventsItsPath(Right):
    def told(self, result):
        start = result.history["x"][0]
        path = start, start + self.step * np.eye(len(start))[0], start
        return {"history": {"nit": np.arange(3), "x": np.array(path)}}


class HasNoY(Right):
    def result(self):
        found = super().result()
        del found.y
        return found


class NoHistory(Right):
    def result(self):
        found = super().result()
        del found.history
        return found


def forgets_momentum(self, result):
    return {"m": np.zeros(len(self.x))}


def falling(self):
    return self.step / (1 + self.t) ** 0.5


def decays_y(self):
    Right.one_step(self)
    self.y = self.y - 0.1 * self.y


def rounds_y(self):
    Right.one_step(self)
    self.y = self.y.astype(np.float16).astype(float)


WRONG = {}


def mistake(name, message, claims=None, base=Right, **parts):
    """A solver with a mistake, what it claims, and the message that must come."""
    kind = type(name, (base,), parts) if isinstance(name, str) else name
    WRONG[kind.__name__] = kind, claims or {}, message


BUDGET = '"budget": it calls'
NORMALISED, RESUMABLE, TENTH = {"normalised": True}, {"resumable": True}, {"step": 0.1}
FALLING = {"step": lambda t: 0.1 / (1 + t) ** 0.5}

mistake(LooksAtTheBudgetOnceAStep, BUDGET)
mistake(OneCallTooMany, BUDGET)
mistake(IgnoresTheBudgetAndCatchesEverything, BUDGET)
mistake(ForgetsItsWarmStart, r'"counts": it made \d+ calls of grad_g and reports \d+')
mistake("CountsSteps", r'"counts": it made \d+ calls and reports a cost of', cost=lambda self: float(self.t))
mistake("AddsASmallNumber", '"scale": with f times .* is a constant added', NORMALISED,
        direction=lambda self, m: m / (np.linalg.norm(m) + 1e-10))  # fmt: skip
mistake("BeginsAnywhere", '"scale": with f times .* z not begun at 0', NORMALISED,
        first_z=lambda self: np.random.default_rng(0).normal(size=self.problem.dim_y))  # fmt: skip
mistake("NeverNormalises", '"scale"', NORMALISED, Unnormalised)
mistake("DividesByZero", '"zero": where every direction is 0, it warned of RuntimeWarning: invalid value',
        direction=lambda self, m: m / np.linalg.norm(m))  # fmt: skip
mistake(DividesByZeroInSilence, r'"zero": where every direction is 0, its x is \[nan')
mistake("TakesSigns", r'"length": step \d+ is .* long, and 0.1.* was claimed', NORMALISED | TENTH,
        direction=lambda self, m: np.sign(m))  # fmt: skip
mistake("TakesSignsOfTheRightLength", '"rotation": .* is each coordinate normalised', NORMALISED | TENTH,
        direction=lambda self, m: np.sign(m) / max(np.sqrt(np.count_nonzero(m)), 1.0))  # fmt: skip
mistake("ConfusesSizes", r'"oracles": it called hvp with v of shape \(3,\), which must be \(2,\)',
        first_z=lambda self: np.zeros(self.problem.dim_x))  # fmt: skip
mistake("TakesOneSampleForAll", r'"oracles": it called grad_g on a sample .* got one of level \'f\'', level="f")
mistake("TakesOneSampleForAllAndCatchesEverything", r'"oracles": it called grad_g on a sample',
        base=IgnoresTheBudgetAndCatchesEverything, level="f", guard=Right.guard)  # fmt: skip
mistake("NamesALevel", "\"oracles\": it drew a sample of level 'hessian'", level="hessian")
mistake("PassesItsGenerator", r'"oracles": it called grad_g on a sample .* got Generator',
        handle=lambda self, kind: self.rng)  # fmt: skip
mistake(WritesInPlace, '"mutation": it wrote into y0')
mistake(DrawsItsOwn, '"repeat": .* draw from rng alone')
mistake(DrawsItsOwnNowAndThen, '"repeat": .* draw from rng alone')
mistake(SharesItsMomentum, '"repeat": .* keep nothing between runs')
mistake(EndsAtAnyY, '"repeat": asked again with the same rng, it ends at y = ')
mistake("IgnoresRng", '"seed": it draws samples, and with rng=1 it ends at the same x and y',
        generator=lambda self, seed: np.random.default_rng(0))  # fmt: skip
mistake("ForgetsMomentum", '"resume": .* are momentum', RESUMABLE, again=forgets_momentum)
mistake("ForgetsMomentumAndMovesXFirst", '"resume": .* are momentum', RESUMABLE, MovesXBeforeTheRest,
        again=forgets_momentum)  # fmt: skip
mistake("ForgetsZAndMovesXFirst", '"resume": .* are momentum', RESUMABLE, MovesXBeforeTheRest,
        again=lambda self, result: {"z": self.first_z()})  # fmt: skip
mistake("ForgetsRng", '"resume": .* are momentum', RESUMABLE,
        again=lambda self, result: {"rng": np.random.default_rng(0)})  # fmt: skip
mistake("CountsTheRunBefore", r'"counts": resumed after \d+ calls for \d+ more, it made \d+ calls and reports a cost',
        RESUMABLE, before=0.0, again=lambda self, result: {"before": result.cost},
        cost=lambda self: Right.cost(self) + self.before * self.resumed)  # fmt: skip
mistake(WritesIntoTheRunBefore, '"mutation": resumed .* wrote into z of the earlier result', RESUMABLE)
mistake("WarmsAgain", '"resume": .* warm starts not made again', RESUMABLE, again=lambda self, result: {"t": 0})
mistake(RestartsItsSchedule, '"resume": .* number of the step', {"resumable": True, "waive": ["descends"]})
mistake("ResumesAtTheFirstStep", '"resume": .* number of the step', RESUMABLE, eta=falling,
        again=lambda self, result: {"t": min(self.t, 1)})  # after one step that is right  # fmt: skip
mistake("AddsTheCrossTerm", '"descends": .* is a sign or a transpose wrong', cross=lambda self: -Right.cross(self))
mistake("Ascends", '"descends"', direction=lambda self, m: -Right.direction(self, m))
mistake("FallsTooFast", r'"length": step 1 is 0.05\d* long', FALLING, eta=lambda self: self.step / (1 + self.t))
mistake("BeginsItsScheduleLate", '"length": step 0 .* schedule off by one', FALLING,
        eta=lambda self: self.step / (2 + self.t) ** 0.5)  # fmt: skip
mistake("ALittleTooLong", r'"length": step \d+ is 0.10000000\d* long', TENTH,
        direction=lambda self, m: Right.direction(self, m) * (1 + 1e-9))  # fmt: skip
mistake("StaysAtTheFirstX", '"descends": it calls cvp at the first x to the end',
        first=lambda self, x0, y0: {"x0": np.array(x0)},
        cross=lambda self: self.call("cvp", self.x0, self.y, self.z))  # fmt: skip
mistake(NeverAsksAboutG, '"descends": it never asks about g')
mistake(CannotDoNothing, '"contract": it raised ZeroDivisionError')
mistake(
    "ReplacesZByFy",
    '"descends": .* they are along f_x - C f_y',
    cross=lambda self: self.call("cvp", self.x, self.y, self.fy),
)
mistake("NeverSolvesForZ", '"descends": .* they are along f_x alone', base=Unnormalised, cross=lambda self: 0.0)
mistake(
    "TenPercentMore", '"descends": .* along f_x - 1.1 C z .*, not along', cross=lambda self: 1.1 * Right.cross(self)
)
mistake("DecaysY", '"descends": y comes to rest where it does not minimise g: grad_g is', one_step=decays_y)
mistake("RoundsY", '"descends": every y at which it calls an oracle is rounded to float32', one_step=rounds_y)
mistake("StaysAtTheFirstY", '"descends": it calls cvp at the first y to the end',
        first=lambda self, x0, y0: {"y0": np.array(y0)},
        cross=lambda self: self.call("cvp", self.x, self.y0, self.z))  # fmt: skip
mistake("AddsTheDifference", '"samples": f_x on a sample moves x at once by more than it does in all', base=Recursive,
        recursion=lambda self, u, before: u + 0.9 * (before - self.m))  # fmt: skip
mistake("CountsZTwice", '"descends": .* they are along f_x - 2 C z', cross=lambda self: 2.0 * Right.cross(self))
mistake("KeepsTheFirstY", '"descends": .* do y and z follow when x moves', NORMALISED, y_rate=0.0,
        warm=lambda self: [Right.warm(self) for _ in range(9)])  # fmt: skip
mistake(
    "RoundsToFloat32", '"descends": its x is rounded to float32', told=lambda self, r: {"x": r.x.astype(np.float32)}
)
mistake("AddsUpItsMomentum", '"length": .* a step is 2 times the claimed multiple', {"step": 0.02}, Unnormalised,
        average=lambda self, u: self.momentum * self.m + u)  # fmt: skip
mistake("AccumulatesForEver", '"descends": .* are the steps too long', base=Unnormalised,
        average=lambda self, u: self.m + 0.1 * u)  # fmt: skip
mistake(
    "OneSampleForEver", r'"samples": it calls grad_g on one sample at \d+ different x', base=SharesASample, anew=False
)
mistake("SeedsEachDraw", '"samples": each sample.rng, "f". is the same',
        handle=lambda self, kind: vars(self).update(rng=self.generator(0)) or Right.handle(self, kind))  # fmt: skip
mistake("DrawsAndForgets", '"samples": it draws samples, and calls every oracle without one',
        handle=lambda self, kind: Right.handle(self, kind) and None)  # fmt: skip
mistake(
    "TakesTwoSamples",
    '"samples": in each step it calls grad_f at the x before with a sample',
    base=Recursive,
    pairs=False,
)
mistake("TakesTwoSamplesOldFirst", '"samples": there are samples of f whose f_x moves x the wrong way', base=Recursive,
        pairs=False, asks_first="old")  # fmt: skip
mistake("TooSlow", '"descends": .* are the steps too small for 2000 calls', step=1e-4)  # a fiftieth of the gain
mistake("HidesItsPath", '"length": history."x". must lead from x0 to x', TENTH,
        told=lambda self, r: {"history": {name: column[:1] for name, column in r.history.items()}})  # fmt: skip
mistake(InventsItsPath, '"length": history."x". must lead from x0 to x', TENTH)
mistake("RecordsEverySecond", '"length": .* every step in the history: record each', TENTH,
        told=lambda self, r: {"history": {name: column[::2] for name, column in r.history.items()}})  # fmt: skip
mistake(NoHistory, '"length": a claimed step needs history', TENTH)
mistake("MovesFirst", '"idle": without a single call it moved', first=lambda self, x0, y0: {"x": x0 - self.step})
mistake("MovesYFirst", '"idle": without a single call it moved from y0', first=lambda self, x0, y0: {"y": y0 - 0.2})
mistake("StepsTooLong", '"descends": with 2000 exact calls, (it warned of|its )', rate=5.0)
mistake("Squeezes", r'"contract": its x must hold 1 numbers, got array\(', told=lambda self, r: {"x": np.squeeze(r.x)})
mistake(HasNoY, r'"contract": its result must have .* got SimpleNamespace without \.y')
mistake("IndexesTheSecond", '"contract": it raised IndexError',
        direction=lambda self, m: Right.direction(self, m) + 0.0 * m[1])  # fmt: skip
