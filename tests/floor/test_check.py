"""Input is clean, or one error names the argument, shows what was given, whatever it was, and says what is expected."""

from decimal import Decimal

import numpy as np
import pytest

from pessimism import _check
from pessimism._draw import front_axes

HUGE = 10**5000


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def test_a_generator_is_what_numpy_makes_of_a_seed():
    for seed in (3, np.int64(3), HUGE, [1, 2], np.random.SeedSequence(3)):
        assert _check.generator(seed).random() == np.random.default_rng(seed).random()
    given = np.random.default_rng(3)
    assert _check.generator(given) is given
    assert isinstance(_check.generator(None), np.random.Generator)


BAD = {
    "generator": ((), ["a", 1.5, np.nan, -1, [-1], b"x", {}, np.random, object(), [0.5], -HUGE]),
    "flag": ((), ["a", 1, 0.0, None, [True], np.array([1, 2]), HUGE]),
    "choice": ((("a", "b"),), ["c", 1, None, ["a"], np.array(["a", "b"]), {}, HUGE]),
    "interval": ((), [b"\x00\x01", "ab", {1, 2}, (2, 1), (1,), [[1], [1, 2]], np.eye(2), 3, (0, HUGE)]),
    "whole": ((), ["a", 1.5, HUGE, -HUGE, [HUGE], np.float16(np.inf), 2**60, 1j]),
    "real_array": ((), ["a", [HUGE, 1], [[1], [1, 2]], np.longdouble("1e400"), Decimal(1)]),
    "listed": (("numbers",), ["ab", b"ab", 3, None, HUGE, np.array(3)]),
    "function": (("of x",), [3, "a", None, HUGE, [len]]),
}


@pytest.mark.parametrize("check", BAD)
def test_what_is_wrong_is_one_error_that_names_the_argument(check):
    rest, values = BAD[check]
    arguments = (lambda value: (value, "x")) if check == "generator" else (lambda value: ("x", value, *rest))
    for value in [*values, Unprintable()]:
        with pytest.raises((TypeError, ValueError), match=r"^x(\[\d\])? must ") as error:
            getattr(_check, check)(*arguments(value))
        assert len(str(error.value)) < 400
    with pytest.raises(ValueError, match="size must be a whole number or a tuple of them"):
        front_axes([[1]])


def test_values_are_shown_on_one_short_line():
    assert _check.shown("a") == "'a'"
    assert _check.shown(-HUGE) == "an integer of about 5000 digits"
    assert _check.shown([HUGE]) == "a list that cannot be printed"
    assert _check.shown(Unprintable()) == "a Unprintable that cannot be printed"
    assert len(_check.shown("x" * 1000)) == 200
    assert "\n" not in _check.shown(np.eye(20))


def test_counts_of_half_precision_are_counts():
    assert _check.whole_array("n", np.array([3, 2048], np.float16)).tolist() == [3, 2048]
    assert front_axes(np.float16(3)) == (3,)
