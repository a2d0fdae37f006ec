r"""Simulation instances: instructive models, each a function of its parameters that returns ``(mdp, behavior)``.

Their law follows the optimal action, so they show how a rule behaves, never what no rule can do: for that see
`pessimism.mdp.instances.lower_bounds`. All are **stay-exit replicas**: decision states in which action a earns 1 and
stays with probability :math:`p_a`, else falls into a sink worth nothing. There :math:`V = 1/(1-\gamma p)`; with
:math:`p^* = (2\gamma-1)/\gamma` the decision states have half of the occupancy, :math:`D = (1-\gamma)V = 1/2`, and the
variance of the next value is of order :math:`1/(1-\gamma)`, on average the largest there can be. Their exact losses
are computed by `exact.stay_exit_loss`. Arguments out of range raise a ValueError or TypeError that names them.

All constructions are derived here. They have the shape of the hard instances in Rashidinejad et al. (2021),
arXiv:2103.12021, but are not that paper's own.
"""

import math
from collections.abc import Sequence

import numpy as np

from pessimism import _check
from pessimism.mdp import bounds
from pessimism.mdp.instances import _stay_exit
from pessimism.mdp.instances._stay_exit import HALF, Instance

__all__ = ["plug_in_failure", "stay_exit", "vi_lcb_failure"]


def stay_exit(
    cstar: float, replicas: int, gap: float, *, discount: float, best: Sequence[int] | None = None
) -> Instance:
    r"""The family of the rate plots: the optimal action is logged with its occupancy over C*, the other one often.

    Parameters
    ----------
    cstar : float
        :math:`C^*`, at least 1.
    replicas : int
        R, at least 1; the sink is state R.
    gap : float
        :math:`p_1 - p_2`, in (0, :math:`p^*`]: the better action stays with probability
        :math:`p^* = (2\gamma-1)/\gamma`, the other with :math:`p^*` - gap.
    discount : float
        :math:`\gamma`, in (1/2, 1).
    best : (R,) sequence of {0, 1}, optional
        Better action of every replica. Default: alternating, so that tie-breaking by the lowest index
        gives no advantage.

    Returns
    -------
    MDP, (R + 1, 2) float
        Simulation instance: the law follows the better action.

    See Also
    --------
    pessimism.mdp.exact.stay_exit_loss : The exact loss of VI-LCB on it.
    pessimism.mdp.bounds.vi_lcb_normal_prediction : Prediction of the worst loss over the gap.

    Notes
    -----
    The law is :math:`d^*/C^*` on the pairs of the optimal policy (action 0 in the sink) and
    :math:`(1-1/C^*)/R` on the other action of each replica. A wrong replica costs
    :math:`\frac1R\bigl(\frac1{1-\gamma p_1} - \frac1{1-\gamma p_2}\bigr)`. The better action is the less logged one
    from :math:`C^* > 1 + D = 3/2` on (not from 2 on, as in bandits, because the sink has half of the expert's data).
    Re-optimise the gap for every N and rule. Derived here.

    Examples
    --------
    >>> mdp, mu = stay_exit(4.0, 2, 0.1, discount=0.9)
    >>> mdp.coverage(mu).round(12).item(), mu.round(4).tolist()
    (4.0, [[0.0625, 0.375], [0.375, 0.0625], [0.125, 0.0]])
    """
    c, (gamma, leave) = _stay_exit.cstar(cstar), _stay_exit.leaving(discount)
    arms = _stay_exit.labels(best, replicas, family=False)
    count = len(arms)
    exits = _stay_exit.by_label(arms, leave, leave + _stay_exit.gap(gap, 1.0 - leave, " at this discount"))
    law = np.zeros((count + 1, 2))
    law[:-1] = _stay_exit.by_label(arms, HALF / (count * c), (c - 1.0) / (count * c))
    law[-1, 0] = HALF / c
    return _stay_exit.model(exits, np.full(count, 1.0 / count), gamma), law


def vi_lcb_failure(
    cstar: float, replicas: int, n: int, level: float, *, discount: float, best: Sequence[int] | None = None
) -> Instance:
    r"""The member of `stay_exit` on which VI-LCB of a given level, without splitting, does badly.

    Parameters
    ----------
    cstar, replicas : as for `stay_exit`
        :math:`C^*`, greater than 1, and R.
    n : int
        Logged transitions, at least 1.
    level : float
        Level L of the widths :math:`b = \sqrt{L/N(s,a)}/(1-\gamma)`, at least 0; 0 is plug-in planning.
    discount, best : as for `stay_exit`
        :math:`\gamma`, and the better action of every replica.

    Returns
    -------
    MDP, (R + 1, 2) float
        Simulation instance.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_bias : What the rule loses on it.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule.

    Notes
    -----
    VI-LCB is wrong where :math:`(1-b_1)/(1-\gamma\hat p_1) < (1-b_2)/(1-\gamma\hat p_2)`. For :math:`C^* > 3/2` the
    better action is logged less, :math:`b_1 > b_2`, and its wider interval counts against it: the loss is about
    :math:`V_1(b_1-b_2)`, of order :math:`(1-\gamma)^{-2}\sqrt{R C^* L/N}` (`bounds.vi_lcb_bias`). The gap maximises the
    normal approximation `bounds.vi_lcb_normal_prediction`; where some width is at least 1, the rule goes by counts and
    the gap is the largest there is. Derived here.

    Examples
    --------
    >>> mdp, mu = vi_lcb_failure(4.0, 1, 10_000, 1.0, discount=0.8)
    >>> stay = mdp.probabilities[0, :, 0]
    >>> (stay[0] - stay[1]).round(4).item()
    0.0368
    """
    gamma, leave = _stay_exit.leaving(discount)
    n, cstar, level = _check.whole("n", n, low=1), _check.scalar("cstar", cstar), _check.nonnegative("level", level)
    lost = float(bounds.vi_lcb_normal_gap(n, cstar, replicas, gamma, level))  # in value units
    best_value = HALF / (1.0 - gamma)
    widest = 1.0 - leave
    left = best_value - lost
    gap = min((1.0 / left - 1.0 / best_value) / gamma, widest) if not math.isnan(lost) and left > 0.0 else widest
    return stay_exit(cstar, replicas, gap, discount=gamma, best=best)


def plug_in_failure(n: int, *, discount: float, stay: float | None = None, best: int = 0) -> Instance:
    r"""Nearly expert data on which planning in the empirical model loses a constant share of the optimal value.

    Parameters
    ----------
    n : int
        Logged transitions, at least 2.
    discount : float
        :math:`\gamma`, in (1/2, 1).
    stay : float, optional
        Probability q, in [0, :math:`p^*`), with which the worse action stays. Default: the q that maximises
        `bounds.plug_in_failure_loss`.
    best : {0, 1}
        The better action.

    Returns
    -------
    MDP, (2, 2) float
        Simulation instance, one replica; :math:`C^* = 1/(1-1/n)`: the worse action is logged with probability 1/n.

    See Also
    --------
    pessimism.mdp.bounds.plug_in_failure_loss : What the rule loses on it.
    pessimism.mdp.rules.plug_in.plug_in : The rule.

    Notes
    -----
    The plug-in rule errs when the worse action was logged, never left, and the better one left once. Its loss is at
    least :math:`(V_1 - V_2)[(1-\frac{1-q}n)^n - (1-\frac1n)^n - \frac12(1-\mu_1(1-p^*))^n]`, which tends to
    :math:`(V_1-V_2)(e^{q-1}-e^{-1})` (`bounds.plug_in_failure_loss`) as n grows and C* tends to 1: at
    :math:`\gamma = 0.9` that is 17 % of the optimal value. Derived here.

    Examples
    --------
    >>> from pessimism.mdp import exact
    >>> mdp, mu = plug_in_failure(1000, discount=0.9)
    >>> exact.stay_exit_loss(mdp, mu, 1000, level=0.0).round(3).item(), mdp.optimal_values[0].round(3).item()
    (0.873, 5.0)
    """
    rounds, (gamma, leave) = _check.whole("n", n, low=2), _stay_exit.leaving(discount)
    if stay is None:
        grid = np.linspace(0.0, 1.0 - leave, 2001)[:-1]
        stay = float(grid[bounds.plug_in_failure_loss(gamma, grid).argmax()])
    q = _check.between("stay", stay, 0.0, 1.0 - leave, "[)")
    arms = np.array([_check.whole("best", best, high=1)])
    law = np.zeros((2, 2))
    law[0] = _stay_exit.by_label(arms, HALF * (1.0 - 1.0 / rounds), 1.0 / rounds)[0]
    law[1, 0] = HALF * (1.0 - 1.0 / rounds)
    return _stay_exit.model(_stay_exit.by_label(arms, leave, 1.0 - q), np.ones(1), gamma), law
