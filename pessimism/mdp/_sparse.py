"""Transition matrices of scipy.sparse to padded lists of successors, without a dense matrix in between."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp import _input
from pessimism.mdp._feasible import feasible

LARGEST_TABLE = 10**9
"""Entries of padded lists: more means that a few long rows should be kept apart, or the model made dense."""


def tables(
    transitions: Any, rewards: Any, ends: ArrayLike | None, allowed: ArrayLike | None
) -> tuple[Ints, Floats, ArrayLike]:
    """Lists, probabilities and rewards (of successors, if they are sparse too) from one matrix a pair or an action."""
    matrix, n_actions = _by_pair("transitions", transitions)
    n_states = matrix.shape[1]
    ending = _input.terminal(ends, n_states)
    read = feasible(allowed, (n_states, n_actions), ending).ravel()
    pair, successor, shares = _entries(matrix)
    kept = read[pair] & (shares != 0.0)
    pair, successor, shares = pair[kept], successor[kept], shares[kept]
    lengths = np.bincount(pair, minlength=n_states * n_actions)
    may_be_empty = ~read | (np.repeat(ending, n_actions) & (lengths == 0))
    _require_laws(transitions, (pair, successor, shares), may_be_empty, n_actions)
    width = max(int(lengths.max(initial=1)), 1)
    if lengths.size * width > LARGEST_TABLE:
        longest = _row(transitions, int(lengths.argmax()), n_actions)
        raise ValueError(
            f"{longest} must have fewer successors: lists of its {width} for every pair would hold "
            f"{lengths.size * width:.2g} entries, and at most {LARGEST_TABLE:.0e} are made"
        )
    shape = (n_states, n_actions, width)
    slot = np.arange(pair.size) - (np.cumsum(lengths) - lengths)[pair]
    lists = np.repeat(np.arange(n_states), n_actions * width).reshape(-1, width)
    probabilities = np.zeros(lists.shape)
    lists[pair, slot], probabilities[pair, slot] = successor, shares
    probabilities[lengths == 0, 0] = 1.0
    if not _is_sparse(rewards):
        return lists.reshape(shape), probabilities.reshape(shape), rewards
    earned, other = _by_pair("rewards", rewards)
    if (earned.shape, other) != (matrix.shape, n_actions):
        raise ValueError(f"rewards must be of {n_states} states and {n_actions} actions, as transitions are")
    gains, wanted = np.zeros(lists.shape), pair * n_states + successor
    own_pair, own_successor, amounts = _entries(earned)
    stored = own_pair * n_states + own_successor  # sorted, as `wanted` is
    place = np.minimum(np.searchsorted(stored, wanted), max(stored.size - 1, 0))
    if stored.size:
        gains[pair, slot] = np.where(stored[place] == wanted, amounts[place], 0.0)
    return lists.reshape(shape), probabilities.reshape(shape), gains.reshape(shape)


def _is_sparse(value: Any) -> bool:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    return hasattr(first, "tocsr")


def _entries(matrix: Any) -> tuple[Ints, Ints, Floats]:
    """Row, column and number of every entry."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows, matrix.indices.astype(np.int64), matrix.data


def _by_pair(name: str, value: Any) -> tuple[Any, int]:
    """One CSR matrix (S A, S) with sorted entries, each of them once, in float64; and A."""
    from scipy import sparse

    expected = "a sparse matrix (S A, S), or one (S, S) an action"
    parts = [value] if hasattr(value, "tocsr") else _check.listed(name, value, "sparse matrices")
    if any(getattr(part, "dtype", np.dtype(float)).kind not in "biuf" for part in parts):
        raise TypeError(f"{name} must hold numbers, got {_check.shown(value)}")
    if hasattr(value, "tocsr"):
        whole = sparse.csr_array(value, dtype=np.float64, copy=True) if value.ndim == 2 else value
        if value.ndim != 2 or 0 in value.shape or value.shape[0] % value.shape[1]:
            raise ValueError(f"{name} must be {expected}, got shape {value.shape}")
        n_actions = value.shape[0] // value.shape[1]
    else:
        for a, part in enumerate(parts):
            if not hasattr(part, "tocsr"):
                raise TypeError(f"{name}[{a}] must be a scipy.sparse matrix, got {_check.shown(part)}; see MDP.dense")
            if part.shape != (parts[0].shape[0],) * 2 or 0 in part.shape:
                raise ValueError(f"{name} must be {expected}, got {name}[{a}] of shape {part.shape}")
        if not parts:
            raise ValueError(f"{name} must be {expected}, got none")
        n_actions, size = len(parts), parts[0].shape[0]
        stacked = sparse.csr_array(sparse.vstack(parts, format="csr"), dtype=np.float64)
        whole = stacked[np.arange(n_actions * size).reshape(n_actions, size).T.ravel()]
    whole.sum_duplicates()
    return whole, n_actions


def _row(given: Any, pair: int, n_actions: int) -> str:
    """The row of a pair, as the caller would write it."""
    state, action = divmod(pair, n_actions)
    at = f"[{pair}]" if hasattr(given, "tocsr") else f"[{action}][{state}]"
    return f"transitions{at} (state {state}, action {action})"


def _require_laws(given: Any, entries: tuple[Ints, Ints, Floats], exempt: Any, n_actions: int) -> None:
    """Raise a ValueError for the first row that is not a law."""
    pairs, successors, shares = entries
    good = np.isfinite(shares) & (shares >= 0.0)
    if not good.all():
        bad = int(np.flatnonzero(~good)[0])
        where = f"{_row(given, int(pairs[bad]), n_actions)}, to state {successors[bad]},"
        raise ValueError(f"{where} must hold probabilities, finite and at least 0, got {shares[bad].item()!r}")
    totals = np.bincount(pairs, shares, exempt.size).astype(np.float64)  # bincount of nothing is of whole numbers
    rounding = 2.0**-52 * np.bincount(pairs, minlength=exempt.size)  # one after the other, a long row is added up badly
    good = (np.abs(totals - 1.0) <= _check.SUM_TOLERANCE + rounding) | exempt
    if not good.all():
        pair = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"{_row(given, pair, n_actions)} must sum to 1 within {_check.SUM_TOLERANCE:g}, got {totals[pair].item()!r}"
            ": if that is what you mean, divide by it in float64"
        )
