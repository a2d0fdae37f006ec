"""MDPData: added up from logs, merged, mixed, divided; the empirical model; bad input."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pessimism.mdp import MDP, MDPData, Transitions
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

SEEDS = st.integers(0, 2**32)
COINS = st.sampled_from([0.0, 1.0])


@st.composite
def logs(draw, rewards=COINS, shape=None):
    s, a = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    shape = shape or (draw(st.integers(0, 30)),)
    states, next_states = (draw(hnp.arrays(np.int64, shape, elements=st.integers(0, s - 1))) for _ in range(2))
    actions = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, a - 1)))
    received, nothing = draw(hnp.arrays(np.float64, shape, elements=rewards)), np.zeros(shape, bool)
    return Transitions(states, actions, received, next_states, nothing, ~nothing), s, a


def parts(log, *slices):
    """Pieces of a log along its last axis."""
    return [Transitions(*(getattr(log, name)[..., piece] for name in Transitions.__slots__)) for piece in slices]


def tables(data, table="next_counts"):
    """Counts or sums per successor as full tables ([H,] S, A, S)."""
    lists = data.next_states
    if data.horizon is not None:
        lists = np.broadcast_to(lists, (data.horizon, *lists.shape[1:]))
    return plain.dense(lists, getattr(data, table))


def accepted(data):
    """The same data through the checks of the constructor."""
    return MDPData(*(getattr(data, name) for name in data.__slots__))


@examples(0.5)
@given(logs(st.floats(-2, 3, width=32)))
def test_adding_up_a_log_equals_a_plain_loop(sample):
    log, s, a = sample
    data = accepted(MDPData.from_transitions(log, n_states=s, n_actions=a, reward_range=(-2, 3)))
    visits, sums = np.zeros((2, s, a, s))
    for i, j, r, k in zip(log.states, log.actions, log.rewards, log.next_states, strict=True):
        visits[i, j, k] += 1
        sums[i, j, k] += r
    assert np.array_equal(tables(data), visits)
    assert tables(data, "reward_sums") == pytest.approx(sums, abs=1e-12)
    assert np.array_equal(data.counts, visits.sum(axis=2))
    assert data.n == log.rewards.size
    means = np.where(data.counts > 0, sums.sum(axis=2) / np.maximum(data.counts, 1), -2.0)
    assert data.mean_rewards == pytest.approx(means, abs=1e-12)


@examples(0.5)
@given(logs(shape=(2, 3, 4)))
def test_episodes_are_added_up_step_by_step(sample):
    log, s, a = sample
    data = accepted(MDPData.from_transitions(log, n_states=s, n_actions=a, per_step=True))
    assert (data.shape, data.horizon, data.counts.shape) == ((2,), 4, (2, 4, s, a))
    visits, sums = plain.count(log.states, log.actions, log.rewards, log.next_states)
    expected = np.zeros((2, 2, 4, s, a, s))
    for (i, _, h, *cell), k in visits.items():
        expected[(0, i, h, *cell)] += k
    for (i, _, h, *cell), x in sums.items():
        expected[(1, i, h, *cell)] += x
    for i in range(2):
        assert np.array_equal(tables(data[i]), expected[0, i])
        assert np.array_equal(tables(data[i], "reward_sums"), expected[1, i])


def test_logs_with_leading_axes_are_separate():
    mdp = MDP.dense(*plain.tables(np.random.default_rng(1), 3, 2), 0.9, reward_law="bernoulli")
    log = mdp.sample_log([0, 1, 0], n=4, steps=5, size=(2, 3), rng=1)
    data = MDPData.from_transitions(log, n_states=3, n_actions=2)
    assert data.shape == (2, 3, 4)
    for i in np.ndindex(2, 3, 4):
        one = Transitions(*(getattr(log, name)[i] for name in Transitions.__slots__))
        assert np.array_equal(tables(data[i]), tables(MDPData.from_transitions(one, n_states=3, n_actions=2)))
    assert data[0].shape == (3, 4)
    assert data[:, 1:].shape == (2, 2, 4)
    assert data[np.array([1, 0, 1])].shape == (3, 3, 4)
    assert np.array_equal(data[..., 0].counts, data.counts[:, :, 0])
    with pytest.raises(IndexError, match="no batch axis"):
        data[0, 0, 0][0]


@pytest.mark.parametrize(
    ("rewards", "law", "span"),
    [
        ([0.0, 1.0, 1.0], "bernoulli", (0, 1)),
        ([0.5, 0.5, 0.25], "deterministic", (0, 1)),
        ([0.5, 0.25, 0.25], "other", (0, 1)),
        ([2.0, 2.0, 5.0], "deterministic", (2, 5)),
        ([2.0, 2.0, 2.0], "deterministic", (2, 3)),
    ],
)
def test_a_log_shows_the_law_and_the_range_of_its_rewards(rewards, law, span):
    """The first two transitions are the same, the third is another."""
    data = MDPData.from_transitions(Transitions([0, 0, 0], [0, 0, 0], rewards, [0, 0, 1], None, [False, False, True]))
    assert (data.reward_law, data.reward_range) == (law, span)


@examples(0.5)
@given(logs(st.floats(0, 1, width=16)), st.integers(0, 30))
def test_merging_two_logs_is_concatenating_them(sample, cut):
    """Though each has only the successors that it met on its lists."""
    log, s, a = sample
    first, second = (
        MDPData.from_transitions(part, n_states=s, n_actions=a) for part in parts(log, slice(0, cut), slice(cut, None))
    )
    whole, merged = MDPData.from_transitions(log, n_states=s, n_actions=a), first.merge(second)
    assert np.array_equal(tables(merged), tables(whole))
    assert tables(merged, "reward_sums") == pytest.approx(tables(whole, "reward_sums"), abs=1e-12)
    if whole.reward_law == first.reward_law == second.reward_law:
        assert merged.reward_law == whole.reward_law
    assert merged.reward_law in (whole.reward_law, "other")  # never more than the log shows
    assert np.array_equal(tables(second.merge(first)), tables(whole))


def test_merged_lists_are_matched_by_state_not_by_place():
    lists = np.array([[[0, 1]], [[1, 0]]])
    one = MDPData([[2], [0]], lists, [[[2, 0]], [[0, 0]]], [[[1.0, 0.0]], [[0.0, 0.0]]], reward_law="deterministic")
    same = MDPData([[1], [0]], lists[::-1], [[[0, 1]], [[0, 0]]], [[[0, 0.5]], [[0, 0]]], reward_law="deterministic")
    other = MDPData([[1], [0]], lists[::-1], [[[0, 1]], [[0, 0]]], [[[0, 0.25]], [[0, 0]]], reward_law="deterministic")
    assert one.merge(same).reward_law == "deterministic"
    assert one.merge(other).reward_law == "other"
    assert tables(one.merge(same)).tolist() == [[[3, 0]], [[0, 0]]]
    assert tables(one.merge(other), "reward_sums").tolist() == [[[1.25, 0.0]], [[0.0, 0.0]]]


def test_merging_keeps_only_what_all_logs_know_of_their_rewards():
    """Sums per pair hide that rewards differ by successor; lists may hold a successor twice."""
    options = {"reward_law": "deterministic"}
    by_successor = MDPData([[2], [0]], [[[0, 1]]] * 2, [[[1, 1]], [[0, 0]]], [[[0.0, 1.0]], [[0.0, 0.0]]], **options)
    by_pair = MDPData([[2], [0]], [[[0, 1]]] * 2, [[[1, 1]], [[0, 0]]], [[1.0], [0.0]], **options)
    assert by_pair.merge(by_pair).reward_law == by_successor.merge(by_successor).reward_law == "deterministic"
    joined = by_successor.merge(by_pair)
    assert (joined.reward_law, joined.per_successor) == ("other", False)
    assert joined.reward_sums.tolist() == [[2.0], [0.0]]
    twice = MDPData([[2]], [[[0, 0]]], [[[1, 1]]], [[[0.0, 1.0]]], **options)
    once = MDPData([[0]], [[[0]]], [[[0]]], [[[0.0]]], **options)
    assert twice.merge(twice).reward_law == "deterministic"
    assert twice.merge(once).reward_law == "other"
    coins = MDPData([[2], [0]], [[[0, 1]]] * 2, [[[1, 1]], [[0, 0]]], [[1.0], [0.0]])
    assert coins.merge(by_pair).reward_law == "other"


def test_merging_steps_and_batches():
    mdp = MDP.dense(*plain.tables(np.random.default_rng(2), 3, 2), horizon=3, reward_law="bernoulli")
    data = mdp.sample_episodes([0, 1, 0], n=9, size=(4, 1), rng=1)
    log = MDPData.from_transitions(
        mdp.sample_log([0, 1, 1], n=5, size=2, rng=2), n_states=3, n_actions=2, per_step=True
    )
    assert len(data.next_states) == 1  # one list serves all steps; those of the log differ by step
    merged = log.merge(data)
    assert merged.shape == (4, 2)
    for i, j in np.ndindex(4, 2):
        assert np.array_equal(tables(merged[i, j]), tables(data[i, 0]) + tables(log[j]))


def divisible(rng, per_successor, law, size=()):
    matrices, rewards, start = plain.tables(rng, 3, 2)
    rewards = rng.random((3, 2, 3)) if per_successor else rewards
    mdp = MDP.dense(matrices, rewards, start, 0.9, reward_law=law)
    return mdp.sample(np.full((3, 2), 1 / 6), n=40, size=size, rng=rng)


@examples(0.5)
@given(SEEDS, st.booleans(), st.sampled_from(["bernoulli", "deterministic"]), st.integers(1, 4))
def test_parts_are_parts_and_add_up(seed, per_successor, law, k):
    rng = np.random.default_rng(seed)
    data = divisible(rng, per_successor, law, (2,))
    folds, part = data.folds(k, rng), data.subsample(15, rng)
    assert folds.shape == (k, 2)
    assert np.array_equal(folds.next_counts.sum(axis=0), data.next_counts)
    assert folds.reward_sums.sum(axis=0) == pytest.approx(data.reward_sums, rel=1e-12)
    assert np.all(part.n == 15)
    assert np.all(part.next_counts <= data.next_counts)
    for piece in (accepted(folds), accepted(part)):
        visits = piece.next_counts if per_successor else piece.counts
        rest = (data.next_counts if per_successor else data.counts) - visits
        if law == "bernoulli":
            assert np.all(piece.reward_sums <= data.reward_sums)
            assert np.all(visits - piece.reward_sums <= rest + visits - data.reward_sums)
        else:
            means = np.broadcast_to(data.reward_sums / np.maximum(rest + visits, 1), visits.shape)
            assert piece.reward_sums == pytest.approx(visits * means, rel=1e-12)
    assert np.array_equal(data.subsample(40, rng).reward_sums, data.reward_sums)
    assert np.array_equal(data.folds(1, rng)[0].reward_sums, data.reward_sums)


@pytest.mark.parametrize("n", [2 * 10**9, 2**52])
def test_logs_of_any_length_are_divided(n):
    """Shares within 6 standard deviations, false alarm below 1e-6 in all: 0/1 rewards, with and without replacement."""
    coins = MDPData([[n, n]], [[[0, 0], [0, 0]]], [[[n // 4, n - n // 4]] * 2], [[n / 2, n / 4]])
    folds, part = coins.folds(4, rng=1), coins.subsample(n // 2, rng=2)
    assert np.array_equal(folds.next_counts.sum(axis=0), coins.next_counts)
    assert np.array_equal(folds.reward_sums.sum(axis=0), coins.reward_sums)
    assert part.n == n // 2
    for piece in (*(accepted(folds)[k] for k in range(4)), accepted(part)):
        for got, whole in ((piece.next_counts, coins.next_counts), (piece.reward_sums, coins.reward_sums)):
            assert np.all(np.abs(got - whole / 4) < 6 * np.sqrt(whole * 3 / 16))
    step = MDP.dense(np.full((2, 2, 2), 0.5), np.full((2, 2), 0.5), horizon=2, reward_law="bernoulli")
    episodes = step.sample_episodes(np.full((2, 2), 0.5), n=n // 2, rng=3)
    halves = episodes.split_episodes(rng=4)
    assert [half.n for half in halves] == [n // 4 * 2] * 2
    assert np.all(np.abs(halves[0].reward_sums - episodes.reward_sums / 2) < 3 * np.sqrt(episodes.reward_sums))


def test_nothing_left_is_nothing_to_the_last_digit():
    """Sums of 0.1 are not multiples of 0.1 in float64; what is left of an entry without visits must still be 0."""
    for n in range(1, 200):
        sums = np.full((1, 1), np.add.reduce(np.full(n, 0.1)))
        data = MDPData([[n]], [[[0]]], [[[n]]], sums, reward_law="deterministic")
        folds = data.folds(3, rng=n)
        assert np.all(folds.reward_sums[folds.counts == 0] == 0.0)
        accepted(folds)


def test_mix_hits_its_shares_exactly():
    def one(action, n):
        counts = np.zeros((1, 2), int)
        counts[0, action] = n
        return MDPData(counts, [[[0], [0]]], counts[..., None], counts * (action == 1.0))

    a, b = one(0, 60), one(1, 90)
    mixed = a.mix(b, shares=(0.25, 0.75), n=80, rng=0)
    assert mixed.counts.tolist() == [[20, 60]]
    assert mixed.reward_sums.tolist() == [[0.0, 60.0]]
    assert a.mix(b, shares=(1 / 3, 2 / 3), n=8, rng=0).counts.tolist() == [[3, 5]]  # largest remainders
    assert a.mix(b, shares=(0.0, 1.0), n=90, rng=0).counts.tolist() == [[0, 90]]
    assert a.mix(b, b, shares=(0.5, 0.25, 0.25), n=40, rng=0).n == 40


@examples(0.5)
@given(SEEDS, st.booleans(), st.sampled_from(["bernoulli", "deterministic"]))
def test_halves_of_episodes_are_episodes(seed, per_successor, law):
    """Half of them each; they add up; in each half what arrives at a state is what leaves it."""
    rng = np.random.default_rng(seed)
    matrices, rewards, start = plain.tables(rng, 3, 2, (4,))
    rewards = rng.random((4, 3, 2, 3)) if per_successor else rewards
    mdp = MDP.dense(matrices, rewards, start, horizon=4, reward_law=law)
    data = mdp.sample_episodes(np.full((3, 2), 0.5), n=int(rng.integers(0, 12)), rng=rng)
    halves = data.split_episodes(rng)
    assert [half.n // 4 for half in halves] == [data.n // 4 // 2, data.n // 4 - data.n // 4 // 2]
    assert np.array_equal(sum(half.next_counts for half in halves), data.next_counts)
    assert sum(half.reward_sums for half in halves) == pytest.approx(data.reward_sums, rel=1e-12)
    for half in map(accepted, halves):
        assert np.array_equal(tables(half).sum(axis=(1, 2))[:-1], half.counts.sum(axis=2)[1:])


@given(logs())
def test_the_empirical_model_has_the_shares_and_means_of_the_log(sample):
    log, s, a = sample
    data = MDPData.from_transitions(log, n_states=s, n_actions=a)
    model = MDP.from_data(data, 0.9)
    matrices, seen = plain.dense(model.next_states, model.probabilities), data.counts > 0
    visits = tables(data)
    assert matrices[seen] == pytest.approx(visits[seen] / data.counts[seen][:, None], rel=1e-14)
    assert np.array_equal(model.mean_rewards, data.mean_rewards)
    assert np.all(model.mean_rewards[~seen] == 0.0)
    policy = np.zeros(s, int)
    values = plain.evaluate(matrices, data.mean_rewards, 0.9, plain.as_law(policy, a))
    assert model.evaluate(policy) == pytest.approx(values, rel=1e-10, abs=1e-12)


def test_empirical_models_of_batches_and_steps():
    """Also when a batch of tables per pair has the very shape of one table per successor."""
    mdp = MDP.dense([[[0.5, 0.5], [0.2, 0.8]], [[0.9, 0.1], [0.3, 0.7]]], [[0.2, 0.4], [0.6, 0.8]], discount=0.9)
    data = mdp.sample(np.full((2, 2), 0.25), n=50, size=2, rng=1)
    assert MDP.from_data(data, 0.9).shape == (2,)
    assert MDP.from_data(data, 0.9).mean_rewards == pytest.approx(data.mean_rewards, rel=1e-14)
    steps = MDP.dense(mdp.probabilities, mdp.rewards, horizon=2).sample_episodes([0, 1], n=8, size=2, rng=1)
    for batch, options in ((data, {"discount": 0.9}), (steps, {})):
        for i in range(2):
            single, many = MDP.from_data(batch[i], **options), MDP.from_data(batch, **options)
            assert many.value([1, 0])[i] == pytest.approx(single.value([1, 0]), rel=1e-14)
            assert many.horizon == batch.horizon


def test_arrays_are_owned():
    counts = np.array([[1, 2]])
    data = MDPData(counts, [[[0], [0]]], counts[..., None], [[0.0, 0.0]])
    counts[0, 0] = 7
    assert data.counts[0, 0] == 1
    for name in ("counts", "next_states", "next_counts", "reward_sums"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(data, name)[0] = 7
    assert pickle.loads(pickle.dumps(data)).n == 3


def data(counts=((2, 1),), next_states=(((0, 0), (0, 0)),), next_counts=(((1, 1), (1, 0)),), sums=((1, 0),), **options):
    return MDPData(counts, next_states, next_counts, sums, **options)


LOG = data()
OTHER = data(sums=[[0.5, 0.0]], reward_law="other")
FLOW = MDP.dense(np.eye(2)[:, None], np.zeros((2, 1)), horizon=2)
COUNTS = np.array([[[1], [1]], [[2], [0]]])
BAD = [
    (lambda: data([[-2, 1]]), r"counts\[0, 0\] must be a whole number in \[0, 2\*\*53\], got -2"),
    (lambda: data([[1.5, 1]]), r"counts\[0, 0\] must be a whole number"),
    (lambda: data([[math.nan, 1]]), r"counts\[0, 0\] must be a whole number"),
    (lambda: data([2, 1]), r"counts must end in shape \(1, 2\) to go with next_states, got \(2,\)"),
    (lambda: data([[2, 1, 0]]), r"counts must end in shape \(1, 2\) to go with next_states, got \(1, 3\)"),
    (lambda: data([[2**53, 1]]), "counts must total at most 2"),
    (lambda: data(next_states=[[[0, 1], [0, 0]]]), r"next_states\[0, 0, 1\] must be a whole number in \[0, 0\]"),
    (lambda: data(next_states=[[0, 0]]), r"next_states must have shape \(S, A, B\) or \(H, S, A, B\)"),
    (lambda: data(next_states=[[[0, 0], [0]]]), "next_states must be a rectangular array"),
    (lambda: data(next_counts=[[[1, 0], [1, 0]]]), r"next_counts.sum\(axis=-1\)\[0, 0\] must be equal to counts"),
    (lambda: data(next_counts=[[[1, 1.5], [1, 0]]]), r"next_counts\[0, 0, 1\] must be a whole number"),
    (
        lambda: data(next_counts=[[[2], [1]]]),
        r"next_counts must have shape \(1, 2, 2\) to go with counts and next_states, got \(1, 2, 1\)",
    ),
    (lambda: data(sums=[[3, 0]]), r"reward_sums\[0, 0\] must be within counts x reward_range"),
    (lambda: data(sums=[[[1, 1], [0, 1]]]), r"reward_sums\[0, 1, 1\] must be within counts"),
    (lambda: data(sums=[[0.5, 0]]), r"reward_sums\[0, 0\] must be whole .* unless reward_law says otherwise"),
    (lambda: data(sums=[[3, 0]], reward_range=(0, 2)), r"reward_sums\[0, 0\] must be whole and at most"),
    (lambda: data(sums=[[0, math.nan]]), r"reward_sums\[0, 1\] must be finite"),
    (lambda: data(sums=[1, 0]), r"reward_sums must have shape \(1, 2\) or \(1, 2, 2\), got \(2,\)"),
    (lambda: data(reward_range=(0, math.inf)), "reward_range must be finite"),
    (lambda: data(reward_range=(1, 0)), "reward_range must be a pair low < high"),
    (lambda: data(reward_law="coin"), "reward_law must be one of 'bernoulli', 'deterministic', 'other'"),
    (lambda: Transitions([0, -1], [0, 0], [0, 0], [0, 0]), r"states\[1\] must be a whole number"),
    (lambda: Transitions([0, 0], [0, 0.5], [0, 0], [0, 0]), r"actions\[1\] must be a whole number"),
    (lambda: Transitions([0, 0], [0, 0], [0, math.nan], [0, 0]), r"rewards\[1\] must be finite"),
    (lambda: Transitions([0, 0], [0, 0], [0, 0], [0]), r"next_states must have the shape \(2,\) of rewards"),
    (lambda: MDPData.from_transitions(Transitions([0], [0], [0], [2]), n_states=2), r"next_states\[0\] must be"),
    (lambda: MDPData.from_transitions(Transitions([0], [2], [0], [0]), n_actions=2), r"actions\[0\] must be"),
    (lambda: MDPData.from_transitions(Transitions([0], [0], [0], [0]), n_states=0), "n_states must be a whole"),
    (
        lambda: MDPData.from_transitions(Transitions([0], [0], [2], [0]), reward_range=(0, 1)),
        r"rewards\[0\] must be in reward_range \[0, 1\], got 2.0",
    ),
    (lambda: MDPData.from_transitions(Transitions([0], [0], [0], [0]), per_step=True), "log must have shape"),
    (lambda: MDPData.from_transitions(Transitions([2**30], [5], [0], [0])), "labels must be 0, 1, 2"),
    (lambda: LOG.merge(MDPData([[1]], [[[0]]], [[[1]]], [[0]])), r"others\[0\] must have the states, actions"),
    (lambda: LOG.merge(data(reward_range=(0, 2))), r"others\[0\] must have reward_range \(0.0, 1.0\)"),
    (lambda: LOG.folds(2, 0).merge(LOG.folds(3, 0)), "the batches of the logs must have shapes that broadcast"),
    (lambda: LOG.mix(LOG, shares=(0.4, 0.4), n=2), "shares must sum to 1"),
    (lambda: LOG.mix(LOG, shares=(1.0,), n=2), "shares must hold one number for each of 2 logs"),
    (lambda: LOG.subsample(4), "n must be at most the 3 transitions of the log, got 4"),
    (lambda: LOG.subsample(-1), "n must be a whole number"),
    (lambda: LOG.folds(0), r"k must be a whole number in \[1"),
    (lambda: OTHER.subsample(2), "data must have rewards known to be 0 or 1, or constant"),
    (lambda: OTHER.folds(2), "data must have rewards known to be 0 or 1, or constant"),
    (lambda: LOG.split_episodes(), "data must have a step axis: these are not logged episodes"),
    (lambda: FLOW.sample_at(COUNTS, rng=0).subsample(1), "data must have no step axis: divide logged episodes"),
    (
        lambda: FLOW.sample_at(COUNTS, rng=0).split_episodes(),
        "data must be of episodes: what arrives at step 1 is not what leaves there",
    ),
    (lambda: MDP.from_data(LOG), "discount must be given"),
]
OF_ANOTHER_KIND = [
    (lambda: data(np.array([[2, None]])), "counts must hold numbers, got dtype object"),
    (lambda: MDPData.from_transitions([0, 1]), "log must be a Transitions, got list"),
    (lambda: LOG.merge(LOG, "x"), r"others\[1\] must be a MDPData, got str"),
    (lambda: LOG.mix(3, shares=(0.5, 0.5), n=2), r"others\[0\] must be a MDPData, got int"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), OF_ANOTHER_KIND)
def test_arguments_of_another_kind_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_batches_of_nothing_are_divided_into_nothing():
    none = LOG.folds(2, 0)[:0]
    assert none.subsample(2).shape == none.mix(none, shares=(0.5, 0.5), n=4).shape == none[:].shape == (0,)
    for horizon, size in ((0, (3,)), (2, (0,)), (0, (0,))):
        mdp = MDP.dense(np.ones((2, 1, 2)) / 2, np.ones((2, 1)), horizon=horizon)
        data = mdp.sample_episodes([0, 0], n=5, size=size, rng=0)
        assert data[:].counts.shape == (*size, horizon, 2, 1)
        assert [half.shape for half in data.split_episodes(rng=0)] == [size, size]


def test_columns_are_not_taken_for_a_batch_and_a_constant_reward_has_a_range():
    column = Transitions([[0], [1], [1]], [[0], [0], [0]], [[5], [5], [5]], [[1], [1], [0]])
    with pytest.raises(ValueError, match=r"^log.rewards must .*, got \(3, 1\): .* log.rewards\[:, 0\].*batch=\(3,\)"):
        MDPData.from_transitions(column)
    assert MDPData.from_transitions(column, batch=(3,)).shape == (3,)
    assert MDPData.from_transitions(column, per_step=True).shape == ()
    flat = Transitions(*(x[:, 0] for x in (column.states, column.actions, column.rewards, column.next_states)))
    for reward, high in ((5.0, 6.0), (-1e20, -1e20 + 1e11)):  # in float64, 1e20 + 1 is 1e20
        log = Transitions(flat.states, flat.actions, np.full(3, reward), flat.next_states)
        model = MDP.dense([[[1.0]]], [[reward]], discount=0.5)
        assert MDPData.from_transitions(log).reward_range == model.reward_range == (reward, high)
