r"""Lower-bound instances: a family of models that a log can hardly tell apart, and the one law of its pairs.

Every function returns ``(mdp, behavior)``: an `MDP` whose batch axes are the hypotheses, and the law of the logged
pairs, which (but for `missing_mass`, see there) is **the same under every hypothesis**, so that no rule can read the
answer off the counts. What any rule must lose on them is in `bounds.minimax_lower`.

By default the family has two members, the better actions alternating and all the other way round: for rules that treat
the replicas separately, their mean loss is that over all labellings. Other hypotheses are chosen by `best`.
Arguments out of range raise a ValueError or TypeError that names them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism.mdp.instances import _stay_exit
from pessimism.mdp.instances._stay_exit import HALF, Instance
from pessimism.mdp.model import MDP

__all__ = ["ambiguous_replicas", "missing_mass", "rare_state", "two_point_replicas", "unknowable_coverage"]


def ambiguous_replicas(
    cstar: float, replicas: int, gap: float, *, discount: float, best: ArrayLike | None = None
) -> Instance:
    r"""Expert data in one state, both actions equally often in the replicas, :math:`1 \le C^* \le 2`.

    Parameters
    ----------
    cstar : float
        :math:`C^*` of every hypothesis, in [1, 2].
    replicas : int
        R, at least 1. State 0 is the expert's, 1 to R are the replicas, R + 1 is the sink.
    gap : float
        :math:`p_1 - p_2`, in (0, :math:`p^*`]; the better action stays with probability
        :math:`p^* = (2\gamma-1)/\gamma`.
    discount : float
        :math:`\gamma`, in (1/2, 1).
    best : (..., R) array_like of {0, 1}, optional
        Better action of every replica; leading axes are hypotheses. In state 0 action 0 is better.

    Returns
    -------
    MDP, (R + 2, 2) float
        Stay-exit model of the batch of `best`, and the law.

    See Also
    --------
    pessimism.mdp.bounds.minimax_lower : What every rule loses on it: the second term.

    Notes
    -----
    With D = 1/2: start 2 - C* in state 0 and (C* - 1)/R in each replica; law (2 - C*)D/C* on (0, 0),
    (C* - 1)(1 + D)/(2RC*) on both actions of a replica, (1 - D)/C* on the sink. The ratio is C* in state 0 and in the
    sink and 2C*/3 in the replicas. Only the better action stays with :math:`p^*`, so D, the law and C* do not depend
    on the hypothesis. Imitation decides by chance in every replica, however much is logged. This
    family gives the factor C* - 1 of the lower bound. Derived here.

    Examples
    --------
    >>> mdp, mu = ambiguous_replicas(1.5, 2, 0.1, discount=0.9)
    >>> mdp.shape, mu.shape, mdp.coverage(mu).round(12).tolist()
    ((2,), (4, 2), [1.5, 1.5])
    """
    c, (gamma, leave) = _stay_exit.cstar(cstar, high=2.0), _stay_exit.leaving(discount)
    arms = _stay_exit.labels(best, replicas, family=True)
    count = arms.shape[-1]
    arms = np.concatenate([np.zeros((*arms.shape[:-1], 1), np.int64), arms], axis=-1)
    exits = _stay_exit.by_label(arms, leave, leave + _stay_exit.gap(gap, 1.0 - leave, " at this discount"))
    start = np.full(count + 1, (c - 1.0) / count)
    start[0] = 2.0 - c
    law = np.full((count + 2, 2), (c - 1.0) * (1.0 + HALF) / (2.0 * count * c))
    law[0] = (2.0 - c) * HALF / c, 0.0
    law[-1] = (1.0 - HALF) / c, 0.0
    return _stay_exit.model(exits, start, gamma), law


def two_point_replicas(
    cstar: float, replicas: int, gap: float, *, discount: float, best: ArrayLike | None = None
) -> Instance:
    r"""Lower bound for :math:`C^* \ge 2`: in every replica action 0 is logged rarely and better or worse than action 1.

    Parameters
    ----------
    cstar : float
        :math:`C^*` as soon as action 0 is better in some replica, at least 2; else it is smaller.
    replicas : int
        R, at least 1; the sink is state R.
    gap : float
        In (0, :math:`\min(p^*, 1-p^*)`]: action 1 stays with probability :math:`p^* = (2\gamma-1)/\gamma`, action 0
        with :math:`p^* +` gap (better) or :math:`p^* -` gap (worse).
    discount, best : as for `ambiguous_replicas`
        :math:`\gamma`, and the better action of every replica.

    Returns
    -------
    MDP, (R + 1, 2) float
        Stay-exit model of the batch of `best`, and the law.

    See Also
    --------
    pessimism.mdp.bounds.minimax_lower : What every rule loses on it: the first term.

    Notes
    -----
    With :math:`D_+ = (1-\gamma)/(1-\gamma(p^*+\mathrm{gap}))` the law is :math:`D_+/(RC^*)` on action 0,
    :math:`(1-(\tfrac12+D_+)/C^*)/R` on action 1 and :math:`1/(2C^*)` on the sink, which has at most half of the
    occupancy under every hypothesis. Derived here.

    Examples
    --------
    >>> mdp, mu = two_point_replicas(4.0, 2, 0.05, discount=0.9)
    >>> mdp.best_policy.tolist(), mdp.coverage(mu).round(12).tolist()
    ([[0, 1, 0], [1, 0, 0]], [4.0, 4.0])
    """
    c, (gamma, leave) = _stay_exit.cstar(cstar, low=2.0), _stay_exit.leaving(discount)
    g = _stay_exit.gap(gap, min(leave, 1.0 - leave), " at this discount")
    arms = _stay_exit.labels(best, replicas, family=True)
    count = arms.shape[-1]
    exits = np.stack([np.where(arms == 0, leave - g, leave + g), np.full(arms.shape, leave)], axis=-1)
    upper = (1.0 - gamma) / (1.0 - gamma + gamma * (leave - g))
    law = np.empty((count + 1, 2))
    law[:-1] = upper / (count * c), (1.0 - (HALF + upper) / c) / count
    law[-1] = HALF / c, 0.0
    return _stay_exit.model(exits, np.full(count, 1.0 / count), gamma), law


def missing_mass(n: int, replicas: int, *, discount: float, best: ArrayLike | None = None) -> Instance:
    r"""Expert data, :math:`C^* = 1`, and still a loss of order :math:`S/((1-\gamma)^2 N)`: states never logged.

    Parameters
    ----------
    n : int
        Logged transitions; n + 1 must be at least :math:`R/(1-\gamma)`.
    replicas : int
        R rare states, at least 1; state R is good, R + 1 bad.
    discount : float
        :math:`\gamma`, in (0, 1).
    best : (..., R) array_like of {0, 1}, optional
        Better action of every rare state; leading axes are hypotheses.

    Returns
    -------
    MDP, (..., R + 2, 2) float
        Model of the batch of `best`, and its expert's law.

    See Also
    --------
    pessimism.mdp.bounds.missing_mass_loss : What every rule loses on it.

    Notes
    -----
    An episode starts in each rare state with probability :math:`z = 1/((1-\gamma)(n+1))`, else in the good state, which
    earns 1 for ever. In a rare state one action leads to the good state, the other to the bad one, worth nothing. The
    rare pair has occupancy :math:`(1-\gamma)z = 1/(n+1)`, and a log that misses it says nothing about the state; the
    law follows the better action, but the chance of missing the state is the same under every hypothesis. Averaged
    over `best`, any rule loses at least `bounds.missing_mass_loss`. Derived here.

    Examples
    --------
    >>> mdp, mu = missing_mass(99, 2, discount=0.9, best=[0, 1])
    >>> mdp.coverage(mu).round(12).item(), mdp.start.round(3).tolist()
    (1.0, [0.1, 0.1, 0.8, 0.0])
    """
    rounds = _check.whole("n", n)
    gamma = _check.open_unit_interval("discount", discount)
    arms = _stay_exit.labels(best, replicas, family=True)
    count = arms.shape[-1]
    if rounds + 1 < count / (1.0 - gamma):
        raise ValueError(f"n + 1 must be at least replicas/(1 - discount) = {count / (1 - gamma):g}, got n = {rounds}")
    rare = 1.0 / ((1.0 - gamma) * (rounds + 1))
    successors = np.empty((count + 2, 2, 2), np.int64)
    successors[:count] = count, count + 1
    successors[count], successors[count + 1] = count, count + 1
    good = np.ones((*arms.shape[:-1], count + 2, 2))
    good[..., :count, :] = _stay_exit.by_label(arms, 1.0, 0.0)
    rewards = np.zeros((count + 2, 2))
    rewards[count] = 1.0
    start = np.array([*[rare] * count, max(0.0, 1.0 - count * rare), 0.0])
    law = np.zeros(good.shape)
    law[..., :count, :] = _stay_exit.by_label(arms, 1.0 / (rounds + 1), 0.0)
    law[..., count, 0] = 1.0 - count / (rounds + 1)
    return MDP(successors, np.stack([good, 1.0 - good], axis=-1), rewards, start, gamma), law


def rare_state(
    cstar: float, n_states: int, epsilon: float, *, discount: float, best: Sequence[int] | int | None = None
) -> Instance:
    r"""One state that decides everything and is rarely logged: the family of Li et al., as far as it is known here.

    Parameters
    ----------
    cstar : float
        Clipped :math:`C^*` of both hypotheses, at least :math:`8\gamma/S`; it may be below 1.
    n_states : int
        S, at least 2; states 2, 3, ... are decoys that nothing leads to.
    epsilon : float
        Accuracy :math:`\varepsilon`, in :math:`(0, 1/(42(1-\gamma))]`: the wrong action in state 0 loses more.
    discount : float
        :math:`\gamma`, in [2/3, 1).
    best : (...) array_like of {0, 1}, optional
        The better action of state 0; axes are hypotheses. Default: [0, 1].

    Returns
    -------
    MDP, (S, 2) float
        Model of the batch of `best`, started in state 0, and the law: stationary, both actions equally often.

    See Also
    --------
    pessimism.mdp.bounds.samples_needed : The lower bound that models of this structure prove.

    Notes
    -----
    The law has mass :math:`2/(C^*S)` in state 0 and the rest in state 1. From state 0 the better action stays with
    probability :math:`\gamma+\delta`, the other with :math:`\gamma-\delta`, from state 1 both with :math:`\gamma`; all
    leave to the law of the states. Structure, ranges and :math:`\delta \propto (1-\gamma)^2\varepsilon` after Li et
    al. (2022), arXiv:2204.05275. The rewards, 1 in state 0 and 1/2 in state 1, and
    :math:`\delta = 14(1-\gamma)^2\varepsilon/\gamma` are unverified: not to be quoted as the paper's. What is claimed
    (C*, stationarity, that the wrong action loses more than epsilon) is recomputed by our tests.

    Examples
    --------
    >>> mdp, mu = rare_state(8.0, 5, 0.1, discount=0.9)
    >>> mdp.coverage(mu, clipped=True).round(12).tolist(), mdp.suboptimality([1, 0, 0, 0, 0]).round(3).tolist()
    ([8.0, 8.0], [0.387, 0.0])
    """
    states = _check.count("n_states", n_states, low=2)
    gamma = _check.scalar("discount", discount, lambda x: 2.0 / 3.0 <= x < 1.0, "in [2/3, 1)")
    c = _stay_exit.cstar(cstar, low=8.0 * gamma / states)
    top = 1.0 / (42.0 * (1.0 - gamma))
    small = _check.scalar("epsilon", epsilon, lambda x: 0.0 < x <= top, f"in (0, 1/(42(1 - discount))] = (0, {top:g}]")
    theta = _check.whole_array("best", [0, 1] if best is None else best, high=1)
    delta = 14.0 * (1.0 - gamma) ** 2 * small / gamma
    stay = np.ones((*theta.shape, states, 2))
    stay[..., 0, :] = np.where(theta[..., None] == np.arange(2), gamma + delta, gamma - delta)
    stay[..., 1, :] = gamma
    mass = np.array([2.0 / (c * states), 1.0 - 2.0 / (c * states)])
    successors = np.zeros((states, 2, 3), np.int64)
    successors[..., 0], successors[..., 1:] = np.arange(states)[:, None], (0, 1)
    probabilities = np.concatenate([stay[..., None], (1.0 - stay)[..., None] * mass], axis=-1)
    rewards, start, law = np.zeros((states, 2)), np.zeros(states), np.zeros((states, 2))
    rewards[0], rewards[1], start[0] = 1.0, 0.5, 1.0
    law[:2] = mass[:, None] / 2.0
    return MDP(successors, probabilities, rewards, start, gamma), law


def unknowable_coverage(n: int, gap: float = 0.25, *, best: Sequence[int] | int | None = None) -> Instance:
    r"""Two steps in which the clipped C* is 1 or n/2, and a log of n does not tell which: C* cannot be estimated.

    Parameters
    ----------
    n : int
        Logged transitions a step, at least 2.
    gap : float
        In (0, 1/2]: action 0 leads to the state that earns 1 with probability 1/2, action 1 with 1/2 + gap or
        1/2 - gap.
    best : (...) array_like of {0, 1}, optional
        The better action of the first step; axes are hypotheses. Default: [0, 1].

    Returns
    -------
    MDP, (2, 2, 2) float
        Model of horizon 2 of the batch of `best`, and the law at both steps.

    See Also
    --------
    pessimism.mdp.model.MDP.coverage : The coefficient that cannot be estimated.

    Notes
    -----
    Step 1 is in state 0, where the law plays action 1 with probability 1/n; step 2 earns 1 in state 1 and nothing in
    state 0, and is logged with probability 1/2 in both. If action 0 is better, C* = 1/(1 - 1/n), clipped 1; if action 1
    is, C* = n, clipped n/2. With probability :math:`(1-1/n)^n \approx 1/e` the log never shows action 1. The statement
    is that of Li et al. (2022), arXiv:2204.05275; the numbers are ours.

    Examples
    --------
    >>> mdp, mu = unknowable_coverage(100)
    >>> mdp.coverage(mu, clipped=True).round(12).tolist()
    [1.0, 50.0]
    """
    rounds, g = _check.whole("n", n, low=2), _stay_exit.gap(gap, 0.5)
    theta = _check.whole_array("best", [0, 1] if best is None else best, high=1)
    good = np.full((*theta.shape, 2, 2, 2), 0.5)
    good[..., 0, 0, 1] = np.where(theta == 1, 0.5 + g, 0.5 - g)
    rewards, law = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    rewards[1, 1] = 1.0
    law[0, 0] = 1.0 - 1.0 / rounds, 1.0 / rounds
    law[1, :, 0] = 0.5
    successors = np.broadcast_to([1, 0], (2, 2, 2, 2))
    return MDP(successors, np.stack([good, 1.0 - good], axis=-1), rewards, [1.0, 0.0], horizon=2), law
