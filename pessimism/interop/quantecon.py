r"""QuantEcon's `DiscreteDP` as a model, and back.

======================  ===========================================================================================
in the `DiscreteDP`     in our structure
======================  ===========================================================================================
Q                       :math:`P(s' \mid s, a)`; sparse ones are never made dense
R                       mean rewards of pairs; -inf says that an action is infeasible
s_indices, a_indices    the feasible pairs, True in `feasible` (S, A)
beta                    ``discount``
======================  ===========================================================================================

A `DiscreteDP` knows no start, no terminal states and no law of the rewards; it is one model without a horizon.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._optional import optional
from pessimism._shown import shown
from pessimism.mdp import MDP

__all__ = ["from_discrete_dp", "to_discrete_dp"]

PARTS = ("R", "Q", "beta", "s_indices", "a_indices", "num_states")


def from_discrete_dp(ddp: Any, *, start: ArrayLike | None = None, horizon: int | None = None) -> MDP:
    r"""Model of a `DiscreteDP`, in its product or its state-action-pair formulation, dense or sparse.

    Parameters
    ----------
    ddp : quantecon.markov.DiscreteDP
        The problem.
    start : (..., S) array_like of float, optional
        Law :math:`\rho` of the first state, as for `MDP`. Default: uniform.
    horizon : int, optional
        H, as for `MDP`; needed where beta is 1.

    Returns
    -------
    MDP
        With `ddp.beta` as its discount. Pairs that are not listed, or whose reward is -inf, are infeasible; A is one
        more than the largest action of a pair.

    Raises
    ------
    TypeError
        If `ddp` is no `DiscreteDP`.
    ValueError
        If a row of Q is not a law, or as for `MDP`.

    See Also
    --------
    pessimism.interop.quantecon.to_discrete_dp : The way back.

    Notes
    -----
    QuantEcon does not look at its rows, `MDP` does: they must sum to one within 1e-12. Cost O(SAB), or O(SAS) for a
    dense Q.

    Examples
    --------
    Puterman's example: in state 1 there is one action.

    >>> from quantecon.markov import DiscreteDP
    >>> ddp = DiscreteDP([5, 10, -1], [(0.5, 0.5), (0, 1), (0, 1)], 0.95, s_indices=[0, 0, 1], a_indices=[0, 1, 0])
    >>> mdp = from_discrete_dp(ddp)
    >>> mdp.feasible.tolist(), mdp.optimal_values.round(3).tolist()
    ([[True, True], [True, False]], [-8.571, -20.0])
    """
    if not all(hasattr(ddp, name) for name in PARTS):
        raise TypeError(f"ddp must be a quantecon.markov.DiscreteDP, got {shown(ddp)}")
    discount = float(ddp.beta)
    if discount == 1.0 and horizon is None:
        raise ValueError("horizon must be given: with beta = 1 there is no value without one")
    if ddp.s_indices is None:
        feasible = np.asarray(ddp.R) > -np.inf
        return MDP.dense(ddp.Q, ddp.R, start, discount, horizon=horizon, feasible=feasible)
    states, actions = (np.asarray(x, np.int64) for x in (ddp.s_indices, ddp.a_indices))
    shape = (int(ddp.num_states), int(actions.max()) + 1)
    rewards = np.full(shape, -np.inf)
    rewards[states, actions] = ddp.R
    feasible = rewards > -np.inf
    if not hasattr(ddp.Q, "tocsr"):
        full = np.zeros((*shape, shape[0]))
        full[states, actions] = ddp.Q
        return MDP.dense(full, rewards, start, discount, horizon=horizon, feasible=feasible)
    from scipy import sparse

    entries, rows = ddp.Q.tocoo(), states * shape[1] + actions
    place = rows[entries.row], entries.col
    matrix = sparse.csr_array((entries.data, place), shape=(shape[0] * shape[1], shape[0]))
    return MDP.sparse(matrix, rewards, start, discount, horizon=horizon, feasible=feasible)


def to_discrete_dp(mdp: MDP, *, pairs: bool = False) -> Any:
    r"""Write a model as a `DiscreteDP`.

    Parameters
    ----------
    mdp : MDP
        One model without a horizon.
    pairs : bool
        The state-action-pair formulation: infeasible pairs are left out, and Q is sparse (L, S). Otherwise the product
        formulation: Q is dense (S, A, S), and infeasible pairs have reward -inf.

    Returns
    -------
    quantecon.markov.DiscreteDP
        With mean rewards of pairs. Start, reward law and reward range have no place in it; terminal states stay where
        they are and earn 0.

    Raises
    ------
    ValueError
        If the model is a batch or has a horizon.
    TypeError
        If `mdp` is no `MDP` or `pairs` no bool.
    ImportError
        If QuantEcon is not installed.

    See Also
    --------
    pessimism.interop.quantecon.from_discrete_dp : The way in.

    Notes
    -----
    In a large model use `pairs`: a dense Q holds :math:`S^2 A` numbers.

    Examples
    --------
    >>> from pessimism.mdp import generators
    >>> mdp = generators.garnet(20, 3, 2, discount=0.9, rng=0)
    >>> solved = to_discrete_dp(mdp, pairs=True).solve(method="policy_iteration")
    >>> bool(np.allclose(solved.v, mdp.optimal_values))
    True
    """
    _check.instance("mdp", mdp, MDP)
    if mdp.shape or mdp.horizon is not None:
        raise ValueError(f"mdp must be one model without a horizon, got batch {mdp.shape} and horizon {mdp.horizon}")
    as_pairs = _check.flag("pairs", pairs)
    markov = optional("quantecon", "quantecon").markov
    size_s, size_a, width = mdp.next_states.shape
    rewards = np.where(mdp.feasible, mdp.mean_rewards, -np.inf)
    if not as_pairs:
        full = np.zeros((size_s, size_a, size_s))
        for b in range(width):  # a state may be listed twice
            place = *np.indices((size_s, size_a)), mdp.next_states[..., b]
            full[place] += mdp.probabilities[..., b]
        return markov.DiscreteDP(rewards, full, mdp.discount)
    from scipy import sparse

    states, actions = np.nonzero(mdp.feasible)
    rows = np.repeat(np.arange(states.size), width)
    place = rows, mdp.next_states[states, actions].ravel()
    matrix = sparse.csr_matrix((mdp.probabilities[states, actions].ravel(), place), shape=(states.size, size_s))
    return markov.DiscreteDP(rewards[states, actions], matrix, mdp.discount, states, actions)
