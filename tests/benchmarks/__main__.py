"""`make bench`: medians of five, the two sides in turn, so that a drift of the machine's speed cancels in the ratio."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product

from pessimism.bandits import lcb
from tests.benchmarks import bilevel, estimators, mdp, minimax, tasks
from tests.benchmarks.workloads import RULES, SIZES, WORKLOADS, ours, plain_numpy, problem, trajectories

RUNS = 5


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def beside(call: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds of both and the median of the ratios peer / ours, pair by pair, after one warm-up each."""
    call(), peer()
    pairs = [(timed(call), timed(peer)) for _ in range(RUNS)]
    mine, theirs = zip(*pairs, strict=True)
    return statistics.median(mine), statistics.median(theirs), statistics.median(b / a for a, b in pairs)


def agree(name: str) -> float:
    """Largest difference of the mean losses of both sides, in standard errors: same law, other streams."""
    left, right = ours(name), plain_numpy(name)
    worst = 0.0
    for key, (mean, se) in left.items():
        other, other_se = right[key]
        error = (se**2 + other_se**2) ** 0.5
        worst = max(worst, abs(mean - other) / max(error, 1e-12))  # a rule that always plays one arm has error 0
    return worst


def bandits() -> None:
    print(f"{len(SIZES)} sample sizes {SIZES[0]:,} ... {SIZES[-1]:,}, rules {', '.join(RULES)}; medians of {RUNS}")
    for name, (contexts, arms, replicates, blocks) in WORKLOADS.items():
        size = f"{contexts} x {arms}, {replicates:,} replicates in {blocks} blocks"
        mine, theirs, ratio = beside(lambda name=name: ours(name), lambda name=name: plain_numpy(name))
        print(f"{name} ({size}): sweep, 2 threads {mine:.3f} s; NumPy, 1 thread {theirs:.3f} s; ratio {ratio:.2f}")
        print(
            f"   mean losses differ by at most {agree(name):.1f} standard errors over {len(SIZES) * len(RULES)} means"
        )
    bandit, law = problem(1, 10)
    n, many, few = 10**6, 10_000, 10

    def statistics_only() -> None:
        bandit.suboptimality(lcb(bandit.sample(law, n=n, size=many, rng=1))).mean()

    mine, theirs, _ = beside(statistics_only, lambda: trajectories(few, n))
    print(f"a data set of N = {n:,}: {mine / many * 1e6:.2f} us; round by round {theirs / few * 1e6:,.0f} us; "
          f"ratio {theirs / few / (mine / many):,.0f}")  # fmt: skip


def reinforcement() -> None:
    """W3 and W4 of the planning wing, and the memory a plan takes."""
    ours, peer, ratio = beside(mdp.learn, mdp.learn_plainly)
    print(f"W3 (200 data sets of 1e5, VI-LCB): sweep, 2 threads {ours:.3f} s; NumPy and quantecon {peer:.3f} s; "
          f"ratio {ratio:.2f}; mean values {mdp.learn():.4f}, {mdp.learn_plainly():.4f}")  # fmt: skip
    for name in ("torus", "garnet"):
        ours, peer, ratio = beside(lambda n=name: mdp.planned(n), lambda n=name: mdp.planned_by_quantecon(n))
        apart = abs(mdp.planned(name) - mdp.planned_by_quantecon(name)).max()
        print(f"W4 ({name}, 1e5 states): plan {ours:.3f} s; quantecon MPI(20) {peer:.3f} s; ratio {ratio:.2f}; "
              f"values differ by at most {apart:.1e}")  # fmt: skip
    for side in (316, 1000):
        code = (
            "import pathlib, time; from pessimism.mdp import generators, plan\n"
            f"model = generators.garnet({side**2}, 4, 5, discount=0.99, rng=3); plan(model, tolerance=1e3)\n"
            "t = time.perf_counter(); result = plan(model, tolerance=1e-6); t = time.perf_counter() - t\n"
            "lines = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
            "most = next(line.split()[1] for line in lines if line.startswith('VmHWM'))\n"
            "print(f'{t:.1f} s, error bound {result.error_bound:.1e}, {int(most) // 1024} MB at the most')"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        print(f"garnet of {side**2:,} states: {done.stdout.strip()}")


def selection() -> None:
    """Source-task selection: the Lasso, the fit of a representation, a risk sweep."""
    for name, (solve, count) in tasks.PEERS.items():
        try:
            ours, peer, ratio = beside(tasks.ours, lambda s=solve, n=count: tasks.one_by_one(s, n))
        except ImportError as error:
            print(f"{name}: {error}")
            continue
        gaps = tasks.worst_gap(tasks.ours()), tasks.worst_gap(tasks.one_by_one(solve, count))
        print(f"Lasso 20 x 100: {ours / tasks.COUNT * 1e3:.3f} ms of a batch of {tasks.COUNT:,}; {name} "
              f"{peer / count * 1e3:.3f} ms; ratio {ratio * tasks.COUNT / count:.0f}; largest gaps {gaps[0]:.0e}, "
              f"{gaps[1]:.0e}")  # fmt: skip
    for method, optimize in product(("alternate", "descend"), (False, True)):
        plainly = partial(tasks.fitted_plainly, optimize=optimize)
        ours, peer, ratio = beside(lambda m=method: tasks.fitted(m), plainly)
        (steps, loss), (plain_steps, plain_loss) = tasks.fitted(method), plainly()
        print(f"fit d = 100, k = 5, M = 100, {method}: {ours / steps * 1e3:.1f} ms a step of {steps}; "
              f"{'optimised' if optimize else 'plain'} einsum {peer / plain_steps * 1e3:.1f} ms of {plain_steps}; "
              f"ratio of steps {ratio * steps / plain_steps:.1f}; losses differ by "
              f"{abs(loss / plain_loss - 1):.0e}")  # fmt: skip
    print(f"200 data sets of d = 50, k = 5, M = 50, drawn, fitted and valued: {tasks.risk_sweep():.1f} s")


def twenty(call: Callable[[], object]) -> None:
    for _ in range(20):
        call()


def learning() -> None:
    """Bilevel problems: steps of SOBA, hypergradients, counting, the first run of a process."""
    for name, (make, levels, batches) in bilevel.CASES.items():
        made, each = make(), bilevel.STEPS / 1e6
        mine = partial(bilevel.ours, made, exact=not batches)
        for dtype in ("float64", "float32"):
            try:
                theirs = bilevel.in_jax(levels, (made.dim_x, made.dim_y), batches, dtype)
            except ImportError as error:
                print(f"{name}, JAX: {error}")
                continue
            ours, peer, ratio = beside(mine, theirs)
            print(f"SOBA, {name}: {ours / each:.2f} us a step; JAX {dtype} {peer / each:.2f} us; ratio {ratio:.2f}; "
                  f"x differs by at most {abs(mine() - theirs()).max():.0e}")  # fmt: skip
    for name, closed in (("gradient", bilevel.by_grams), ("hypergradient(...)", bilevel.by_products_of_grams)):
        ours, peer, ratio = beside(partial(twenty, closed), partial(twenty, bilevel.by_cg))  # one is over too soon
        print(f"ridge, n = {bilevel.N}, p = {bilevel.P}, {name}: {ours / 20 * 1e3:.3f} ms from p x p matrices; "
              f"matrix-free CG {peer / 20 * 1e3:.2f} ms; ratio {ratio:.0f}; they differ by "
              f"{abs(closed() - bilevel.by_cg()).max():.0e}")  # fmt: skip
    for python, times in ((False, 100_000), (True, 2000)):
        ours, bare, _ = beside(*bilevel.asked(times, python=python))
        print(f"{'Python' if python else 'compiled'} oracle: {bare / times * 1e6:.3f} us bare, "
              f"{ours / times * 1e6:.3f} us asked and counted, {(ours - bare) / times * 1e6:.3f} us more")  # fmt: skip
    for hidden, where in (("", "here"), (bilevel.HIDDEN, "without coverage and cffi, which Numba imports")):
        spent, empty, _ = beside(bilevel.fresh(hidden + bilevel.FIRST_RUN), bilevel.fresh("pass"))
        print(f"import to the end of a first run, compiled before, {where}: {spent - empty:.2f} s beyond the "
              "interpreter's own")  # fmt: skip


def told(pairs) -> None:
    """Ours beside a peer: (label, ours, peer, difference of the answers)."""
    for label, mine, peer, apart in pairs:
        ours, theirs, ratio = beside(mine, peer)
        print(f"{label}: {ours * 1e3:.3f} ms, peer {theirs * 1e3:.3f} ms; ratio {ratio:.2f}; differ by {apart:.0e}")


def imports() -> None:
    modules = ("pessimism", "numpy", *(f"pessimism.{wing}" for wing in ("bandits", "mdp", "tasks", "bilevel")))
    for module in modules:
        command = [sys.executable, "-c", f"import {module}"]
        bare = [sys.executable, "-c", "pass"]
        spent, empty, _ = beside(
            lambda c=command: subprocess.run(c, check=True), lambda c=bare: subprocess.run(c, check=True)
        )
        print(f"import {module}: {spent - empty:.3f} s beyond the interpreter's own {empty:.3f} s")


if __name__ == "__main__":
    bandits()
    reinforcement()
    selection()
    learning()
    told(estimators.pairs())
    told(minimax.pairs())
    imports()
