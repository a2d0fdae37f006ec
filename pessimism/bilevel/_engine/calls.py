r"""Oracle calls inside a compiled loop: each is paid for before it is made, and the budget may refuse it.

A refusal sticks: the refused call and every later one of the run do nothing. They are not counted, draw no sample and
leave `out` as it was, so a step may go on to its end as if nothing had happened; `steps.keep_or_undo` then undoes it.

A call is ``hvp(oracles, x, y, v, rows, out)``, with the rows of the sample it is evaluated on: ``fresh(oracles, HVP)``
for a sample of its own, rows drawn before where a formula evaluates several calls on one sample, no rows for an exact
call. A row costs one uniform.

Every oracle of a problem has the one type ORACLE, ``oracle(reals, sizes, x, y, v, rows, out)``: `reals` and `sizes`
hold the problem, `rows` the terms to average over (none: all of them, exactly), and `out` is written over. `grad_f`
writes the gradient in x and behind it the one in y; `grad_g` and `hvp` write dim_y numbers, `grad_gx`, `cvp` and
`project` dim_x. Only `hvp`, `cvp` and `project` read v. Nothing is checked: arrays are C-contiguous and writable.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import typeof_impl

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, GRAD_G, GRAD_GX, HVP, KINDS

Oracle = Callable[[Floats, Ints, Floats, Floats, Floats, Ints, Floats], None]

BUDGET, SPENT, REFUSED, DIVERGED, STEEPEST, LIMIT, COSTS, CALLS = 0, 1, 2, 3, 4, 5, 6, 6 + len(KINDS)
"""Places of the meter. Behind COSTS and CALLS stands a number for every kind of call.

STEEPEST is the largest |Hv| / |v| of a product with the Hessian of g, which its largest eigenvalue is at least; beyond
LIMIT the steps on y and z are too long. The power method finds that eigenvalue, and so does an iterate that begins to
diverge: long before it overflows, the products with it say so.
"""

SMALLEST = 1e-290


def new_meter(budget: float, costs: Floats) -> Floats:
    """Nothing spent, nothing refused; `costs` has an entry for each kind of call."""
    meter = np.zeros(CALLS + len(KINDS))
    meter[BUDGET], meter[LIMIT], meter[COSTS:CALLS] = budget, np.inf, costs
    return meter


class Oracles(NamedTuple):
    """The oracles of a problem, what they read, how samples are drawn, and what was spent.

    A handle holds `batch_f` of the `terms_f` terms of f, and `batch_g` of the `terms_g` terms of g; a batch of 0 makes
    every call exact. The meter is laid out as the constants above say.
    """

    grad_f: Oracle
    grad_g: Oracle
    grad_gx: Oracle
    hvp: Oracle
    cvp: Oracle
    project: Oracle
    reals: Floats
    sizes: Ints
    terms_f: int
    batch_f: int
    terms_g: int
    batch_g: int
    meter: Floats
    rng: np.random.Generator


REALS, INTEGERS = types.float64[::1], types.int64[::1]
_TYPES: Any = types  # half of its names are untyped
ORACLE = types.FunctionType(types.void(REALS, INTEGERS, REALS, REALS, REALS, INTEGERS, REALS))
ORACLES = _TYPES.NamedTuple(
    (*[ORACLE] * 6, REALS, INTEGERS, *[types.int64] * 4, REALS, _TYPES.npy_rng), Oracles
)  # fmt: skip


@typeof_impl.register(Oracles)
def _one_type(value: Oracles, context: Any) -> Any:
    """Oracles of all problems have one type, so that a loop is compiled once and read from the cache afterwards."""
    return ORACLES


@compiled(INNER)
def refused(oracles: Oracles) -> bool:
    """Whether the budget has refused a call: inner loops end here."""
    has: bool = oracles.meter[REFUSED] != 0.0
    return has


@compiled(INNER)
def refuse_if_unaffordable(meter: Floats, kind: int) -> bool:
    """Refuse a call that the budget does not hold, and with it every later one; whether calls are refused now."""
    if meter[REFUSED] == 0.0 and meter[SPENT] + meter[COSTS + kind] > meter[BUDGET]:
        meter[REFUSED] = 1.0
    now: bool = meter[REFUSED] != 0.0
    return now


@compiled(INNER)
def call(
    oracle: Oracle,
    meter: Floats,
    kind: int,
    reals: Floats,
    sizes: Ints,
    x: Floats,
    y: Floats,
    v: Floats,
    rows: Ints,
    out: Floats,
) -> None:
    """Count a call and make it, unless it is refused. (To pass the named tuple itself would be slow.)"""
    if not refuse_if_unaffordable(meter, kind):
        meter[SPENT] += meter[COSTS + kind]
        meter[CALLS + kind] += 1.0
        oracle(reals, sizes, x, y, v, rows, out)


@compiled(INNER)
def draw(meter: Floats, kind: int, terms: int, batch: int, rng: np.random.Generator) -> Ints:
    """Rows of a sample, with replacement; nothing is drawn for a call that the budget refuses."""
    if batch == 0 or refuse_if_unaffordable(meter, kind):
        return np.empty(0, np.int64)
    rows = np.empty(batch, np.int64)
    for i in range(batch):
        rows[i] = np.int64(rng.random() * terms)
    return rows


@compiled(INNER)
def fresh(oracles: Oracles, kind: int) -> Ints:
    """Rows of a sample of its own for a call of a kind."""
    if kind == GRAD_F:
        return draw(oracles.meter, kind, oracles.terms_f, oracles.batch_f, oracles.rng)
    return draw(oracles.meter, kind, oracles.terms_g, oracles.batch_g, oracles.rng)


@compiled(INNER)
def samples_of_g(oracles: Oracles, count: int) -> Ints:
    """Rows (count, batch) of samples of g; after a refusal a single one, without rows."""
    if refused(oracles):
        return np.empty((1, 0), np.int64)
    rows = np.empty((count, oracles.batch_g), np.int64)
    for i in range(count):
        for j in range(oracles.batch_g):
            rows[i, j] = np.int64(oracles.rng.random() * oracles.terms_g)
    return rows


@compiled(INNER)
def uniform_below(oracles: Oracles, n: int) -> int:
    """A random whole number from 0 to n - 1; after a refusal 0, and nothing is drawn."""
    return 0 if refused(oracles) else int(oracles.rng.random() * n)


@compiled(INNER)
def grad_f(oracles: Oracles, x: Floats, y: Floats, rows: Ints, out: Floats) -> None:
    """Gradients of f in x and in y, one after the other."""
    call(oracles.grad_f, oracles.meter, GRAD_F, oracles.reals, oracles.sizes, x, y, y, rows, out)


@compiled(INNER)
def grad_g(oracles: Oracles, x: Floats, y: Floats, rows: Ints, out: Floats) -> None:
    """Gradient of g in y."""
    call(oracles.grad_g, oracles.meter, GRAD_G, oracles.reals, oracles.sizes, x, y, y, rows, out)


@compiled(INNER)
def grad_gx(oracles: Oracles, x: Floats, y: Floats, rows: Ints, out: Floats) -> None:
    """Gradient of g in x."""
    call(oracles.grad_gx, oracles.meter, GRAD_GX, oracles.reals, oracles.sizes, x, y, y, rows, out)


@compiled(INNER)
def norm(vector: Floats) -> float:
    """Euclidean length, summed from the first entry on; 0 below 1e-290, so that a step divided by it is finite."""
    total = 0.0
    for i in range(len(vector)):
        total += vector[i] * vector[i]
    if not (total < SMALLEST or total == math.inf):
        return math.sqrt(total)
    largest = 0.0  # the squares are too large or too small for float64, the length need not be
    for i in range(len(vector)):
        largest = max(largest, abs(vector[i]))
    if largest < SMALLEST or largest == math.inf:
        return 0.0 if largest < SMALLEST else largest
    total = 0.0
    for i in range(len(vector)):
        total += (vector[i] / largest) * (vector[i] / largest)
    return largest * math.sqrt(total)


@compiled(INNER)
def hvp(oracles: Oracles, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Product of the Hessian of g in y with v; how steep g is along v is remembered."""
    size = norm(v)
    call(oracles.hvp, oracles.meter, HVP, oracles.reals, oracles.sizes, x, y, v, rows, out)
    if size > 0.0 and not refused(oracles):
        steep = norm(out) / size
        if steep > oracles.meter[STEEPEST]:
            oracles.meter[STEEPEST] = steep


@compiled(INNER)
def cvp(oracles: Oracles, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Gradient in x of the inner product of grad_g with v."""
    call(oracles.cvp, oracles.meter, CVP, oracles.reals, oracles.sizes, x, y, v, rows, out)


@compiled
def stay(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """The projection of a problem without constraints: v itself."""
    for i in range(len(v)):
        out[i] = v[i]
