r"""Hypothesis strategies for models, laws and data.

Laws and rewards are drawn as whole numbers and divided once: weights :math:`k_i / \sum_j k_j`, mean rewards
:math:`k / 1009` of the reward range. So examples shrink to numbers that a reader can check by hand. The denominator of
the means is a prime: unless two arms are given the same statistics, the index :math:`\hat r - w\sqrt{L/N}` of one does
not equal that of another by an accident of arithmetic, for any simple level :math:`L`.

The kernels of the wing are loaded, or compiled, before the first example: deadlines do not count it.
"""

from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits import Bandit, BanditData, PropensityData
from pessimism.testing._whole_numbers import batch_axes, laws, length, limits, ready
from pessimism.testing.bandit._drawn import drawn_bandits, drawn_behaviors, drawn_logs, drawn_propensities, drawn_rounds

__all__ = ["bandit_data", "bandits", "behaviors", "logged_bandits", "propensities"]


def bandits(*, max_contexts: int = 4, max_arms: int = 4, rewards: str = "bernoulli") -> SearchStrategy[Bandit]:
    """Strategy for single models.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    rewards : str
        "bernoulli", "deterministic" (means in [0, 1]) or "gaussian" (means in [-10, 10], any scale from 1/4 to 4).

    Returns
    -------
    SearchStrategy of Bandit
        Means of shape (S, A); ties between arms and contexts of probability 0 occur. Shrinks to one context, one arm.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `rewards` is not known.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None)
    ... @given(bandits(max_arms=3))
    ... def best_policy_loses_nothing(bandit):
    ...     assert bandit.suboptimality(bandit.best_policy) == 0
    >>> best_policy_loses_nothing()
    """
    contexts, arms = length("max_contexts", max_contexts), length("max_arms", max_arms)
    Bandit([[0.0]], rewards=rewards)  # checks the law
    return ready("bandits", drawn_bandits(contexts, arms, rewards))


def behaviors(
    *, bandit: Bandit | None = None, max_contexts: int = 4, max_arms: int = 4, zeros: bool = True
) -> SearchStrategy[Floats]:
    r"""Strategy for laws of the logged (context, arm) pairs.

    Parameters
    ----------
    bandit : Bandit, optional
        The model the law must fit. Default: any shape up to the two sizes.
    max_contexts, max_arms : int
        Largest S and A, at least 1; not used with a `bandit`.
    zeros : bool
        Whether pairs may have probability 0. Without zeros every :math:`C^*` is finite.

    Returns
    -------
    SearchStrategy of (S, A) float
        Non-negative, total one within 1e-12. Shrinks to a law on the first pair, or to the uniform law without zeros.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `bandit` is not a Bandit.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> bandit = Bandit([[0.6, 0.5]])
    >>> @settings(max_examples=10, database=None)
    ... @given(behaviors(bandit=bandit, zeros=False))
    ... def is_covered(behavior):
    ...     assert 1 <= bandit.coverage(behavior) < float("inf")
    >>> is_covered()
    """
    largest = length("max_contexts", max_contexts), length("max_arms", max_arms)
    zeros = _check.flag("zeros", zeros)
    if bandit is None:
        return ready("bandits", drawn_behaviors(*largest, zeros))
    if not isinstance(bandit, Bandit):
        raise TypeError(f"bandit must be a Bandit, got {type(bandit).__name__}: to draw it too, use bandits().flatmap")
    return ready("bandits", laws((bandit.n_contexts, bandit.n_arms), zeros))


def bandit_data(
    *,
    max_contexts: int = 4,
    max_arms: int = 4,
    max_pulls: int = 100,
    size: int | tuple[int, ...] = (),
    reward_range: tuple[float, float] = (0.0, 1.0),
    ties: bool = True,
) -> SearchStrategy[BanditData]:
    """Strategy for data sets: pulls, reward sums and sums of squares that some log has.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    max_pulls : int
        Largest count of a (context, arm) pair, at least 0; without ties, at least `max_arms`. Small counts are common
        however large it is.
    size : int or tuple of int
        Batch of data sets, in front of (S, A).
    reward_range : (float, float)
        Interval that holds every reward; if infinite, rewards are drawn from 20 units of it.
    ties : bool
        Whether two pulled arms of a context may share their count or mean (or, for rewards in [0, 1], sum). Without
        ties, a rule that does not look at an arm's number has one answer wherever an arm was pulled.

    Returns
    -------
    SearchStrategy of BanditData
        Always with ``squares``; arms, contexts and logs without pulls occur. Shrinks to one arm that was never pulled.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range or `reward_range` is not a pair low < high.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.bandits import greedy
    >>> @settings(max_examples=10, database=None)
    ... @given(bandit_data(size=(3,)))
    ... def one_arm_per_context(data):
    ...     assert greedy(data).shape == data.counts.shape[:-1]
    >>> one_arm_per_context()
    """
    contexts, arms = length("max_contexts", max_contexts), length("max_arms", max_arms)
    most = limits("max_arms", arms, ("max_pulls", max_pulls), contexts * arms, ties)
    batch, interval = batch_axes(size), _check.interval("reward_range", reward_range)
    return ready("bandits", drawn_rounds((contexts, arms), most, batch, interval, ties))


def logged_bandits(
    *, max_contexts: int = 4, max_arms: int = 4, max_pulls: int = 100
) -> SearchStrategy[tuple[BanditData, Floats, Floats]]:
    r"""Strategy for what an estimator of values is called with: data, a policy and the behavior that logged them.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    max_pulls : int
        Largest count of a (context, arm) pair, at least 0.

    Returns
    -------
    SearchStrategy of (BanditData, (S, A) float, (S, A) float)
        Data, policy and joint law :math:`\mu`, which is positive everywhere; pairs without pulls, and logs without any,
        occur. Shrinks to one arm that was never pulled.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.bandits import estimators
    >>> from pessimism.testing import logged_bandits
    >>> @settings(max_examples=10, database=None)
    ... @given(logged_bandits())
    ... def importance_sampling_is_linear_in_the_rewards(log):
    ...     data, policy, behavior = log
    ...     nothing = BanditData(data.counts, 0 * data.sums)
    ...     assert data.n == 0 or estimators.ips(nothing, policy, behavior) == 0
    >>> importance_sampling_is_linear_in_the_rewards()
    """
    contexts, arms = length("max_contexts", max_contexts), length("max_arms", max_arms)
    most = limits("max_arms", arms, ("max_pulls", max_pulls), contexts * arms, True)
    return ready("bandits", drawn_logs(contexts, arms, most))


def propensities(*, max_contexts: int = 4, max_arms: int = 4, max_rounds: int = 50) -> SearchStrategy[PropensityData]:
    """Strategy for logs of 0/1 rewards whose propensities move from round to round.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    max_rounds : int
        Largest n, at least 1.

    Returns
    -------
    SearchStrategy of PropensityData
        With their rounds; propensities are multiples of 1/100. Shrinks to one round of one arm.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.bandits import estimators
    >>> from pessimism.testing import propensities
    >>> @settings(max_examples=10, database=None)
    ... @given(propensities())
    ... def an_inverse_propensity_is_at_least_one(log):
    ...     assert (log.inverse >= log.counts).all()
    >>> an_inverse_propensity_is_at_least_one()
    """
    sizes = length("max_contexts", max_contexts), length("max_arms", max_arms), length("max_rounds", max_rounds)
    return ready("bandits", drawn_propensities(*sizes))
