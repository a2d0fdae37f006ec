"""Right rules pass, wrong rules fail with the message meant for them, strategies draw what they say."""

import math
import os
import re
import subprocess
import sys
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from pessimism.bandits import (
    Bandit,
    BanditData,
    bernstein_lcb,
    greedy,
    hoeffding_level,
    index_rule,
    lcb,
    most_played,
)
from pessimism.testing import RuleError, bandit_data, bandits, behaviors, check_rule
from pessimism.testing.bandit import _level
from tests.testing import wrong_rules
from tests.testing.wrong_rules import WRONG

SHIPPED = {
    "lcb": (lcb, {"level": hoeffding_level}),
    "greedy": (greedy, {"level": 0.0}),
    "most_played": (most_played, {"level": math.inf}),
    "bernstein_lcb": (bernstein_lcb, {}),
}


def among_the_common(data):
    """Best mean among the arms with more than a fifth of the rounds: a threshold is no overflow."""
    common = (5 * data.counts > data.counts.sum(axis=-1, keepdims=True)) & (data.counts > 0)
    return np.where(common, data.means, -np.inf).argmax(axis=-1)


FAMILY = {
    **{
        f"level {level}": (partial(index_rule, level=level), {"level": level})
        for level in (-1.0, 0.3, 1, 5, math.inf, -math.inf)
    },
    "another delta": (partial(lcb, delta=0.1), {"level": lambda n, s, a: hoeffding_level(n, s, a, delta=0.1)}),
    "as printed": (
        partial(lcb, paper_constants=True),
        {"level": partial(hoeffding_level, constant=2000.0), "waive": ["pulled"]},
    ),
    "unseen at 0": (partial(lcb, unseen=0.0), {"level": hoeffding_level, "waive": ["pulled"]}),
    "unseen at 5": (partial(greedy, unseen=5.0), {"level": 0, "waive": ["pulled"]}),
    "random ties": (partial(lcb, rng=0), {"level": hoeffding_level, "waive": ["batch"]}),
    "a share of the rounds": (among_the_common, {}),
    "ours by hand": (wrong_rules.correct, {"level": hoeffding_level}),
}


# check_rule: right rules


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_rule_passes_many_examples(name):
    """Twice what every wrong rule is caught with; in a deep run thousands."""
    rule, claims = SHIPPED[name]
    check_rule(rule, examples=settings.default.max_examples, **claims)


@pytest.mark.parametrize("name", FAMILY)
def test_the_rest_of_the_family_passes(name):
    rule, claims = FAMILY[name]
    check_rule(rule, examples=25, **claims)


def test_three_lines_in_another_project_are_a_test(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from pessimism.bandits import greedy\n"
        "from pessimism.testing import check_rule\n"
        "def test_right(): check_rule(greedy, examples=5)\n"
        "def test_wrong(): check_rule(lambda data: data.sums.argmax(axis=-1), examples=5)\n"
    )
    run = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(run, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout
    assert "pessimism.testing.RuleError: <lambda> breaks" in done.stdout
    assert "test_mine.py:4: RuleError" in done.stdout  # the line of the test, not one of ours


def test_nothing_is_printed_and_the_answer_is_the_same_in_every_run(capfd):
    messages = []
    for _ in range(2):
        with pytest.raises(RuleError) as error:
            check_rule(wrong_rules.argmax_over_axis_one)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert capfd.readouterr() == ("", "")


# check_rule: wrong rules


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.__name__)
def test_a_wrong_rule_is_told_what_it_does_wrong(rule):
    examples = 10 if WRONG[rule].startswith('"level"') else 50  # duels tell those, whatever is drawn
    with pytest.raises(RuleError) as error:
        check_rule(rule, level=hoeffding_level, examples=examples)
    first_line = str(error.value).split("\n")[0]
    assert re.match(f"{rule.__name__} breaks {WRONG[rule]}", first_line)


@pytest.mark.parametrize("delta", [0.5, 0.1, 0.01])
def test_a_fixed_delta_is_read_off(delta):
    with pytest.raises(RuleError, match=rf"delta is fixed at {delta:g},"):
        check_rule(partial(lcb, delta=delta), level=hoeffding_level, examples=10)


def test_without_a_claim_no_width_is_wrong():
    check_rule(wrong_rules.forgot_square_root, examples=30)


@pytest.mark.parametrize("rule", [wrong_rules.first_axis, wrong_rules.pulls_in_32_bits])
def test_without_a_claim_too_a_mistake_is_found_where_it_shows(rule):
    with pytest.raises(RuleError, match=WRONG[rule]):
        check_rule(rule, examples=5)


def test_a_constant_far_from_ours_is_asked_where_it_decides():
    def paper(data):  # S from the first axis, at 4000 times the level
        return index_rule(data, 2000 * np.log(2 * len(data.counts) * data.n_arms * np.maximum(data.n, 1)))

    with pytest.raises(RuleError, match=WRONG[wrong_rules.first_axis]):
        check_rule(paper, examples=5)


@pytest.mark.parametrize(("factor", "passes"), [(1.005, True), (0.995, True), (1.05, False), (0.95, False)])
def test_a_level_is_held_to_one_percent_of_the_width(factor, passes):
    rule = partial(index_rule, level=3.0 * factor**2)
    if passes:
        check_rule(rule, level=3.0, examples=30)
    else:
        with pytest.raises(RuleError, match=f"its widths {factor:g} times"):
            check_rule(rule, level=3.0, examples=10)


@pytest.mark.usefixtures("hardly_shrunk")
def test_a_rule_that_holds_its_level_in_duels_only_is_found():
    def only_complete(data):
        return np.where(np.any(data.counts == 0, axis=-1), greedy(data), lcb(data))

    with pytest.raises(RuleError, match=r'only_complete breaks "level": in context \d it chose arm \d, with index'):
        check_rule(only_complete, level=hoeffding_level, examples=30)


@pytest.mark.parametrize("field", ["counts", "sums", "squares"])
def test_the_array_written_into_is_named(field):
    def careless(data):
        array = getattr(data, field)
        array += 1
        return np.zeros(data.counts.shape[:-1], int)

    with pytest.raises(RuleError, match=rf'careless breaks "mutation": it wrote into data\.{field}'):
        check_rule(careless)


def test_an_exception_on_drawn_data_keeps_its_cause():
    def brittle(data):
        if not data.shape and data.counts.shape[0] == 3:
            raise KeyError("three")
        return greedy(data)

    with pytest.raises(RuleError, match=r"brittle breaks \"contract\": it raised KeyError: 'three'") as error:
        check_rule(brittle)
    assert isinstance(error.value.__cause__, KeyError)
    assert "fixed example" not in str(error.value)


def test_a_rule_that_is_random_only_now_and_then_is_found():
    generator = np.random.default_rng(5)

    def sometimes(data):
        lucky = (data.n > 500) & (generator.random(data.shape) < 0.5)
        return np.where(lucky[..., None], most_played(data), greedy(data))

    # asked twice and then in a batch, it is caught by whichever answer differs first
    with pytest.raises(RuleError, match=r'"(repeat|batch)"'):
        check_rule(sometimes, examples=100)


@pytest.mark.usefixtures("hardly_shrunk")
def test_the_lines_of_a_message_rebuild_its_data():
    with pytest.raises(RuleError) as error:
        check_rule(wrong_rules.sums_for_means, examples=30)
    lines: dict[str, object] = {}
    exec("\n".join(line.strip() for line in str(error.value).split("\n")[2:]), lines)
    data = BanditData(lines["counts"], lines["sums"], lines["squares"], lines["reward_range"])
    assert wrong_rules.sums_for_means(data).tolist() == lines["answer"]


def test_every_rule_has_a_name():
    class Rule:
        def __repr__(self):
            return "Rule(3)"

        def __call__(self, data):
            return data.counts

    for rule, name in [(Rule(), r"Rule\(3\)"), (partial(wrong_rules.forgot_argmax), "forgot_argmax")]:
        with pytest.raises(RuleError, match=f"^{name} breaks"):
            check_rule(rule)


# check_rule: declarations and bad arguments


@pytest.mark.parametrize(
    ("rule", "promise"), [(partial(lcb, paper_constants=True), "pulled"), (wrong_rules.no_batch, "batch")]
)
def test_a_waived_promise_is_not_held_and_the_message_says_how(rule, promise):
    with pytest.raises(RuleError, match=rf'declare it: check_rule\(\.\.\., waive=\["{promise}"\]\)'):
        check_rule(rule)
    check_rule(rule, waive=[promise], examples=25)


@pytest.mark.parametrize(
    ("rule", "promise"),
    [
        (wrong_rules.unit_range, "scale"),
        (wrong_rules.total_over_batch, "batch"),
        (wrong_rules.prefers_low_numbers, "arms"),
        (wrong_rules.explores_in_odd_contexts, "contexts"),
        (wrong_rules.random_ties, "repeat"),
    ],
)
def test_one_declared_mistake_leaves_nothing_else(rule, promise):
    waive = {promise, "scale"} if rule is wrong_rules.prefers_low_numbers else {promise}
    check_rule(rule, waive=waive | {"batch"} if promise == "repeat" else waive, examples=25)


@pytest.mark.usefixtures("hardly_shrunk")
def test_a_waiver_does_not_cover_the_rest():
    with pytest.raises(RuleError, match='"batch"'):
        check_rule(wrong_rules.no_batch, waive=["repeat", "pulled", "arms", "contexts", "shift", "scale"])
    with pytest.raises(RuleError, match='"level": the square root is missing'):
        check_rule(wrong_rules.forgot_square_root, waive=["pulled"], level=hoeffding_level)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"rule": 3}, TypeError, "rule must be a function of the data, got 3"),
        ({"examples": 0}, ValueError, "examples must be"),
        ({"waive": ["level"]}, ValueError, "waive must be one of 'repeat', 'batch'"),
        ({"waive": "pulled"}, TypeError, "waive must be a collection of names"),
        ({"level": math.nan}, ValueError, "level must be a number, not NaN"),
        ({"level": lambda n, s, a: math.nan}, ValueError, "level must be a number, not NaN"),
        ({"level": lambda n, s, a: n}, ValueError, "level must be small beside n"),
    ],
)
def test_bad_arguments_are_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        check_rule(**{"rule": greedy, "examples": 1} | arguments)


# measuring a level


@pytest.mark.parametrize("level", [-2.0, 0.0, 0.3, 7.0])
def test_the_measured_lead_is_that_of_the_level(level):
    for duel in _level.duels(lambda n, s, a: level):
        lead = _level.measure(lambda data: np.asarray(index_rule(data, level), np.int64), duel)
        assert lead == pytest.approx(duel.lead(level), abs=1e-7)
        assert duel.level(duel.lead(level)) == pytest.approx(level)
        assert duel.data(lead).n == duel.n


# strategies


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
def test_data_are_as_asked(data, untied):
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
    ],
)
def test_instructive_examples_occur(strategy, property_):
    unshrunk = settings(max_examples=2000, database=None, deadline=None, phases=[Phase.generate])
    find(strategy, property_, settings=unshrunk, random=Random(1))


def test_examples_shrink_to_the_simplest():
    quiet = settings(max_examples=50, database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
    assert find(bandit_data(), lambda data: True, settings=quiet).counts.tolist() == [[0]]
    assert find(behaviors(), lambda law: law.size == 4, settings=quiet).tolist() in (
        [[1, 0, 0, 0]],
        [[1], [0], [0], [0]],
    )
    assert find(bandits(), lambda bandit: True, settings=quiet).means.tolist() == [[0]]
    with pytest.raises(NoSuchExample):
        find(behaviors(zeros=False), lambda law: (law == 0).any(), settings=quiet)


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
    ],
)
def test_invalid_arguments_are_refused_when_the_strategy_is_made(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_given_model_sets_the_shape():
    bandit = Bandit([[0.1, 0.2, 0.3]])
    assert find(
        behaviors(bandit=bandit), lambda law: True, settings=settings(database=None, phases=[Phase.generate])
    ).shape == (
        1,
        3,
    )
