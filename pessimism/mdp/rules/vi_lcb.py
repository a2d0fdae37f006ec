r"""Pessimistic value iteration with Hoeffding widths (VI-LCB).

With :math:`m(s,a)` visits and :math:`V_{\max} = 1/(1-\gamma)` (for rewards in [0, 1]) the rule iterates

.. math::
    Q(s,a) = \hat r(s,a) - b(s,a) + \gamma \sum_{s'} \hat P(s' \mid s,a) V(s'), \qquad
    b(s,a) = V_{\max} \sqrt{L / m(s,a)},

and raises V(s) to :math:`\max_a Q(s,a)` only where that is an improvement, from :math:`V = 0` and the most frequent
action. So the policy departs from imitation only where something better is certified, and no value falls below the
smallest possible one. On the event that all widths hold, and with fresh data in every iteration (`split`),
:math:`V \le V^\pi`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._status import Status
from pessimism._types import Floats, Rng
from pessimism.mdp import _input
from pessimism.mdp._certificate import learned
from pessimism.mdp._engine import splitting
from pessimism.mdp._engine.search import FROM_BELOW, SEARCHES
from pessimism.mdp._engine.solution import finished
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import (
    Empirical,
    capped,
    empirical,
    inverse_delta,
    spread_over,
    stationary,
    width_constant,
)
from pessimism.mdp.rules._imitation import hoeffding, marked, told

__all__ = ["algorithm_3", "fold_count", "vi_lcb"]

CONSTANT, PAPER_CONSTANT = 0.5, 2000.0


def vi_lcb(
    data: MDPData,
    *,
    discount: float,
    delta: float | None = None,
    constant: ArrayLike = CONSTANT,
    paper_constants: bool = False,
    split: bool = False,
    monotone: bool = True,
    unseen: float | None = None,
    tolerance: float = 1e-6,
    max_iterations: int | None = None,
    rng: Rng = None,
) -> Plan:
    r"""Policy of pessimistic value iteration with Hoeffding widths.

    Parameters
    ----------
    data : MDPData
        Logged transitions, without a step axis.
    discount : float
        :math:`\gamma`, in [0, 1).
    delta : float, optional
        Probability, in (0, 1), that some width fails. Default 1/max(n, 1), as the rates for expected losses require.
    constant : (...) array_like of float
        Factor c in :math:`L = c \log(2SA/\delta)`, or :math:`c \log(2(T+1)SA/\delta)` if `split`; positive. It
        broadcasts with the batch of the data.
    paper_constants : bool
        Use c = 2000: on a garnet of 20 states no value is raised up to 10^7 transitions (`moving_constant`).
    split : bool
        Divide the data into T + 1 random folds, :math:`T = \lceil \log n / (1-\gamma) \rceil`: one for the start
        policy, one for each of T iterations. Every transition goes to a fold at random, so the sizes vary.
    monotone : bool
        Raise values only, from the smallest possible one (the rule above). Otherwise the plain fixed point of
        :math:`V = \max_a Q`, whose policy at discount 0 is that of the Hoeffding rule for bandits.
    unseen : float, optional
        Width of a pair that was not seen, in reward units, at least :math:`V_{\max}`. Default: with `split` the width
        of a pair seen once in the fold, but at least :math:`V_{\max}`; otherwise such a pair is not chosen where
        another was seen. With `monotone` none of this changes the policy: no unseen pair is ever certified.
    tolerance : float
        Largest allowed error of the fixed point, positive, in reward units. Not used with `split`.
    max_iterations : int, optional
        Largest number of iterations, each of which then is one application of the operator, so that tables can be
        followed by hand. Default: as many as any discount needs that float64 can tell from 1.
        Not with `split`, which makes T.
    rng : Generator, SeedSequence or int, optional
        Source of randomness of the split (SPEC 7).

    Returns
    -------
    Plan
        With status NO_UPDATE where no value could be raised, and IMITATION where some were, but no action is another
        than the start policy's: both policies are imitation (of the first fold). With
        `split`, `monotone` and independent transitions its value is a lower bound of the policy's with probability
        :math:`1-\delta`; it is no fixed point (status COMPLETED, error bound inf). Without a split it is computed from
        data that were used for the widths too, and that theorem does not apply; it converges from below.

    Raises
    ------
    ConvergenceError
        If the error bound does not reach `tolerance`, within `max_iterations` if they are given.
    ValueError, TypeError
        If an argument is out of its range, or the rewards of the data cannot be divided.

    Warns
    -----
    ImitationWarning
        If that is so in all data sets, with the numbers that decide it.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_upper : Upper bound on the loss with `split`.
    pessimism.mdp.choice.moving_constant : The constants from which on the rule imitates.
    pessimism.mdp.bounds.no_update : When it is certain to imitate, whatever was earned.
    pessimism.mdp.exact.stay_exit_loss : Exact loss without `split` on stay-exit replicas.
    pessimism.mdp.instances.simulation.vi_lcb_failure : The instance on which the rule does badly.
    simulations.mdp_rates : Figure of its worst loss against N.

    Notes
    -----
    No value can be raised while every b is at least the width of the reward range, that is while
    :math:`\max m \le L V_{\max}^2`. Cost O(SAB) an iteration; batches run on all cores. Source: Algorithm 3 of
    Rashidinejad et al. (2021), arXiv:2103.12021, in our words and with Hoeffding's constant; the variant without a
    split is ours. An unseen pair has the mean reward :math:`r_{\min}` (`MDPData.mean_rewards`) less its width: without
    a split, -inf by default, so that the planner excludes it and values a state without any other pair at the smallest
    possible value; :math:`r_{\min}` - `unseen` plus the discounted mean value of its successors if `unseen` is given.
    With `split` this is decided fold by fold, for the pairs that the fold has not seen.

    Examples
    --------
    Action 1 was seen less often but is certified to be better.

    >>> data = MDPData([[9000, 5000]], [[[0], [0]]], [[[9000], [5000]]], [[900.0, 4500.0]])
    >>> vi_lcb(data, discount=0.5).policy.tolist()
    [1]
    """
    split, monotone = _check.flag("split", split), _check.flag("monotone", monotone)
    tolerance, generator = _check.positive("tolerance", tolerance), _check.generator(rng)
    factor = width_constant(constant, CONSTANT, paper_constants, PAPER_CONSTANT)
    data = spread_over(stationary(data), constant=factor)
    known = empirical(data, _check.scalar("discount", discount), None)
    unseen = None if unseen is None else _unseen_width(unseen, known.value_width)
    widths = _Widths(factor, 2.0 * known.n_pairs * inverse_delta(data, delta), unseen)
    if split:
        if max_iterations is not None:
            raise ValueError("max_iterations must not be given with split, which makes T iterations: see fold_count")
        _input.require_divisible(data.statistics)
        folds = 1 + fold_count(int(data.n.max(initial=0)), known.tables.discount)
        plan = _by_folds(data, known, widths, monotone, generator)
        return told(plan, "vi_lcb", data.counts, factor, hoeffding(known, widths.pairs, folds) if monotone else None)

    from pessimism.mdp._engine.fixed_point import iterate

    scale = known.value_width * np.sqrt(factor * np.log(widths.pairs))
    gains = known.tables.rewards - scale[..., None, None] / np.sqrt(np.maximum(data.counts, 1))
    never_seen = -np.inf if unseen is None else known.reward_range[0] - unseen
    gains = np.where(known.terminal[:, None], 0.0, np.where(data.counts > 0, gains, never_seen))
    tables = known.tables._replace(rewards=known.only_feasible(gains))
    values = known.ending(np.full((*data.shape, data.n_states), known.low_value))
    search, floor = (FROM_BELOW, known.low_value) if monotone else (SEARCHES["auto"], -np.inf)
    search, start = capped(search, max_iterations), known.imitated
    low, ends = known.low_value, known.terminal
    found = iterate(tables, values, tolerance, search, floor=floor, fallback=low, start=start, terminal=ends)
    plan = marked(learned(Plan(*found), tolerance), start)
    return told(plan, "vi_lcb", data.counts, factor, hoeffding(known, widths.pairs) if monotone else None)


def algorithm_3(data: MDPData, *, discount: float, delta: float | None = None, rng: Rng = None) -> Plan:
    r"""Algorithm 3 of the paper: `vi_lcb` with `split` and `paper_constants`.

    Parameters
    ----------
    data, discount, delta, rng : as for `vi_lcb`
        The log, the discount factor, the probability that some width fails and the source of randomness.

    Returns
    -------
    Plan
        As for `vi_lcb`. On a garnet of 20 states at discount 0.9 its status is NO_UPDATE, and its policy that of one
        fold, up to 10^10 transitions.

    Warns
    -----
    ImitationWarning
        If the policy departs nowhere from imitation in all data sets.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule with a constant of choice.
    pessimism.mdp.bounds.vi_lcb_rate : Rate of the paper.

    Notes
    -----
    Algorithm 3 of Rashidinejad et al. (2021), arXiv:2103.12021, as we remember it: later papers confirm the Hoeffding
    widths and a fresh fold for every iteration; the monotone update and the constants are not confirmed. Transitions go
    to folds independently, so that the folds' sizes are binomial and not all N/(T+1); a state that the first fold has
    not seen starts with the most frequent action of all folds.

    Examples
    --------
    >>> data = MDPData([[900, 500]], [[[0], [0]]], [[[900], [500]]], [[90.0, 450.0]])
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     algorithm_3(data, discount=0.5, rng=0).status.name
    'NO_UPDATE'
    """
    return vi_lcb(data, discount=discount, delta=delta, paper_constants=True, split=True, rng=rng)


def fold_count(n: int, discount: float) -> int:
    r"""Number of iterations of the split rule, :math:`T = \lceil \log n / (1-\gamma) \rceil`, at least 1.

    Parameters
    ----------
    n : int
        Transitions in the data set.
    discount : float
        :math:`\gamma`, in [0, 1).

    Returns
    -------
    int
        T; the data are divided into T + 1 folds.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_upper : Bound with this number of folds.

    Examples
    --------
    >>> fold_count(1000, 0.9)
    70
    """
    steps = math.log(max(_check.whole("n", n), 1)) / (1.0 - _input.discount(discount, None))
    if steps > _check.MAX_COUNT:
        raise ValueError(f"discount must be smaller: {discount!r} asks for {steps:.3g} folds of n = {n} transitions")
    return max(1, math.ceil(steps))


def _unseen_width(unseen: float, v_max: float) -> float:
    expectation = f"at least V_max = {v_max:g}: less would not be pessimistic"
    width = _check.scalar("unseen", unseen, lambda x: v_max * (1 - 1e-12) <= x < math.inf, expectation)
    return _check.scalar("unseen", width, lambda x: x <= max(_check.MAX_SIZE, v_max), f"at most {_check.MAX_SIZE:g}")


class _Widths(NamedTuple):
    """Constants c, 2SA/delta (...), and the width of an unseen pair if one is given."""

    constant: float | Floats
    pairs: Floats
    unseen: float | None


def _by_folds(data: MDPData, known: Empirical, widths: _Widths, monotone: bool, rng: np.random.Generator) -> Plan:
    """Data sets of one size at a time, because T depends on the size."""
    if not data.shape:
        return _iterate(data, known, widths, monotone, rng)
    policy, value = np.zeros((*data.shape, data.n_states), np.int64), np.zeros((*data.shape, data.n_states))
    status, iterations = np.empty(data.shape, object), np.zeros(data.shape, np.int64)
    q, constants = np.zeros((*value.shape, data.n_actions)), np.broadcast_to(widths.constant, data.shape)
    for n in np.unique(data.n):
        own = data.n == n
        these = widths._replace(constant=constants[own], pairs=widths.pairs[own])
        plan = _iterate(data[own], known, these, monotone, rng)
        policy[own], value[own], status[own], iterations[own] = plan.policy, plan.value, plan.status, plan.iterations
        q[own] = plan.q
    return Plan(policy, value, status, iterations, np.full(data.shape, np.inf), q)


def _iterate(data: MDPData, known: Empirical, widths: _Widths, monotone: bool, rng: np.random.Generator) -> Plan:
    steps = fold_count(int(data.n.flat[0]), known.tables.discount) if data.n.size else 1
    level = (widths.constant * np.log((steps + 1) * widths.pairs))[..., None, None]
    first, rest = splitting.thin(data.statistics, 1.0 / (steps + 1), rng)
    # any action would do in a state that the first fold has not seen: the most frequent one of all folds
    start = np.where(first.counts.any(axis=-1), first.counts.argmax(axis=-1), data.counts.argmax(axis=-1))
    start = known.admissible(start)
    policy, value = start, known.ending(np.full((*data.shape, data.n_states), known.low_value))
    updated = np.zeros(data.shape, bool)
    for left in range(steps, 0, -1):
        part, rest = splitting.thin(rest, 1.0 / left, rng)
        fold = MDPData.trusted(*part)
        width = known.value_width * np.sqrt(level / np.maximum(fold.counts, 1))
        # the literal width of an unseen pair falls below V_max when L < 1; less than V_max would not be pessimistic
        never = np.maximum(width, known.value_width) if widths.unseen is None else widths.unseen
        width = np.where(known.terminal[:, None], 0.0, np.where(fold.counts > 0, width, never))
        later = (fold.transition_shares * value[..., data.next_states]).sum(axis=-1)
        q = known.only_feasible(fold.mean_rewards - width + known.tables.discount * later)
        best, choice = q.max(axis=-1), q.argmax(axis=-1)
        better = best > value if monotone else np.broadcast_to(~known.terminal, best.shape)
        value, policy = np.where(better, best, value), np.where(better, choice, policy)
        updated |= better.any(axis=-1)
    done = finished(policy, value, data.shape, steps, status=Status.COMPLETED, updated=np.asarray(updated), q=q)
    return marked(Plan(*done), start)
