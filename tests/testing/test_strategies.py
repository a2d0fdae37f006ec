"""Strategies draw what they say, shrink to what is simple, and refuse bad arguments when they are made."""

import itertools
import math
import time
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from pessimism.bandits import BanditData
from pessimism.mdp import MDPData
from pessimism.tasks import TaskData
from pessimism.testing import (
    _whole_numbers,
    bandit_data,
    bandits,
    behaviors,
    linear_tasks,
    mdp_behaviors,
    mdp_data,
    mdps,
    task_data,
    task_problems,
)


@settings(max_examples=30)
@given(
    st.sampled_from(["bernoulli", "gaussian", "deterministic"]).flatmap(lambda kind: bandits(rewards=kind)), st.data()
)
def test_a_bandit_and_its_behaviors_fit(bandit, data):
    assert max(bandit.n_contexts, bandit.n_arms) <= 4
    assert bandit.shape == ()
    behavior = data.draw(behaviors(bandit=bandit))
    assert np.array_equal(bandit.check_behavior(behavior), behavior)
    assert np.isfinite(bandit.coverage(data.draw(behaviors(bandit=bandit, zeros=False))))
    assert bandit.sample(behavior, n=5, rng=0).n == 5


@settings(max_examples=50)
@given(bandit_data(max_contexts=2, max_arms=3, max_pulls=9, size=(2,), reward_range=(-1, 3)), bandit_data(ties=False))
def test_rounds_are_as_asked(data, untied):
    assert data.shape == (2,)
    assert data.n_contexts <= 2
    assert data.n_arms <= 3
    assert data.counts.max() <= 9
    assert data.reward_range == (-1, 3)
    BanditData(data.counts, data.sums, data.squares, data.reward_range)
    for counts, sums, means in zip(untied.counts, untied.sums, untied.means, strict=True):
        pulled = counts > 0
        for statistic in (counts, sums, means):
            assert np.unique(statistic[pulled]).size == pulled.sum()


@pytest.mark.parametrize("reward_range", [(-math.inf, math.inf), (-3, math.inf), (-math.inf, 50)])
def test_an_infinite_range_is_drawn_from(reward_range):
    @settings(max_examples=30, deadline=None, database=None)
    @given(bandit_data(reward_range=reward_range))
    def in_range(data):
        assert data.reward_range == reward_range
        assert np.all(np.abs(data.means) <= 50)

    in_range()


@pytest.mark.kernels
@settings(max_examples=25)
@given(st.sampled_from([None, 2]).flatmap(lambda horizon: mdps(horizon=horizon)), st.data())
def test_a_model_and_its_behaviors_fit(mdp, data):
    assert mdp.n_states <= 4
    assert mdp.n_actions <= 3
    assert mdp.shape == ()
    behavior = data.draw(mdp_behaviors(mdp=mdp))
    assert np.array_equal(mdp.check_behavior(behavior), behavior)
    assert np.isfinite(mdp.coverage(data.draw(mdp_behaviors(mdp=mdp, zeros=False))))
    assert mdp.sample(behavior, n=5, rng=0).n == 5 * (mdp.horizon or 1)


@settings(max_examples=25)
@given(mdp_data(max_states=2, max_visits=9, size=(2,), reward_range=(-1, 3)), mdp_data(horizon=2, ties=False))
def test_transitions_are_as_asked(data, untied):
    assert data.shape == (2,)
    assert max(data.n_states, data.n_actions - 1) <= 2
    assert data.counts.max() <= 9
    for log in (data, untied):
        MDPData(*(getattr(log, name) for name in MDPData.__slots__))
    assert untied.horizon == 2
    rows = (x.reshape(-1, untied.n_actions) for x in (untied.counts, untied.pair_sums.round(9)))
    for counts, sums in zip(*rows, strict=True):
        for statistic in (counts, sums):
            assert np.unique(statistic[counts > 0]).size == (counts > 0).sum()


def reachable(mdp):
    """States met from the first one under some policy."""
    found = {0}
    for _ in range(mdp.n_states):
        found |= {int(x) for s in found for x in mdp.next_states[s][mdp.probabilities[s] > 0].ravel()}
    return found


def absorbing(mdp):
    stays = (mdp.next_states == np.arange(mdp.n_states)[:, None, None]) | (mdp.probabilities == 0)
    return stays.all(axis=(-2, -1))


@settings(max_examples=30)
@given(task_problems(), task_problems(rank_deficient=True, size=(2,), max_k=3), linear_tasks(size=(2,)))
def test_problems_are_as_asked(full, deficient, tasks):
    heads = full[0]
    assert np.linalg.matrix_rank(heads) == heads.shape[0] <= min(4, heads.shape[1])
    assert heads.shape[1] <= 8
    for columns, goal in (full, *zip(*deficient, strict=True)):
        distance = np.linalg.norm(columns @ np.linalg.lstsq(columns, goal)[0] - goal)
        assert distance <= 1e-9 * max(1.0, np.linalg.norm(goal))
    assert deficient[0].shape[:2] == (2, deficient[1].shape[1])
    assert tasks.shape == (2,)
    assert tasks.rank <= min(tasks.dimension, tasks.n_tasks, 3)


@settings(max_examples=30)
@given(task_data(size=(2,), max_rows=5), st.data())
def test_data_are_what_some_rows_say(data, more):
    assert data.shape == (2,)
    assert data.counts.max() <= 5
    again = TaskData(data.counts, data.grams, data.moments, data.squares)
    ranks = np.linalg.matrix_rank(data.grams)
    assert (ranks <= data.counts).all()
    theta = more.draw(st.sampled_from([0.0, 1.0, -2.0])) * np.ones(data.dimension)
    assert (again.loss(theta) >= 0).all()


def test_kernels_are_loaded_before_the_first_example_and_off_the_clock(monkeypatch):
    loaded = []

    def load(part):
        time.sleep(0.6)
        loaded.append(part)

    monkeypatch.setattr(_whole_numbers, "_load", load)
    strategies = bandits(), mdps(), st.lists(task_problems(), min_size=1)
    assert loaded == []

    @settings(deadline=500, max_examples=3)
    @given(*strategies)
    def drawn(bandit, mdp, problems):
        assert sorted(loaded) == ["bandits", "mdp", "tasks"]

    drawn()


def norms(heads):
    return np.linalg.norm(heads, axis=0)


def copies(heads, sign):
    pairs = itertools.combinations(heads.T, 2)
    return any(a.any() and np.array_equal(a, sign * b) for a, b in pairs)


@pytest.mark.parametrize(
    ("strategy", "property_"),
    [
        (bandit_data(), lambda data: data.n > 0 and (data.counts == 0).any()),
        (bandit_data(), lambda data: data.n > 0 and (data.counts == 0).all(axis=-1).any()),
        (bandit_data(max_arms=1), lambda data: data.counts.shape == (4, 1)),
        (bandit_data(), lambda data: data.counts.max() == 100),
        (bandit_data(), lambda data: np.any((data.sums > 0) & (data.squares == data.sums))),
        (bandit_data(), lambda data: data.n > 9 and np.any(np.diff(data.means) == 0)),
        (bandit_data(ties=False), lambda data: data.n > 0 and (data.counts == 0).all(axis=-1).any()),
        (bandit_data(size=3), lambda data: data.counts.shape == (3, 4, 4)),
        (bandit_data(size=0), lambda data: data.counts.size == 0),
        (bandit_data(max_pulls=0), lambda data: data.counts.shape == (4, 4)),
        (behaviors(), lambda behavior: behavior.size > 2 and (behavior == 0).any() and behavior.max() < 1),
        (behaviors(max_contexts=1, max_arms=9), lambda behavior: behavior.shape == (1, 9)),
        (bandits(), lambda bandit: np.any(bandit.contexts == 0)),
        (bandits(), lambda bandit: bandit.n_arms > 1 and np.any(np.diff(bandit.means) == 0)),
        (bandits(rewards="gaussian"), lambda bandit: bandit.means.min() < -1 and bandit.means.max() > 1),
        (mdps(), lambda mdp: mdp.n_states == 4 and mdp.n_actions == 3 and mdp.n_successors == 3),
        (mdps(), lambda mdp: mdp.n_states == 3 and absorbing(mdp).sum() == 1),
        (mdps(), lambda mdp: mdp.n_states == 3 and len(reachable(mdp)) == 2),
        (mdps(), lambda mdp: mdp.n_states > 1 and np.any(mdp.start == 0)),
        (
            mdps(),
            lambda mdp: mdp.n_actions > 1 and mdp.n_successors > 1 and np.all(mdp.probabilities.max(axis=-1) == 1),
        ),
        (mdps(), lambda mdp: mdp.n_states > 1 and np.any((mdp.probabilities == 0) & (mdp.next_states > 0))),
        (mdps(), lambda mdp: mdp.n_states > 1 and mdp.per_successor and mdp.discount == 0.999),
        (mdps(max_actions=1), lambda mdp: mdp.n_states == 4 and mdp.discount == 0),
        (mdps(), lambda mdp: mdp.n_actions > 1 and mdp.rewards.max() > 0 and np.any(np.diff(mdp.optimal_values) == 0)),
        (mdps(horizon=3), lambda mdp: len(mdp.next_states) == 3 and mdp.n_states > 1 and mdp.discount == 1),
        (mdps(horizon=3), lambda mdp: len(mdp.next_states) == 1 and mdp.n_states > 1),
        (mdp_behaviors(), lambda law: law.size > 2 and (law == 0).any() and law.max() < 1),
        (mdp_behaviors(horizon=2), lambda law: law.shape == (2, 4, 3)),
        (mdp_data(), lambda data: data.n > 0 and (data.counts == 0).any()),
        (mdp_data(), lambda data: data.n > 0 and (data.counts == 0).all(axis=-1).any()),
        (mdp_data(), lambda data: data.n > 0 and data.per_successor and data.counts.shape == (4, 3)),
        (mdp_data(), lambda data: data.n == 0),
        (mdp_data(), lambda data: data.counts.max() > 90 and data.next_counts.max() < 90),
        (mdp_data(horizon=2), lambda data: data.next_states.shape[0] == 1 and data.n_states == 4),
        (mdp_data(horizon=2, size=3), lambda data: data.counts.shape == (3, 2, 4, 3)),
        (mdp_data(size=0), lambda data: data.counts.size == 0),
        (mdp_data(max_visits=0), lambda data: data.counts.shape == (4, 3)),
        (task_problems(), lambda problem: problem[0].shape == (4, 4)),
        (task_problems(), lambda problem: problem[0].shape == (3, 4) and problem[1].all()),
        (task_problems(), lambda problem: problem[0].shape == (2, 8)),
        (task_problems(), lambda problem: len(problem[0]) > 1 and copies(problem[0], 1)),
        (task_problems(), lambda problem: len(problem[0]) > 1 and copies(problem[0], -1)),
        (task_problems(), lambda problem: len(problem[0]) > 1 and not norms(problem[0]).all()),
        (task_problems(), lambda problem: norms(problem[0]).min() > 0 and np.ptp(np.log10(norms(problem[0]))) > 6),
        (task_problems(), lambda problem: problem[0].shape[1] > 1 and not problem[1].any()),
        (task_problems(rank_deficient=True), lambda problem: problem[0].shape[0] > problem[0].shape[1] > 1),
        (task_problems(rank_deficient=True), lambda problem: np.linalg.matrix_rank(problem[0]) == 3 < len(problem[0])),
        (linear_tasks(), lambda tasks: tasks.dimension == tasks.rank == 3 and tasks.noise == 0),
        (linear_tasks(), lambda tasks: tasks.dimension > tasks.rank > 1 and np.count_nonzero(tasks.representation) > 6),
        (task_data(), lambda data: data.n > 0 and (data.counts == 0).any()),
        (task_data(), lambda data: ((data.counts > 0) & (data.counts < data.dimension)).all()),
        (task_data(), lambda data: (data.counts >= data.dimension).all() and data.counts.shape == (4,)),
        (task_data(size=(2, 3)), lambda data: data.grams.shape == (2, 3, 4, 4, 4)),
        (task_data(max_rows=0), lambda data: data.dimension == 4),
    ],
)
def test_instructive_examples_occur(strategy, property_):
    unshrunk = settings(max_examples=2000, database=None, deadline=None, phases=[Phase.generate])
    find(strategy, property_, settings=unshrunk, random=Random(1))


def simplest(strategy, property_=lambda drawn: True):
    return find(
        strategy, property_, settings=settings(database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
    )


def test_examples_shrink_to_the_simplest():
    assert simplest(bandit_data()).counts.tolist() == [[0]]
    assert simplest(behaviors(), lambda law: law.size == 4).tolist() in (
        [[1, 0, 0, 0]],
        [[1], [0], [0], [0]],
    )
    assert simplest(bandits()).means.tolist() == [[0]]
    with pytest.raises(NoSuchExample):
        simplest(behaviors(zeros=False), lambda law: (law == 0).any())
    mdp = simplest(mdps())
    assert [mdp.next_states.tolist(), mdp.probabilities.tolist(), mdp.rewards.tolist()] == [[[[0]]], [[[1]]], [[0]]]
    assert simplest(mdp_behaviors(horizon=2)).tolist() == [[[1]], [[1]]]
    assert simplest(mdp_data()).counts.tolist() == [[0]]
    two = simplest(mdps(max_states=2), lambda mdp: mdp.n_states == 2 and mdp.rewards.max() > 0)
    assert sorted(set(two.rewards.ravel().tolist())) == [0, 0.01]
    assert two.n_actions == two.n_successors == 1
    heads, target = simplest(task_problems())
    assert (heads.tolist(), target.tolist()) == ([[1.0]], [0.0])
    heads, target = simplest(task_problems(), lambda problem: len(problem[1]) == 2 and problem[1].all())
    assert (heads.shape, np.abs(heads).max()) == ((2, 2), 1.0)
    tasks = simplest(linear_tasks(), lambda tasks: tasks.dimension == 2)
    assert tasks.representation.tolist() == [[1.0], [0.0]]
    assert simplest(task_data()).counts.tolist() == [0]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: bandits(max_contexts=0), ValueError, "max_contexts must be"),
        (lambda: bandits(max_arms=1.5), ValueError, "max_arms must be"),
        (lambda: bandits(rewards="normal"), ValueError, "rewards must be one of 'bernoulli', 'gaussian'"),
        (lambda: behaviors(max_arms=0), ValueError, "max_arms must be"),
        (lambda: behaviors(bandit=bandits()), TypeError, "bandit must be a Bandit, .* use bandits\\(\\).flatmap"),
        (lambda: bandit_data(max_pulls=-1), ValueError, "max_pulls must be"),
        (lambda: bandit_data(max_pulls=3, ties=False), ValueError, "max_pulls must be a whole number in \\[4,"),
        (lambda: bandit_data(max_pulls=2**53), ValueError, "max_pulls must be"),
        (lambda: bandit_data(size=(2, -1)), ValueError, r"size\[1\] must be"),
        (lambda: bandit_data(reward_range=(1, 0)), ValueError, "reward_range must be a pair low < high"),
        (lambda: bandit_data("x"), TypeError, "positional"),
        (lambda: mdps(max_states=0), ValueError, "max_states must be"),
        (lambda: mdps(max_actions=1.5), ValueError, "max_actions must be"),
        (lambda: mdps(horizon=0), ValueError, "horizon must be"),
        (lambda: mdps(discount=1.0), ValueError, "discount must be in"),
        (lambda: mdp_behaviors(max_actions=0), ValueError, "max_actions must be"),
        (lambda: mdp_behaviors(mdp=mdps()), TypeError, "mdp must be an MDP, .* use mdps\\(\\).flatmap"),
        (lambda: mdp_data(max_visits=-1), ValueError, "max_visits must be"),
        (lambda: mdp_data(max_visits=2, ties=False), ValueError, "max_visits must be a whole number in \\[3,"),
        (lambda: mdp_data(max_visits=2**53), ValueError, "max_visits must be"),
        (lambda: mdp_data(size=(2, -1)), ValueError, r"size\[1\] must be"),
        (lambda: mdp_data(reward_range=(1, 0)), ValueError, "reward_range must be a pair low < high"),
        (lambda: mdp_data(reward_range=(0, math.inf)), ValueError, "reward_range must be finite"),
        (lambda: task_problems(max_k=0), ValueError, "max_k must be"),
        (lambda: task_problems(max_tasks=1.5), ValueError, "max_tasks must be"),
        (lambda: task_problems(spread=0.5), ValueError, r"spread must be in \[1, 1e\+06\]"),
        (lambda: task_problems(size=(2, -1)), ValueError, r"size\[1\] must be"),
        (lambda: linear_tasks(max_dimension=0), ValueError, "max_dimension must be"),
        (lambda: linear_tasks(max_k=0), ValueError, "max_k must be"),
        (lambda: task_data(max_rows=-1), ValueError, "max_rows must be"),
        (lambda: task_data(max_tasks=0), ValueError, "max_tasks must be"),
    ],
)
def test_invalid_arguments_are_refused_when_the_strategy_is_made(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
