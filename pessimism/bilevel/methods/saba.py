r"""SABA: the steps of SOBA with SAGA directions, for finite sums.

.. math::

    \hat D = D_i - T_i + \frac1n \sum_k T_k, \qquad T_i \leftarrow D_i, \qquad
    y \leftarrow y - \rho \hat D_y, \quad z \leftarrow z - \rho \hat D_z, \quad x \leftarrow x - \gamma \hat D_x,

with a table T for each of :math:`\nabla_x f`, :math:`\nabla_y f`, :math:`\nabla_y g`, :math:`\nabla^2_{yy} g\, z` and
:math:`\nabla^2_{xy} g\, z`, one term of f and one of g in a step, and constant steps :math:`\gamma` (`step`) and
:math:`\rho` (`lower_step`). The first step fills the tables by one counted pass over both sums. Source: Dagreou, Ablin,
Vaiter, Moreau (2022), in the form of benchmark_bilevel: the three quantities of g share a term.

The problem must be a built-in one, for the tables hold a row for every term of both sums; its `batch` is not used. With
exact oracles each sum is one term.

See also `simulations.bilevel_budget`.
"""

from typing import Any, NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.calls import (
    Oracles,
    cvp,
    grad_f,
    grad_g,
    hvp,
    norm,
    refuse_if_unaffordable,
    refused,
    uniform_below,
)
from pessimism.bilevel._engine.kinds import GRAD_F
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend_x, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "step on x, gamma")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y and on z, rho")


class Memory(NamedTuple):
    """What is kept between outer steps: a row for every term of f (both gradients) and of g (slope, H z and C z)."""

    mean_f: Floats
    mean_g: Floats
    table_f: Floats
    table_g: Floats


@compiled(INNER)
def _name(rows: Ints, term: int) -> None:
    """The sample that is one term; exact oracles have no rows."""
    for k in range(len(rows)):
        rows[k] = term


@compiled(INNER)
def _evaluate_g(oracles: Oracles, at: Iterate, rows: Ints, out: Floats) -> None:
    """Slope, Hessian product and mixed product of g on one sample."""
    n = len(at.y)
    grad_g(oracles, at.x, at.y, rows, out[:n])
    hvp(oracles, at.x, at.y, at.z, rows, out[n : 2 * n])
    cvp(oracles, at.x, at.y, at.z, rows, out[2 * n :])


@compiled(INNER)
def _exchange(new: Floats, old: Floats, mean: Floats, count: int, direction: Floats) -> None:
    """Direction new - old + mean; the mean becomes that of the table in which new has replaced old."""
    for k in range(len(new)):
        change = new[k] - old[k]
        direction[k] = change + mean[k]
        mean[k] += change / count


@compiled(INNER)
def _fill(oracles: Oracles, at: Iterate, memory: Memory, upper: Ints, lower: Ints) -> None:
    """One pass over both sums, into the tables and their means."""
    n_f, n_g = max(oracles.terms_f, 1), max(oracles.terms_g, 1)
    for i in range(max(n_f, n_g)):
        if refused(oracles):
            break
        if i < n_f:
            _name(upper, i)
            grad_f(oracles, at.x, at.y, upper, memory.table_f[i])
            for k in range(len(memory.mean_f)):
                memory.mean_f[k] += memory.table_f[i, k] / n_f
        if i < n_g:
            _name(lower, i)
            _evaluate_g(oracles, at, lower, memory.table_g[i])
            for k in range(len(memory.mean_g)):
                memory.mean_g[k] += memory.table_g[i, k] / n_g


@compiled(INNER)
def _clear(table: Floats) -> None:
    """Zeros: what a table holds before the first step."""
    for i in range(table.shape[0]):
        for k in range(table.shape[1]):
            table[i, k] = 0.0


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z, table_f, table_g = at.x, at.y, at.z, memory.table_f, memory.table_g
    n_f, n_g = max(oracles.terms_f, 1), max(oracles.terms_g, 1)
    upper, lower = np.zeros(min(oracles.batch_f, 1), np.int64), np.zeros(min(oracles.batch_g, 1), np.int64)
    new_f, new_g = np.empty(len(x) + len(y)), np.empty(2 * len(y) + len(x))
    both, three, direction = np.empty(len(new_f)), np.empty(len(new_g)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    slope, product, cross = three[: len(y)], three[len(y) : 2 * len(y)], three[2 * len(y) :]
    for t in range(start, start + steps):
        begin(at)
        if t == 0:
            _fill(oracles, at, memory, upper, lower)
        refuse_if_unaffordable(oracles.meter, GRAD_F)  # before a term is drawn for it
        i, j = uniform_below(oracles, n_f), uniform_below(oracles, n_g)
        _name(upper, i)
        _name(lower, j)
        grad_f(oracles, x, y, upper, new_f)
        _evaluate_g(oracles, at, lower, new_g)
        _exchange(new_f, table_f[i], memory.mean_f, n_f, both)
        _exchange(new_g, table_g[j], memory.mean_g, n_g, three)
        for k in range(len(y)):
            y[k] -= options.lower_step * slope[k]
            z[k] -= options.lower_step * (product[k] - fy[k])
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            if t == 0:
                _clear(table_f)
                _clear(table_g)
            return t - start
        copy(new_f, table_f[i])
        copy(new_g, table_g[j])
        descend_x(oracles, at, options.step, direction)
    return steps


def _memory(problem: Any) -> Memory:
    if not hasattr(problem, "compiled_oracles"):
        raise TypeError(f"problem must be a built-in finite sum for saba, got {type(problem).__name__}")
    of_f, of_g = problem.dim_x + problem.dim_y, 2 * problem.dim_y + problem.dim_x
    return Memory(
        np.zeros(of_f), np.zeros(of_g), np.zeros((problem.n_samples_f, of_f)), np.zeros((problem.n_samples, of_g))
    )


METHOD = Method(Options, _run, _memory)
