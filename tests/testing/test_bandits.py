"""Right rules pass, wrong rules fail with the message meant for them, strategies draw what they say."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from pessimism.bandits import (
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


def test_a_rule_is_measured_against_the_minimax_risk():
    check_rule(lcb, examples=1, against_minimax=(20, 2, 1.2))
    with pytest.raises(
        RuleError, match=r'lcb breaks "minimax": its worst loss over X\(1.5\) after 20 rounds is 2.19 times'
    ):
        check_rule(lcb, examples=1, against_minimax=(20, 1.5, 2))
    with pytest.raises(ValueError, match=r"against_minimax must be \(n, cstar, factor\)"):
        check_rule(lcb, against_minimax=(20, 2))
    with pytest.raises(ValueError, match=r"against_minimax\[0\] must be"):
        check_rule(lcb, against_minimax=(0, 2, 2))
