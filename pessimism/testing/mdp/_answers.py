"""What planners and offline rules return, read with care: a policy and values, or a sentence on what is wrong."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints

ROUNDING = 1e-9
"""How far the probabilities of a policy may be from a total of one."""


class Sizes(NamedTuple):
    """Shape of the answer that a model or a data set asks for."""

    batch: tuple[int, ...]
    steps: tuple[int, ...]
    n_states: int
    n_actions: int

    @property
    def states(self) -> tuple[int, ...]:
        return (*self.batch, *self.steps, self.n_states)


class Answer(NamedTuple):
    """A valid answer: the policy as probabilities (..., [H,] S, A), values (..., [H,] S), error bounds (...) if any.

    `policy` is what was returned, for messages.
    """

    law: Floats
    value: Floats
    error_bound: Floats | None
    policy: NDArray[Any]

    def __str__(self) -> str:
        return f"{self.policy.tolist()} with values {self.value.tolist()}"

    def renumbered(self, states: Ints | None = None, actions: Ints | None = None) -> "Answer":
        """The answer about a problem whose state i was ``states[i]`` here, in the numbers used here."""
        law, value = self.law, self.value
        if states is not None:
            back = np.argsort(states)
            law, value = law[..., back, :], value[..., back]
        if actions is not None:
            law = law[..., np.argsort(actions)]
        return Answer(law, value, self.error_bound, self.policy)


def read(result: Any, sizes: Sizes, *, single: bool = False) -> Answer | str:
    """The answer, or what is wrong with it; `single` if values of 7 digits will do."""
    for name in ("policy", "value"):
        if not hasattr(result, name):
            return (
                f"its answer must have .policy and .value, as a Plan has, got {type(result).__name__} without .{name}"
            )
    policy, value = np.asarray(result.policy), np.asarray(result.value)
    law = _law(policy, sizes)
    wrong = law if isinstance(law, str) else _wrong_value(value, sizes, single)
    bound = getattr(result, "error_bound", None)
    if wrong is None and bound is not None:
        bound = np.asarray(bound, dtype=np.float64)
        if bound.shape not in ((), sizes.batch) or not np.all(bound >= 0):
            wrong = f"error_bound must hold one number at least 0 a {_item(sizes)}, got {bound.tolist()}"
    if isinstance(law, str) or wrong is not None:
        return str(wrong)
    return Answer(law, value.astype(np.float64), bound, policy)


def _law(policy: NDArray[Any], sizes: Sizes) -> Floats | str:
    kind = policy.dtype.kind
    if kind not in "iuf":
        return f"a policy holds actions (int) or their probabilities (float), its has dtype {policy.dtype}"
    laws = (*sizes.states, sizes.n_actions)
    expected = laws if kind == "f" else sizes.states
    if policy.shape != expected:
        hint = _hint(policy.shape, expected, sizes)
        if kind == "f" and policy.shape == sizes.states:
            hint = "one number per state that is no action: is max used for argmax?"
        elif kind != "f" and policy.shape == laws:
            hint = "one number per action: is the argmax missing?"
        elif kind != "f" and policy.shape in [laws[:i] + laws[i + 1 :] for i in range(len(laws) - 1)]:
            hint = "as if the best were taken over another axis: actions are the last axis (axis=-1)"
        return f"its policy must have shape {expected}, got {policy.shape}, {hint}"
    if kind == "f":
        rounding = max(ROUNDING, 8.0 * float(np.finfo(policy.dtype).eps))
        policy = policy.astype(np.float64)
        total = policy.sum(axis=-1, keepdims=True)
        if not (np.all(policy >= 0) and np.all(np.abs(total - 1) <= rounding)):
            return (
                f"a float policy holds probabilities of the actions that total 1, got totals {total[..., 0].tolist()}"
            )
        return np.asarray(policy / total)
    bad = (policy < 0) | (policy >= sizes.n_actions)
    if bad.any():
        return f"it chose action {policy[bad][0]}, but actions are numbered from 0 to {sizes.n_actions - 1}"
    return np.asarray(policy[..., None] == np.arange(sizes.n_actions), dtype=np.float64)


def _wrong_value(value: NDArray[Any], sizes: Sizes, single: bool) -> str | None:
    if value.dtype.kind not in "iuf":
        return f"values are numbers, its have dtype {value.dtype}"
    if value.dtype.kind == "f" and value.dtype.itemsize < (4 if single else 8):
        digits = np.finfo(value.dtype).precision + 1
        return (
            f"values are float64, its have dtype {value.dtype}: {digits} digits do not hold a value near "
            "1/(1 - discount)"
        )
    if value.shape != sizes.states:
        return f"its value must have shape {sizes.states}, got {value.shape}, {_hint(value.shape, sizes.states, sizes)}"
    if not np.all(np.isfinite(value)):
        return f"its value must be finite, got {value.tolist()}"
    return None


def _hint(shape: tuple[int, ...], expected: tuple[int, ...], sizes: Sizes) -> str:
    if sizes.batch and shape == expected[len(sizes.batch) :]:
        return f"one answer for the whole batch of shape {sizes.batch}: leading axes are kept"
    if sizes.steps and shape == expected[: len(sizes.batch)] + expected[len(sizes.batch) + 1 :]:
        return "no step axis: it stands directly before the states"
    return f"one entry a state{' and step' if sizes.steps else ''}{', batch axes in front' if sizes.batch else ''}"


def _item(sizes: Sizes) -> str:
    return f"item of the batch of shape {sizes.batch}" if sizes.batch else "answer"


def lines(answer: Answer | None) -> dict[str, Any]:
    """What a message shows of an answer."""
    return {} if answer is None else {"policy": answer.policy, "value": answer.value}
