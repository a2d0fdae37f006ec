"""Rules that depart nowhere from imitation say so, and name the constant at which they would move."""

import inspect
import math
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism._status import Status
from pessimism.mdp import (
    MDP,
    ImitationWarning,
    MDPData,
    algorithm_3,
    behavior_cloning,
    lcb_q,
    moving_constant,
    pevi,
    vi_lcb,
    vi_lcb_bernstein,
    vi_lcb_episodic,
)
from tests.mdp.sizes import examples

quiet = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")
RULES = {
    "vi_lcb": partial(vi_lcb, discount=0.8),
    "vi_lcb_bernstein": partial(vi_lcb_bernstein, discount=0.8),
    "vi_lcb_episodic": vi_lcb_episodic,
}
OPTIONS = {"vi_lcb": {"discount": 0.8}, "vi_lcb_bernstein": {"discount": 0.8}, "vi_lcb_episodic": {}}


def logged(seed, rule, size=(), most=400, ends=False):
    """Data of a random law, rewards in [-1, 3]; every third pair is never seen. The last state may be an end."""
    rng = np.random.default_rng(seed)
    steps = (3,) if rule == "vi_lcb_episodic" else ()
    p, r = rng.dirichlet(np.ones(3), (*steps, 3, 2)), 4 * rng.random((*steps, 3, 2)) - 1
    if ends:
        p[..., 2, :, :], r[..., 2, :] = [0.0, 0.0, 1.0], 0.0
    options = {"horizon": 3} if steps else {"discount": 0.8}
    mdp = MDP.dense(p, r, **options, reward_range=(-1.0, 3.0), terminal=[False, False, ends])
    counts = rng.integers(1, most, (*size, *steps, 3, 2)) * (rng.random((*size, *steps, 3, 2)) < 0.67)
    counts[..., 0, 0] += 1
    counts[..., 2, :] *= not ends
    return mdp.sample_at(counts, rng=rng)


def moves(rule, n, gain, total, pairs, constant, delta):
    """Whether the first iteration, all values being 0, raises that of a pair: the widths as the rules define them."""
    if rule == "vi_lcb":
        return gain > 5 * math.sqrt(constant * math.log(2 * pairs / delta) / n)
    if rule == "vi_lcb_bernstein":
        return gain - min(2 * constant * math.log(total / (0.2 * delta)) * 5 / n, 5) - 5 / total > 0
    return gain > min(constant * 3 * math.log(total * 3 / delta) / n, 3)


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 2**32), delta=st.sampled_from([None, 0.1]))
def test_the_moving_constant_by_bisection(rule, seed, delta):
    data = logged(seed, rule)
    total = int(data.n)
    d = 1 / max(total, 1 if rule == "vi_lcb" else 2) if delta is None else delta
    seen = [(n, (r + 1) / 4) for n, r in zip(data.counts.flat, data.mean_rewards.flat, strict=True) if n]
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        up = any(moves(rule, n, gain, total, 6, middle, d) for n, gain in seen)
        low, high = (middle, high) if up else (low, middle)
    found = moving_constant(data, rule=rule, delta=delta, **OPTIONS[rule])
    assert found == pytest.approx(low, rel=1e-9, abs=1e-12)


@quiet
@pytest.mark.parametrize("rule", RULES)
@examples(0.5)
@given(seed=st.integers(0, 2**32), delta=st.sampled_from([None, 0.1]), ends=st.booleans())
def test_the_status_flips_at_the_moving_constant(rule, seed, delta, ends):
    """Also where a step into a terminal state, worth 0, earns more than the smallest value."""
    data = logged(seed, rule, (2,), ends=ends)
    for i, constant in enumerate(moving_constant(data, rule=rule, delta=delta, **OPTIONS[rule])):
        below = RULES[rule](data[i], constant=max(constant * (1 - 1e-4), 1e-300), delta=delta)
        above = RULES[rule](data[i], constant=max(constant * (1 + 1e-4), 1e-300), delta=delta)
        assert above.status is Status.NO_UPDATE
        assert np.array_equal(above.policy, data[i].counts.argmax(axis=-1))
        assert (below.status is Status.NO_UPDATE) == (constant == 0)


def test_a_log_of_nothing_moves_at_no_constant():
    nothing = MDPData(np.zeros((2, 2, 2), int), [[[0]] * 2] * 2, np.zeros((2, 2, 2, 1), int), np.zeros((2, 2, 2)))
    assert moving_constant(nothing, discount=0.9).tolist() == [0.0, 0.0]
    assert moving_constant(nothing[:0], discount=0.9).shape == (0,)
    free = moving_constant(logged(1, "vi_lcb_episodic"), log_factor=1.0)
    assert free > moving_constant(logged(1, "vi_lcb_episodic"))


ALL = {
    **RULES,
    "vi_lcb, plain": partial(vi_lcb, discount=0.8, monotone=False),
    "pevi": lambda data, constant: pevi(data, np.eye(6).reshape(3, 2, 6), constant=constant),
}


@quiet
@pytest.mark.parametrize("rule", ALL)
def test_plans_that_are_imitation_say_so_and_no_others(rule):
    data = logged(3, "vi_lcb_episodic" if rule in ("pevi", "vi_lcb_episodic") else rule, (60,), most=4000)
    states = []
    for constant in (1e-4, 1e-2, 0.1, 1.0, 100.0):
        found = ALL[rule](data, constant=constant)
        cloned = behavior_cloning(data, discount=None if data.horizon else 0.8).policy
        same = (found.policy == cloned).all(axis=tuple(range(1, found.policy.ndim)))
        says = np.isin(found.status, np.array([Status.NO_UPDATE, Status.IMITATION], object))
        assert np.array_equal(says, same)
        states += [*found.status]
    assert Status.IMITATION in states
    assert len(set(states)) > (1 if rule == "vi_lcb, plain" else 2)


@pytest.mark.parametrize("rule", [*ALL, "split", "algorithm_3", "lcb_q"])
def test_one_warning_names_the_numbers_at_the_line_of_the_caller(rule):
    """Where it holds for all data sets of a batch, and only there."""
    data = logged(5, "vi_lcb_episodic" if rule in ("pevi", "vi_lcb_episodic") else "vi_lcb", (3,))
    if rule == "lcb_q":
        steps = MDP.dense(np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5), horizon=2)
        data = steps.sample_log(np.full((2, 2), 0.5), n=20, size=3, rng=1)
    calls = {
        **ALL,
        "split": partial(vi_lcb, discount=0.8, split=True, rng=1),
        "algorithm_3": lambda data, constant: algorithm_3(data, discount=0.8, rng=1),
        "lcb_q": lcb_q,
    }
    with pytest.warns(ImitationWarning) as caught:
        found, line = calls[rule](data, constant=1e6), inspect.currentframe().f_lineno
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert caught[0].lineno == line or rule in ("algorithm_3", "pevi")  # those of the lambdas above
    message = str(caught[0].message)
    assert "departs nowhere from imitation in any of the 3 data sets" in message
    assert "3 of 3 depart nowhere from imitation" in repr(found)
    if rule in RULES:
        assert f"the largest count of a pair is {data.counts.max()}" in message
        largest = moving_constant(data, rule=rule, **OPTIONS[rule]).max()
        assert f"the largest constant that moves one is {largest:.3g}" in message


@quiet
@pytest.mark.parametrize("constant", [0.5, 0.01])
def test_the_warning_names_the_visits_from_which_on_a_value_moves(constant):
    """A pair that always pays: with one visit fewer than named nothing moves, with one more something does."""

    def log(n):
        return MDPData([[n, n + 9]], [[[0], [0]]], [[[n], [n + 9]]], [[float(n), 0.0]])

    needed = constant * math.log(40) * 100
    with pytest.warns(ImitationWarning, match="a value can move only from") as caught:
        vi_lcb(log(int(needed / 2)), discount=0.9, constant=constant, delta=0.1)
    assert f"only from {needed:.4g} visits on at constant = {constant:g}" in str(caught[0].message)
    for n, moved in ((math.ceil(needed) - 1, False), (math.floor(needed) + 1, True)):
        status = vi_lcb(log(n), discount=0.9, constant=constant, delta=0.1).status
        assert (status is not Status.NO_UPDATE) == moved


def test_nothing_is_said_where_one_plan_departs_or_no_plan_could():
    counts = np.array([[[9000, 5000]], [[9000, 0]]])
    data = MDPData(counts, [[[0], [0]]], counts[..., None], counts * [0.1, 0.9], reward_law="deterministic")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = vi_lcb(data, discount=0.5)
        assert [s.name for s in both.status] == ["CONVERGED", "IMITATION"]
        assert repr(both).startswith("Plan(policy (2, 1), 1 CONVERGED, 1 IMITATION, error bound ")
        assert repr(both).endswith("; 1 of 2 depart nowhere from imitation)")
        assert repr(vi_lcb(data[1], discount=0.5)).endswith("; departs nowhere from imitation)")
        assert repr(both).count("\n") == 0
        vi_lcb(data[:0], discount=0.5)
        vi_lcb(MDPData([[0, 0]], [[[0], [0]]], [[[0], [0]]], [[0.0, 0.0]]), discount=0.5)
        algorithm_3(data[1], discount=0.5, rng=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, e: moving_constant(d), "discount must be given for vi_lcb"),
        (lambda d, e: moving_constant(d, discount=1.0), r"discount must be in \[0, 1\)"),
        (lambda d, e: moving_constant(d, discount=0.3, rule="vi_lcb_bernstein"), r"discount must be in \[0.5, 1\)"),
        (lambda d, e: moving_constant(d, discount=0.9, rule="pevi"), "rule must be one of 'vi_lcb'"),
        (lambda d, e: moving_constant(d, discount=0.9, log_factor=1.0), "log_factor must not be given for vi_lcb"),
        (lambda d, e: moving_constant(d, rule="vi_lcb_episodic"), "data must have a step axis"),
        (lambda d, e: moving_constant(e, discount=0.9), "discount must not be given for vi_lcb_episodic"),
        (lambda d, e: moving_constant(e, discount=0.9, rule="vi_lcb"), "data must have no step axis"),
        (lambda d, e: moving_constant(e, delta=0.0), r"delta must be in \(0, 1\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(logged(1, "vi_lcb"), logged(1, "vi_lcb_episodic"))


def test_where_no_reward_exceeds_the_smallest_no_number_of_visits_is_named():
    data = MDPData([[3, 2]], [[[0], [0]]], [[[3], [2]]], [[0.0, 0.0]])
    with pytest.warns(ImitationWarning, match="no number of visits would move a value"):
        vi_lcb(data, discount=0.9)
