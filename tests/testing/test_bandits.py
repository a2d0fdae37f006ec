"""Right rules pass, wrong rules fail with the message meant for them, strategies draw what they say."""

import math
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import settings

from pessimism.bandits import (
    BanditData,
    bernstein_lcb,
    greedy,
    hoeffding_level,
    index_rule,
    lcb,
    most_played,
)
from pessimism.testing import RuleError, check_rule
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
            check_rule(WRONG["argmax over axis 1"][0])
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert capfd.readouterr() == ("", "")


# check_rule: wrong rules


@pytest.mark.parametrize("delta", [0.5, 0.1, 0.01])
def test_a_fixed_delta_is_read_off(delta):
    with pytest.raises(RuleError, match=rf"delta is fixed at {delta:g},"):
        check_rule(partial(lcb, delta=delta), level=hoeffding_level, examples=10)


def test_without_a_claim_no_width_is_wrong():
    check_rule(wrong_rules.forgot_square_root, examples=30)


@pytest.mark.parametrize("name", ["S from the first axis", "pulls in 32 bits"])
def test_without_a_claim_too_a_mistake_is_found_where_it_shows(name):
    rule, message = WRONG[name]
    with pytest.raises(RuleError, match=message):
        check_rule(rule, examples=5)


def test_a_constant_far_from_ours_is_asked_where_it_decides():
    def paper(data):  # S from the first axis, at 4000 times the level
        return index_rule(data, 2000 * np.log(2 * len(data.counts) * data.n_arms * np.maximum(data.n, 1)))

    with pytest.raises(RuleError, match=WRONG["S from the first axis"][1]):
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

    for rule, name in [(Rule(), r"Rule\(3\)"), (partial(wrong_rules.sums_for_means), "sums_for_means")]:
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
    ("name", "promise"),
    [
        ("unit range", "scale"),
        ("total over the batch", "batch"),
        ("low numbers", "arms"),
        ("odd contexts", "contexts"),
        ("random ties", "repeat"),
    ],
)
def test_one_declared_mistake_leaves_nothing_else(name, promise):
    waive = {promise, "scale"} if name == "low numbers" else {promise}
    check_rule(WRONG[name][0], waive=waive | {"batch"} if promise == "repeat" else waive, examples=25)


@pytest.mark.usefixtures("hardly_shrunk")
def test_a_waiver_does_not_cover_the_rest():
    with pytest.raises(RuleError, match='"batch"'):
        check_rule(wrong_rules.no_batch, waive=["repeat", "pulled", "arms", "contexts", "shift", "scale"])
    with pytest.raises(RuleError, match='"level": the square root is missing'):
        check_rule(wrong_rules.forgot_square_root, waive=["pulled"], level=hoeffding_level)


# measuring a level


@pytest.mark.parametrize("level", [-2.0, 0.0, 0.3, 7.0])
def test_the_measured_lead_is_that_of_the_level(level):
    for duel in _level.duels(lambda n, s, a: level):
        lead = _level.measure(lambda data: np.asarray(index_rule(data, level), np.int64), duel)
        assert lead == pytest.approx(duel.lead(level), abs=1e-7)
        assert duel.level(duel.lead(level)) == pytest.approx(level)
        assert duel.data(lead).n == duel.n
