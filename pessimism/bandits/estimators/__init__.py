r"""The value of a policy from the log of another.

A log holds rounds :math:`(s_i, a_i, r_i)` drawn under a joint law :math:`\mu(s, a)` (`behavior`); its counts are
:math:`N(s,a)`, the sums of its rewards :math:`S(s,a)`. Wanted is :math:`J = \sum_{s,a} d(s,a)\, r(s,a)` for the law
:math:`d(s,a) = \rho(s)\pi(a|s)` that a policy meets. Estimators weigh rounds by :math:`w = d/\mu`, with 0/0 = 0, or ask
a model :math:`q(s,a)` of the rewards, or do both.

=========================  ========================================================================================
estimator                  what it computes
=========================  ========================================================================================
`direct`                   :math:`\sum d \hat r`, with a stated fill where nothing was seen
`shrunken`                 :math:`\sum d (S + km)/(N + k)`
`ips`                      :math:`\frac1n \sum w S`
`per_context_ips`          :math:`\sum_s \frac{\rho(s)}{N(s)} \sum_a \frac{\pi}{p} S`
`snips`                    :math:`\sum w S / \sum w N`
`clipped`                  :math:`\frac1n \sum \min(w, M) S`
`lumped`                   `ips` on groups of arms
`implicit_exploration`     :math:`\frac1n \sum \frac{\pi}{p + \gamma} S`
`log_smoothing`            :math:`\frac1n \sum_i \log(1 + \lambda w_i r_i)/\lambda`
`switch`                   `ips` where :math:`w \le \tau`, the model where not
`doubly_robust`            :math:`\sum d q + \frac1n \sum w (S - Nq)`
`switch_doubly_robust`     the same, corrected only where :math:`w \le \tau`
`shrunk_doubly_robust`     the same with weights :math:`\lambda w/(w^2 + \lambda)`
`cross_fit`                `doubly_robust` on every fold with the other folds' means as its model
=========================  ========================================================================================

*Three normalisers.* `ips` divides by the number n of all rounds, `per_context_ips` by the number N(s) of rounds in the
context, `snips` by the sum of the weights. They differ at every finite n; every docstring says which one it is.

*Contexts.* By default they are taken as logged: :math:`\rho` is the law from which the log drew them, sums over
:math:`d` become :math:`\sum_s \frac{N(s)}{n} \sum_a \pi(a|s)`, and weights are :math:`w = \pi(a|s)/p(a|s)` with
:math:`p(a|s) = \mu(s,a)/\mu(s)`. With ``contexts=`` the law in which the policy is judged is known, and may be another.

*Behavior.* A joint law (..., S, A) that is known; ``None`` estimates it by the log's own frequencies; `PropensityData`
state the propensity of every round. An estimate is NaN where the log is empty and, if the behavior is estimated, where
a pair the policy plays was never seen; a known behavior that never plays such a pair is refused.

The exact bias and variance of all of them: `pessimism.bandits.risk`.
"""

from pessimism.bandits.estimators.doubly_robust import (
    cross_fit,
    doubly_robust,
    shrunk_doubly_robust,
    switch,
    switch_doubly_robust,
)
from pessimism.bandits.estimators.model_based import direct, shrunken
from pessimism.bandits.estimators.weighted import (
    clipped,
    implicit_exploration,
    ips,
    log_smoothing,
    lumped,
    per_context_ips,
    snips,
)

__all__ = [
    "clipped",
    "cross_fit",
    "direct",
    "doubly_robust",
    "implicit_exploration",
    "ips",
    "log_smoothing",
    "lumped",
    "per_context_ips",
    "shrunk_doubly_robust",
    "shrunken",
    "snips",
    "switch",
    "switch_doubly_robust",
]
