"""Infeasible actions: nothing changes when some are added, plain loops and QuantEcon agree, and nobody may take one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.mdp import (
    MDP,
    MDPData,
    Transitions,
    behavior,
    behavior_cloning,
    cql,
    cql_values,
    error_bound,
    exact,
    generators,
    instances,
    lcb_q,
    moving_constant,
    pevi,
    plan,
    plug_in,
    vi_lcb,
    vi_lcb_bernstein,
    vi_lcb_episodic,
)
from tests.mdp import reference as plain

pytestmark = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")
STATES, ACTIONS, SLOTS, END = 5, 2, 4, 4
SEEDS = st.integers(0, 2**32)


class Embedding:
    """Two actions of every state put, in their order, among four of which the others are infeasible."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.slots = np.sort([rng.permutation(SLOTS)[:ACTIONS] for _ in range(STATES)], axis=1)
        self.mask = np.zeros((STATES, SLOTS), bool)
        np.put_along_axis(self.mask, self.slots, True, axis=1)
        self.mask[END] = False  # the terminal state: its row is not read

    def table(self, small, fill):
        """(..., S, A[, B]) -> the same among four actions, with `fill` for the infeasible ones."""
        axis = small.shape.index(ACTIONS, small.ndim - 3 if small.shape[-2] == ACTIONS else small.ndim - 1)
        large = np.full((*small.shape[:axis], SLOTS, *small.shape[axis + 1 :]), fill, small.dtype)
        for s, slots in enumerate(self.slots):
            for a, slot in enumerate(slots):
                place = (Ellipsis, s, slot) if axis == small.ndim - 1 else (Ellipsis, s, slot, slice(None))
                large[place] = small[(*place[:2], a, *place[3:])]
        return large

    def policy(self, small):
        """(..., S) or (..., S, A); of terminal states the first action."""
        if small.dtype.kind == "f":
            large = self.table(small, 0.0)
            large[..., END, :] = np.full(SLOTS, 1 / SLOTS)
            return large
        return np.where(np.arange(STATES) == END, small, self.slots[np.arange(STATES), small])


def model(seed, horizon=None):
    """A garnet with a terminal state, and its embedding, whose infeasible rows are nonsense."""
    rng, wide = np.random.default_rng(seed), Embedding(seed)
    lists, p, r = plain.garnet(rng, STATES, ACTIONS, 3)
    p[END], r[END] = 0.0, 0.0
    known = {"terminal": np.arange(STATES) == END, "horizon": horizon, "discount": 0.8 if horizon is None else None}
    small = MDP(lists, p, r - 2.0 * (r > 0), **known)
    p, r = (wide.table(x, np.nan) for x in (p, small.rewards if horizon is None else small.rewards[0]))
    p[END], r[END] = 0.0, 0.0
    lists = wide.table(lists, 0)
    return small, MDP(lists, p, np.where(np.isnan(r), -np.inf, r), **known, feasible=wide.mask), wide


def data(seed, horizon=None, size=None):
    """Logs of which a third of the pairs, and a state, were never seen, and their embedding."""
    small, _, wide = model(seed, horizon)
    shape = (*(() if horizon is None else (horizon,)), STATES, ACTIONS)
    counts = wide.rng.integers(0, 300, shape) * (wide.rng.random(shape) < 0.7)
    counts[..., [1, END], :] = 0
    logs = small.sample_at(counts, size=size, rng=wide.rng)
    tables = (wide.table(x, 0) for x in (logs.counts, logs.next_states, logs.next_counts, logs.reward_sums))
    return logs, MDPData(*tables, logs.reward_range, logs.reward_law, logs.terminal, wide.mask), wide


def check_plan(ours, wide, found):
    assert np.array_equal(
        found.policy[..., :END] if found.policy.dtype.kind == "i" else found.policy[..., :END, :],
        np.take(wide.policy(ours.policy), range(END), axis=-1 - (ours.policy.dtype.kind == "f")),
    )
    assert np.array_equal(found.value, ours.value)
    assert np.array_equal(np.asarray(found.status), np.asarray(ours.status))
    assert np.array_equal(found.iterations, ours.iterations)
    if ours.q is None:
        assert found.q is None
    else:
        assert np.array_equal(np.where(wide.mask, found.q, -np.inf)[..., :END, :], found.q[..., :END, :])
        assert np.array_equal(found.q[..., :END, :], wide.table(ours.q, -np.inf)[..., :END, :])


@pytest.mark.kernels
@pytest.mark.parametrize("horizon", [None, 3])
def test_a_model_is_worth_what_it_is_without_them(horizon):
    small, large, wide = model(1, horizon)
    assert large.reward_range == small.reward_range
    assert large.value_range == small.value_range
    assert large.optimal_values == pytest.approx(small.optimal_values, rel=1e-12)
    assert large.gaps[..., :END, :] == pytest.approx(wide.table(small.gaps, np.inf)[..., :END, :], rel=1e-9)
    check_plan(plan(small), wide, plan(large))
    for policy in (small.best_policy, wide.rng.dirichlet(np.ones(ACTIONS), STATES)):
        same = wide.policy(policy)
        assert large.suboptimality(same) == pytest.approx(small.suboptimality(policy), rel=1e-9)
        assert large.evaluate(same) == pytest.approx(small.evaluate(policy), rel=1e-12)
        met = large.occupancy(same)[..., :END, :]
        assert met == pytest.approx(wide.table(small.occupancy(policy), 0.0)[..., :END, :], abs=1e-14)
    mu = behavior.prescribe(large, cstar=3.0)
    assert mu[..., :END, :] == pytest.approx(wide.table(behavior.prescribe(small, cstar=3.0), 0.0)[..., :END, :])
    assert large.coverage(mu) == pytest.approx(3.0)
    assert behavior.uniform(large) == pytest.approx(wide.table(behavior.uniform(small), 0.0))
    logs = large.sample(behavior.uniform(large), n=100, rng=0)
    assert np.array_equal(logs.feasible, large.feasible)
    assert large.sample_log(same, n=3, rng=0, **({} if horizon else {"steps": 4})).states.shape == (3, horizon or 4)
    assert np.array_equal(logs.model(0.8 if horizon is None else None).feasible, large.feasible)


ENTERS_KERNELS = (
    plug_in,
    vi_lcb,
    lambda log, discount: vi_lcb(log, discount=discount, constant=0.01),
    lambda log, discount: vi_lcb(log, discount=discount, monotone=False, unseen=30.0, constant=0.01),
    vi_lcb_bernstein,
)
OTHERS = (
    lambda log, discount: vi_lcb(log, discount=discount, split=True, constant=1e-3, rng=3),
    lambda log, discount: vi_lcb(log, discount=discount, split=True, monotone=False, constant=1e-3, rng=3),
    behavior_cloning,
    cql,
)


@pytest.mark.parametrize("rule", [*(pytest.param(rule, marks=pytest.mark.kernels) for rule in ENTERS_KERNELS), *OTHERS])
def test_a_rule_decides_what_it_does_without_them(rule):
    for seed in range(3):
        small, large, wide = data(seed, size=3)
        assert (large.n_actions, large.reward_range) == (SLOTS, small.reward_range)
        ours, found = rule(small, discount=0.8), rule(large, discount=0.8)
        if rule is not cql:
            check_plan(ours, wide, found)
            continue
        assert found.policy[..., :END, :] == pytest.approx(wide.policy(ours.policy)[..., :END, :], abs=1e-12)
        assert found.value == pytest.approx(ours.value, rel=1e-12)
    assert np.array_equal(moving_constant(large, discount=0.8), moving_constant(small, discount=0.8))


@pytest.mark.kernels
def test_rules_for_episodes_decide_what_they_do_without_them():
    small, large, wide = data(4, 3, size=2)
    for rule in (vi_lcb_episodic, plug_in, behavior_cloning):
        check_plan(rule(small), wide, rule(large))
    phi = wide.rng.random((STATES, ACTIONS, 2))
    ours, found = pevi(small, phi, constant=0.01), pevi(large, wide.table(phi, 100.0), constant=0.01)
    assert np.array_equal(found.policy[..., :END], wide.policy(ours.policy)[..., :END])
    assert found.value == pytest.approx(ours.value, rel=1e-12)
    base, _, wide = model(5, 3)
    log = base.sample_log(np.full((STATES, ACTIONS), 0.5), n=200, rng=0)
    ends = (log.terminated, log.truncated)
    moved = Transitions(log.states, wide.slots[log.states, log.actions], log.rewards, log.next_states, *ends)
    span, sizes = base.reward_range, {"n_states": STATES}
    ours = lcb_q(log, n_actions=ACTIONS, constant=1e-3, reward_range=span, **sizes)
    check_plan(ours, wide, lcb_q(moved, constant=1e-3, reward_range=span, feasible=wide.mask, **sizes))


@given(seed=SEEDS)
def test_the_optimum_is_that_of_a_plain_loop_over_feasible_actions(seed):
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 4, 3)
    mask = rng.random((4, 3)) < 0.5
    mask[np.arange(4), rng.integers(0, 3, 4)] = True
    mdp = MDP.dense(matrices, rewards, rho, 0.9, feasible=mask)
    values = np.zeros(4)
    for _ in range(400):
        values = np.array(
            [max(rewards[s, a] + 0.9 * matrices[s, a] @ values for a in range(3) if mask[s, a]) for s in range(4)]
        )
    assert mdp.optimal_values == pytest.approx(values, abs=1e-12)
    assert mask[np.arange(4), mdp.best_policy].all()
    assert float(error_bound(mdp, mdp.optimal_values)) < 1e-11


def test_a_penalty_is_not_what_infeasible_means():
    """The range of the rewards, and so every width, is that of what can happen."""
    mdp = generators.garnet(4, 3, 2, discount=0.5, rng=0)
    mask = np.ones((4, 3), bool)
    mask[2, 1] = False
    shut = MDP(mdp.next_states, mdp.probabilities, np.where(mask, mdp.rewards, -1e9), discount=0.5, feasible=mask)
    assert shut.reward_range == (0.0, 1.0)
    nothing = MDP(
        mdp.next_states, mdp.probabilities, 0.0 * mdp.rewards, discount=0.5, feasible=~np.eye(4, 3, dtype=bool)
    )
    assert nothing.best_policy.tolist() == [1, 0, 0, 0]
    assert nothing.gaps[0].tolist() == [np.inf, 0.0, 0.0]


def test_the_last_stake_of_a_gambler():
    """Copies of the largest stake and infeasible stakes are the same game."""
    game, stakes = generators.gamblers_problem(8, heads=0.3, horizon=5), generators.allowed_stakes(8)
    ends = ~stakes.any(axis=1)
    masked = MDP(game.next_states, game.probabilities, game.rewards, horizon=5, terminal=ends, feasible=stakes)
    assert np.array_equal(masked.optimal_values, game.optimal_values)
    assert np.array_equal(masked.optimal_values, plan(masked).value)


def test_the_mask_goes_where_the_data_go():
    _, logs, _ = data(2, size=2)
    mask = logs.feasible
    assert mask[END].all()
    for other in (logs[0], logs.merge(logs), logs.folds(2, rng=0), logs.subsample(5, rng=0)):
        assert np.array_equal(other.feasible, mask)
    assert "pairs_seen=" in repr(logs)
    assert f"of {ACTIONS * END + SLOTS}" in repr(logs)
    log = Transitions([0, 0], [1, 1], [1.0, 0.0], [1, 0], terminated=[True, False])
    counted = MDPData.from_transitions(log, feasible=[[False, True], [True, False]])
    assert counted.feasible.tolist() == [[False, True], [True, True]]  # the second state is terminal
    grown = MDPData.from_transitions(
        log, feasible=[[False, True], [True, False]], terminated=[False, True], truncated=[True, False]
    )
    assert grown.feasible.tolist() == [[False, True], [True, False], [True, True]]  # ends have a state of their own
    walk = Transitions([0, 1], [1, 0], [1.0, 0.0], [1, 0])
    assert MDPData.from_episodes([walk], feasible=[[False, True], [True, False]]).counts.tolist() == [[0, 1], [1, 0]]


def test_files_keep_the_mask(tmp_path):
    _, mdp, _ = model(1)
    _, logs, _ = data(1)
    for thing in (mdp, logs):
        again = type(thing).load(thing.save(tmp_path / "thing"))
        assert np.array_equal(again.feasible, thing.feasible)
    assert "feasible" in repr(mdp)
    assert "feasible" not in repr(generators.garnet(2, 2, 1, discount=0.5, rng=0))


TWO = MDP.dense(np.full((2, 2, 2), 0.5), [[1.0, 0.0], [0.0, 1.0]], discount=0.5, feasible=[[True, False], [True, True]])
STEPS = MDP.dense(np.full((2, 2, 2), 0.5), np.eye(2), horizon=2, feasible=[[True, False], [True, True]])
LOG = MDPData(
    [[3, 0], [0, 0]],
    np.zeros((2, 2, 1), int),
    [[[3], [0]], [[0], [0]]],
    np.zeros((2, 2)),
    feasible=[[True, False], [False, True]],
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TWO.evaluate([1, 0]), r"policy\[0\] must be an action that is feasible in state 0, got 1"),
        (lambda: TWO.evaluate([[0, 1], [1, 1]]), r"policy\[1, 0\] must be an action that is feasible in state 0"),
        (
            lambda: TWO.value([[0.5, 0.5], [1, 0]]),
            r"policy\[0, 1\] must be 0: action 1 is infeasible in state 0",
        ),
        (lambda: STEPS.value([[0, 0], [1, 0]]), r"policy\[1, 0\] must be an action that is feasible in state 0"),
        (
            lambda: TWO.sample([[0.5, 0.1], [0.4, 0]], n=3),
            r"behavior\[0, 1\] must be 0: action 1 is",
        ),
        (lambda: TWO.coverage(np.full((2, 2), 0.25)), r"behavior\[0, 1\] must be 0: action 1 is infeasible"),
        (
            lambda: TWO.sample_at([[1, 1], [1, 1]]),
            r"counts\[0, 1\] must be 0: action 1 is infeasible in state 0, got 1",
        ),
        (lambda: behavior.mixture(TWO, [[0, 0], [1, 1]], [0.5, 0.5]), r"policies\[1\]\[0\] must be an action that"),
        (lambda: behavior.prescribe(TWO, cstar=2.0, policy=[1, 0]), r"policy\[0\] must be an action that"),
        (
            lambda: MDPData([[3, 1]], [[[0], [0]]], [[[3], [1]]], [[2.0, 1.0]], feasible=[[True, False]]),
            r"counts\[0, 1\] must be 0: action 1 is infeasible in state 0, got 1",
        ),
        (
            lambda: MDPData.from_transitions(
                Transitions([0, 1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 0]), feasible=[[True, False], [True, False]]
            ),
            r"actions\[2\] must be an action that is feasible in state 1, got 1",
        ),
        (
            lambda: lcb_q(Transitions([[0]], [[1]], [[0.0]], [[0]]), feasible=[[True, False]]),
            r"actions\[0, 0\] must be an action that is feasible in state 0, got 1",
        ),
        (
            lambda: cql_values(LOG, [0, 0], discount=0.5, alpha=1.0),
            r"policy\[1\] must be an action that",
        ),
        (lambda: MDP.dense([[[1.0]]], [[0.0]], discount=0.5, feasible=[[False]]), r"state 0 has no feasible action"),
        (
            lambda: MDP.dense([[[1.0]]], [[0.0]], discount=0.5, feasible=[True]),
            r"must be bool of shape \(1, 1\)",
        ),
        (lambda: MDP.dense([[[1.0]]], [[0.0]], discount=0.5, feasible=[[1]]), r"feasible must be bool of shape"),
        (
            lambda: LOG.merge(MDPData(*LOG.statistics[:-1])),
            r"others\[0\] must have the feasible actions",
        ),
        (
            lambda: exact.stay_exit_loss(
                MDP(
                    *(x := instances.stay_exit(2.0, 1, 0.2, discount=0.8))[0].tables[:3],
                    discount=0.8,
                    feasible=[[True, True], [True, False]],
                ),
                x[1],
                9,
                level=0.0,
            ),
            "both actions to be feasible",
        ),
    ],
)
def test_what_takes_an_infeasible_action_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_only_feasible_actions_are_asked_for():
    asked = []

    def step(s, a):
        asked.append((s, a))
        return [(1.0, 1 - s, float(s))]

    mdp = MDP.from_function(step, 2, 2, discount=0.5, feasible=[[True, False], [False, True]])
    assert asked == [(0, 0), (1, 1)]
    assert mdp.best_policy.tolist() == [0, 1]
