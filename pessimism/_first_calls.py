"""Compiling ahead of time, through calls that users make.

Numba compiles a kernel for the types of its arguments, and types written down here could differ from those that calls
have. So the package itself is called, on the smallest inputs that reach every kernel; a test holds that none is missed.
"""

from collections.abc import Callable


def bandits() -> None:
    import numpy as np

    from pessimism.bandits import Bandit, behavior, exact, instances, lcb

    bandit = Bandit(means=[[0.6, 0.5]])
    law = behavior.prescribe(bandit, cstar=1.5)
    lcb(bandit.sample(law, n=20, size=20_000, rng=0))
    bandit.sample(law, n=1_000, size=20_000, rng=0)
    large = Bandit(means=np.full((50, 2), 0.5))
    large.sample(behavior.uniform(large), n=100, size=200, rng=0)
    for rewards in ("bernoulli", "gaussian", "deterministic"):
        two_arms = Bandit(means=[[0.6, 0.5]], rewards=rewards)
        exact.suboptimality(two_arms, law, 10, level=[1.0, np.inf], unseen=0.2, sigma=0.5)
    exact.suboptimality(*instances.ambiguous_contexts(2.0, 2, 0.1), 10, level=[1.0, np.inf])
    exact.most_played_log_error(0.6, 10)


def mdps() -> None:
    from pessimism import mdp
    from pessimism.mdp import behavior, exact, generators, instances

    model = generators.garnet(10, 3, 2, discount=0.9, rng=0)
    for method in ("auto", "policy_iteration"):  # without Krylov steps, and with them
        mdp.plan(model, tolerance=1e-6, method=method)
    lists = [[[0, 1]], [[0, 1]]]  # of a model so slow that Krylov steps are tried, which other models do not compile
    mdp.plan(mdp.MDP(lists, [[[0.999, 0.001]], [[0.001, 0.999]]], [[0.0], [1.0]], None, 0.999))
    logs = model.sample(behavior.uniform(model), n=1_000_000, size=2, rng=0)
    for rule in (mdp.plug_in, mdp.vi_lcb, mdp.vi_lcb_bernstein, mdp.cql):
        rule(logs, discount=0.9)
    game = generators.gamblers_problem(5, horizon=4)
    mdp.plan(game)
    game.occupancy(game.best_policy)
    game.suboptimality(mdp.vi_lcb_episodic(game.sample_episodes(game.best_policy, n=20, rng=0)).policy)
    mdp.lcb_q(game.sample_log(game.best_policy, n=5, rng=0), n_states=game.n_states, n_actions=game.n_actions)
    exact.stay_exit_loss(*instances.stay_exit(2.0, 1, 0.2, discount=0.8), 10, level=1.0)


def tasks() -> None:
    import numpy as np

    from pessimism.tasks import fit_representation, instances, lasso

    world = instances.spike_and_pairs(3, dimension=4)
    data = world.sample(np.full(world.n_tasks, 20), size=2, rng=0)
    for method in ("alternate", "descend"):
        fit_representation(data, 2, method=method)
    lasso(world.heads, world.target, regularization=0.1)


def bilevel_methods() -> None:
    from pessimism.bilevel import METHODS

    for name in METHODS:
        _run("Quadratic", name)


def bilevel_problems() -> None:
    from pessimism.bilevel import problems

    for kind in problems.__all__:
        for name in ("soba", "f2sa"):  # which together call every oracle
            _run(kind, name)


def _run(kind: str, name: str) -> None:
    from pessimism.bilevel import minimize_bilevel, problems

    problem = getattr(problems, kind).random(rng=0)
    minimize_bilevel(problem, [1.0] * problem.dim_x, method=name, budget=60, rng=0, step=0.01)


PARTS: dict[str, Callable[[], None]] = {
    "bilevel methods": bilevel_methods,
    "tasks": tasks,
    "mdp": mdps,
    "bilevel problems": bilevel_problems,
    "bandits": bandits,
}
"""The longest first: they are compiled side by side."""
