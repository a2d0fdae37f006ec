"""Bilevel: our steps beside JAX's, closed-form hypergradients beside CG, and what counting and a cold process cost."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit, types
from scipy.sparse.linalg import LinearOperator, cg

from pessimism._compiled import plain
from pessimism.bilevel import METHODS, SolverState, hypergradient, minimize_bilevel
from pessimism.bilevel._engine.calls import INTEGERS, ORACLES, REALS, hvp
from pessimism.bilevel._method_run import MethodRun
from pessimism.bilevel._run import Terms
from pessimism.bilevel.problems import LogisticRidge, Quadratic, Ridge

N, P, BATCH, STEPS, RECORD = 32768, 22, 64, 10_000, 1000
STEP, LOWER_STEP = 0.1, 0.5

# W6: SOBA on a penalised logistic regression, and on a small quadratic with exact oracles


class Unrecorded:
    """A problem without a way to its gradient of F, which a run would record at the cost of a solve over all rows."""

    def __init__(self, problem: Any) -> None:
        self._problem = problem

    def __getattr__(self, name: str) -> Any:
        if name in ("gradient", "solve_y", "_problem"):
            raise AttributeError(name)
        return getattr(self._problem, name)


@cache
def logistic(block: int) -> LogisticRidge:
    """A handle of rows drawn one by one, or one term of consecutive rows, as the peer takes them."""
    return LogisticRidge.random(N, N, dim=P, batch=BATCH // block, block=block, rng=1)


@cache
def quadratic() -> Quadratic:
    return Quadratic.random(10, 20, rho=0.1, noise=0.0, curvature_noise=0.0, rng=1)


def ours(problem: Any, *, exact: bool) -> np.ndarray:
    """X after a run that records every `RECORD` steps."""
    return minimize_bilevel(
        Unrecorded(problem), np.zeros(problem.dim_x), method="soba", step=STEP, lower_step=LOWER_STEP,
        budget=4 * STEPS, record=RECORD, exact=exact, rng=1,
    ).x  # fmt: skip


def logistic_levels(dtype: str) -> tuple[Any, Any]:
    """g and f in JAX, on consecutive rows of shuffled data, as research code takes them."""
    import jax
    import jax.numpy as jnp

    def mean_loss(inputs: Any, labels: Any, y: Any, start: Any) -> Any:
        rows = jax.lax.dynamic_slice(inputs, (start, jnp.zeros_like(start)), (BATCH, P))
        return -jax.nn.log_sigmoid(jax.lax.dynamic_slice(labels, (start,), (BATCH,)) * (rows @ y)).mean()

    made = logistic(1)
    names = ("inputs", "labels", "validation_inputs", "validation_labels")
    a, b, av, bv = (jnp.asarray(getattr(made, name), dtype) for name in names)
    return (
        lambda x, y, start: mean_loss(a, b, y, start) + 0.5 * (jnp.exp(x) * y**2).sum(),
        lambda x, y, start: mean_loss(av, bv, y, start) + 0.5 * made.rho * x @ x,
    )


def quadratic_levels(dtype: str) -> tuple[Any, Any]:
    import jax.numpy as jnp

    made = quadratic()
    h, b, c, target = (jnp.asarray(part, dtype) for part in (made.hessian, made.coupling, made.offset, made.target))
    return (
        lambda x, y, start: 0.5 * y @ h @ y - y @ (b @ x + c),
        lambda x, y, start: 0.5 * ((y - target) ** 2).sum() + 0.5 * made.rho * x @ x,
    )


def in_jax(levels: Callable[[str], tuple[Any, Any]], sizes: tuple[int, int], batches: int, dtype: str) -> Any:
    """SOBA as a research suite writes it: one scan, derivatives by JAX, g differentiated once for all three products.

    `batches` is how many there are in an epoch; 0: exact.
    """
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(dtype == "float64"):
        g, f = levels(dtype)
        slope, slopes = jax.grad(g, argnums=1), jax.grad(f, argnums=(0, 1))

        def shuffled(key: Any) -> tuple[Any, Any, Any]:
            key, new = jax.random.split(key)
            return jnp.int32(0), jax.random.permutation(key, jnp.arange(batches, dtype=jnp.int32)), new

        def draw(sampler: Any) -> tuple[Any, Any]:
            if not batches:
                return jnp.int32(0), sampler
            i, order, key = sampler
            following = jax.lax.cond(i + 1 == batches, shuffled, lambda key: (i + 1, order, key), key)
            return order[i] * BATCH, following

        def step(state: Any, t: Any) -> tuple[Any, None]:
            x, y, z, below, above = state
            start, below = draw(below)
            gy, products = jax.vjp(lambda x, y: slope(x, y, start), x, y)
            cz, hz = products(z)
            start, above = draw(above)
            fx, fy = slopes(x, y, start)
            rate = 1.0 / jnp.sqrt(1.0 + t)
            lower, upper = LOWER_STEP * rate, STEP * rate
            return (x - upper * (fx - cz), y - lower * gy, z - lower * (hz - fy), below, above), None

        samplers = [shuffled(key) if batches else () for key in jax.random.split(jax.random.PRNGKey(1))]
        begin = (*(jnp.zeros(size, dtype) for size in (sizes[0], sizes[1], sizes[1])), *samplers)
        run = jax.jit(lambda state, first: jax.lax.scan(step, state, first + jnp.arange(RECORD, dtype=dtype))[0])

    def call() -> np.ndarray:
        with jax.enable_x64(dtype == "float64"):
            state = begin
            for first in range(0, STEPS, RECORD):
                state = run(state, float(first))
                state[0].block_until_ready()
            return np.asarray(state[0])

    return call


CASES = {
    f"logistic selection n = m = {N}, p = {P}, {BATCH} rows one by one": (
        partial(logistic, 1), logistic_levels, N // BATCH
    ),
    f"the same, {BATCH} consecutive rows": (partial(logistic, BATCH), logistic_levels, N // BATCH),
    "quadratic dx = 10, dy = 20, exact oracles": (quadratic, quadratic_levels, 0),
}  # fmt: skip
"""Name: the problem, its levels in JAX, and batches in an epoch, 0 if oracles are exact."""

# Hypergradients in closed form


@cache
def ridge() -> Ridge:
    return Ridge.random(N, N, dim=P, rng=1)


def by_grams() -> np.ndarray:
    return ridge().gradient(np.zeros(P))


def by_products_of_grams() -> np.ndarray:
    """The same from the oracles: CG of our own, whose products read the Gram matrix."""
    return hypergradient(ridge(), np.zeros(P), rtol=1e-10).value


def by_cg() -> np.ndarray:
    """Gradient of F at 0 from products with the rows: two systems, each to a relative residual of 1e-10."""
    made = ridge()
    rows, held = made.inputs, made.validation_inputs
    hessian = LinearOperator((P, P), matvec=lambda v: rows.T @ (rows @ v) / N + v, dtype=float)
    y, _ = cg(hessian, rows.T @ made.outputs / N, rtol=1e-10)
    z, _ = cg(hessian, held.T @ (held @ y - made.validation_outputs) / N, rtol=1e-10)
    return -y * z


# What counting costs: one oracle asked many times


@njit(types.void(ORACLES, REALS, REALS, INTEGERS, REALS, types.int64))
def bare(oracles, x, y, rows, out, times):
    for _ in range(times):
        oracles.hvp(oracles.reals, oracles.sizes, x, y, y, rows, out)


@njit(types.void(ORACLES, REALS, REALS, INTEGERS, REALS, types.int64))
def counted(oracles, x, y, rows, out, times):
    for _ in range(times):
        hvp(oracles, x, y, y, rows, out)


class Own:
    """The same problem as a user's: its oracles are Python."""

    def __init__(self, problem: Any) -> None:
        self.dim_x, self.dim_y = problem.dim_x, problem.dim_y
        self.grad_f, self.grad_g, self.hvp, self.cvp = problem.grad_f, problem.grad_g, problem.hvp, problem.cvp


def asked(times: int, *, python: bool) -> tuple[Callable[[], object], Callable[[], object]]:
    """Calls of `hvp` of a tiny quadratic, counted and bare."""
    made = Quadratic.random(1, 1, rng=1)
    x, y, out = np.zeros(1), np.ones(1), np.empty(1)
    state, rows = SolverState(x, y, np.zeros(1), 0, None), np.empty(0, np.int64)
    terms = Terms(np.inf, np.ones(5), np.random.default_rng(1), exact=True)
    run = MethodRun(METHODS["soba"], Own(made) if python else made, state, terms)
    if python:
        own, call = Own(made), plain(hvp)
        return (
            lambda: [call(run.oracles, x, y, y, rows, out) for _ in range(times)],
            lambda: [own.hvp(x, y, y) for _ in range(times)],
        )
    rest = (run.oracles, x, y, rows, out, times)
    return partial(counted, *rest), partial(bare, *rest)


# A fresh process whose kernels have been compiled before

FIRST_RUN = (
    "import pessimism.bilevel; from pessimism.bilevel.problems import Quadratic; "
    "pessimism.bilevel.minimize_bilevel("
    "Quadratic.random(2, 3, rng=0), [1.0, 1.0], method='soba', step=0.1, budget=99, rng=1)"
)
HIDDEN = "import sys; sys.modules.update(coverage=None, cffi=None); "
"""Numba imports both if they are there; they are only where packages are developed."""


def fresh(code: str) -> Callable[[], object]:
    return partial(subprocess.run, [sys.executable, "-c", code], check=True)
