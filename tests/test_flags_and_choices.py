"""Every flag takes a bool and every choice a known word: what is neither is named, not read as true or as a default."""

import inspect
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pessimism import bandits, bilevel, mdp, plotting, sweep, tasks, testing
from pessimism.bilevel import problems
from pessimism.interop import frames, minari, quantecon, transitions
from tests.test_package import public_functions


@cache
def given():
    """What the calls below are made with."""
    model = mdp.generators.garnet(3, 2, 2, discount=0.5, rng=0)
    law, log = np.full((3, 2), 1 / 6), mdp.Transitions([[0, 1]], [[0, 1]], [[0.0, 1.0]], [[1, 2]])
    world = tasks.LinearTasks(np.eye(2), np.eye(2), [1.0, 0.0])
    return SimpleNamespace(
        model=model,
        law=law,
        log=log,
        data=model.sample(law, n=50, rng=0),
        episodes=mdp.MDPData.from_transitions(log, per_step=True),
        minari=minari.MinariLog(log, np.array([[False, False]]), np.array([2]), 3, 2),
        world=world,
        rows=world.sample([9, 9], rng=0),
        target=world.sample_target(9, rng=0),
        ridge=problems.Ridge.random(rng=0),
    )


def active(rule, **more):
    return lambda **kw: rule(given().world, given().target, k=2, budgets=[9], floor=1, rng=0, **more, **kw)


def solve(**kw):
    return bilevel.minimize_bilevel(given().ridge, np.zeros(given().ridge.dim_x), budget=50, **kw)


FLAGS = {
    "bandits.propensities.PropensityData.from_log.keep_rounds": partial(
        bandits.PropensityData.from_log, None, [0, 1], [1.0, 0.0], [0.5, 0.5]
    ),
    "bandits.rules.lcb.lcb.paper_constants": partial(bandits.lcb, bandits.BanditData([[3, 1]], [[2.0, 1.0]])),
    "bilevel.bounds.calls_lower_rate.noisy": partial(bilevel.bounds.calls_lower_rate, 0.1, 2.0),
    "bilevel.minimize.minimize_bilevel.exact": solve,
    "bilevel.problems.logistic.LogisticRidge.per_coordinate": partial(
        problems.LogisticRidge, np.eye(2), [1, -1], np.eye(2), [1, -1]
    ),
    "bilevel.problems.logistic.LogisticRidge.random.per_coordinate": partial(problems.LogisticRidge.random, rng=0),
    "bilevel.problems.ridge.Ridge.per_coordinate": partial(problems.Ridge, np.eye(2), [1, 2], np.eye(2), [1, 2]),
    "bilevel.problems.ridge.Ridge.random.per_coordinate": partial(problems.Ridge.random, rng=0),
    "interop.frames.bandit_log.drop_others": lambda **kw: frames.bandit_log(
        pd.DataFrame({"a": [0, 1], "r": [0, 1]}), arm="a", reward="r", arms=[0, 1], **kw
    ),
    "interop.minari.MinariLog.data.per_step": lambda **kw: given().minari.data(**kw),
    "interop.quantecon.to_discrete_dp.pairs": lambda **kw: quantecon.to_discrete_dp(given().model, **kw),
    "interop.transitions.TransitionLog.data.per_step": lambda **kw: transitions.TransitionLog(
        given().log, (0, 1, 2), (0, 1)
    ).data(**kw),
    "mdp.bounds.horizon_exponent.split": partial(mdp.bounds.horizon_exponent, "hoeffding"),
    **{
        f"mdp.bounds.{name}.known_start": partial(
            getattr(mdp.bounds, name), mdp.MDP.dense([[[1.0]]], [[0.5]], horizon=2), [0], [0], 9
        )
        for name in ("value_markov", "value_pooled", "value_tree")
    },
    "mdp.data.MDPData.from_transitions.per_step": lambda **kw: mdp.MDPData.from_transitions(given().log, **kw),
    "mdp.model.MDP.coverage.clipped": lambda **kw: given().model.coverage(given().law, **kw),
    **{
        f"mdp.rules.vi_lcb.vi_lcb.{name}": lambda **kw: mdp.vi_lcb(given().data, discount=0.5, rng=0, **kw)
        for name in ("monotone", "paper_constants", "split")
    },
    "mdp.rules.vi_lcb_bernstein.vi_lcb_bernstein.paper_constants": lambda **kw: mdp.vi_lcb_bernstein(
        given().data, discount=0.5, **kw
    ),
    **{
        f"mdp.rules.vi_lcb_episodic.vi_lcb_episodic.{name}": lambda **kw: mdp.vi_lcb_episodic(given().episodes, **kw)
        for name in ("paper_constants", "subsample")
    },
    "plotting.panels.sharey": partial(plotting.panels, 1, 1),
    "sweep.run.progress": partial(sweep.run, lambda cell, rng: {"x": 1}, [{"n": 1}], seed=0),
    "tasks.rules.a_mtrl.a_mtrl.pooled": active(tasks.a_mtrl),
    "tasks.rules.l1_a_mtrl.l1_a_mtrl.pooled": active(tasks.l1_a_mtrl),
    "tasks.rules.top_s.top_s.pooled": active(tasks.top_s, s=1),
    "testing.bandit.intervals.check_interval.arm": partial(testing.check_interval, print),
    "testing.bandit.strategies.bandit_data.ties": testing.bandit_data,
    "testing.bandit.strategies.behaviors.zeros": testing.behaviors,
    "testing.bilevel.solvers.check_solver.normalised": partial(testing.check_solver, print, examples=1),
    "testing.bilevel.solvers.check_solver.resumable": partial(testing.check_solver, print, examples=1),
    "testing.bilevel.strategies.bilevel_problems.noisy": testing.bilevel_problems,
    "testing.mdp.offline_rules.check_offline_rule.lower_bound": partial(testing.check_offline_rule, print, examples=1),
    "testing.mdp.strategies.mdp_behaviors.zeros": testing.mdp_behaviors,
    "testing.mdp.strategies.mdp_data.ties": testing.mdp_data,
    "bandits.minimax.certified_worst.split_ties": lambda **kw: bandits.minimax.certified_worst(
        bandits.lcb, 3, 2.0, **kw
    ),
    "testing.tasks.allocations.check_allocation.caps": partial(testing.check_allocation, print, examples=1),
    "testing.tasks.relevances.check_relevance.rank_deficient": partial(testing.check_relevance, print, examples=1),
    "testing.tasks.strategies.task_problems.rank_deficient": testing.task_problems,
}
CHOICES = {
    "bandits.Bandit.rewards": partial(bandits.Bandit, [[0.5, 0.5]]),
    "bilevel.bilevel_problems.kinds": lambda kinds: testing.bilevel_problems(kinds=(kinds,)),
    "bilevel.hypergradient.solver": lambda **kw: bilevel.hypergradient(given().ridge, np.zeros(20), np.zeros(20), **kw),
    "bilevel.minimize_bilevel.method": solve,
    "bilevel.sample.level": lambda **kw: given().ridge.sample(**kw, rng=np.random.default_rng(0)),
    "interop.rows_to_frame.backend": partial(frames.rows_to_frame, [{"n": 1}]),
    "mdp.MDP.reward_law": partial(mdp.MDP.dense, [[[1.0]]], [[0.5]], discount=0.5),
    "mdp.MDPData.reward_law": lambda **kw: mdp.MDPData([[1]], [[[0]]], [[[1]]], [[0.5]], **kw),
    "mdp.bounds.discounted_rate.method": lambda **kw: mdp.bounds.discounted_rate(
        **kw, epsilon=0.1, cstar=2.0, states=3, discount=0.9
    ),
    "mdp.bounds.episodic_rate.method": lambda **kw: mdp.bounds.episodic_rate(
        **kw, epsilon=0.1, cstar=2.0, states=3, horizon=5
    ),
    "mdp.bounds.horizon_exponent.widths": partial(mdp.bounds.horizon_exponent, split=True),
    "mdp.plan.method": lambda **kw: mdp.plan(given().model, **kw),
    "plotting.theorem.color": lambda **kw: plotting.theorem(plotting.panels(1, 1)[1][0], [1, 2], [1, 2], **kw),
    "tasks.fit_representation.method": lambda **kw: tasks.fit_representation(given().rows, 1, **kw),
    "tasks.fit_representation.start": lambda **kw: tasks.fit_representation(given().rows, 1, **kw),
    "testing.bandits.rewards": testing.bandits,
    "testing.check_offline_rule.lower_bound": partial(testing.check_offline_rule, print, examples=1),
    "testing.check_relevance.norm": lambda norm: testing.check_relevance(print, norm=str(norm), examples=1),
    "testing.check_offline_rule.waive": lambda waive: testing.check_offline_rule(print, waive=[waive], examples=1),
}


def flags():
    """Parameters of public functions and classes that are annotated as bool."""
    found = set()
    for name, function in public_functions():
        owner = name.rpartition(".")[0]
        places = {name: inspect.unwrap(getattr(function, "__func__", function))}
        kind = vars(inspect.getmodule(places[name])).get(owner.rpartition(".")[2])
        if inspect.isclass(kind) and not getattr(getattr(kind, "__dataclass_params__", None), "init", False):
            places[owner] = kind.__init__
        for place, taker in places.items():
            for argument in inspect.signature(taker).parameters.values():
                if argument.annotation is bool or str(argument.annotation).startswith("bool"):
                    found.add(f"{place}.{argument.name}".removeprefix("pessimism."))
    return found


def test_the_table_holds_every_flag():
    assert flags() - set(FLAGS) == set()
    assert len(flags()) > 25


@pytest.mark.parametrize("value", ["no", 1, None, np.array([True])], ids=["text", "number", "None", "array"])
@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_is_true_or_false(flag, value):
    name = flag.rpartition(".")[2]
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must be "):
        FLAGS[flag](**{name: value})


@pytest.mark.parametrize("value", ["typo", 3])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_is_a_known_word(choice, value):
    name = choice.rpartition(".")[2]
    with pytest.raises((TypeError, ValueError), match=rf"^{name}\b.* must "):
        CHOICES[choice](**{name: value})
