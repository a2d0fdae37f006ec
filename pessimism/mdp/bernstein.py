r"""Pessimistic value iteration with variance-aware (Bernstein) widths, discounted and episodic.

Discounted, for rewards in [0, 1] and :math:`\gamma \ge 1/2`, the fixed point of

.. math::
    Q(s,a) &= \max\{\hat r + \gamma \hat P V - b(s,a;V), 0\}, \\
    b &= \min\Big\{\max\Big(\sqrt{\tfrac{c\,\ell\,\mathrm{Var}_{\hat P}(V)}{N(s,a)}},
    \tfrac{2c\,\ell}{(1-\gamma)N(s,a)}\Big), \tfrac{1}{1-\gamma}\Big\} + \tfrac{5}{N}.

The widths depend on V, and yet the operator is a monotone :math:`\gamma`-contraction, thanks to the maximum of the two
terms: with their sum, as in the episodic rule below, it is none. Episodic, one backward pass with
:math:`b_h = \min\{\sqrt{c\,\ell\,\mathrm{Var}_{\hat P}(V_{h+1})/N_h} + cH\ell/N_h, H\}`.
"""

import math
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._batch import items, on_threads
from pessimism._status import Status
from pessimism._types import Floats, Rng
from pessimism.mdp import _fixed_point, _split
from pessimism.mdp._estimates import estimates, inverse_delta, stationary
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan

PAPER_DISCOUNTED, PAPER_EPISODIC = 144.0, 16.0
MAX_SWEEPS = 10_000_000


def vi_lcb_bernstein(
    data: MDPData,
    *,
    discount: float,
    delta: float | None = None,
    constant: float = 0.05,
    log_factor: float | None = None,
    paper_constants: bool = False,
    tolerance: float = 1e-6,
) -> Plan:
    r"""Policy of discounted pessimistic value iteration with Bernstein widths.

    Parameters
    ----------
    data : MDPData
        Logged transitions, without a step axis. The rule is stated for known rewards. It uses the mean of what was
        received, which is the same if the pair decides the reward; noise in rewards is not in its widths.
    discount : float
        :math:`\gamma`, in [1/2, 1): below, the operator need not contract.
    delta : float, optional
        :math:`\delta` in :math:`\ell = \log(N/((1-\gamma)\delta))`, in (0, 1). Default 1/max(N, 2).
    constant : float
        Factor c, positive. The theorem asks for 144 or more, under which nothing moves at any N of practice.
    log_factor : float, optional
        A number in place of :math:`\ell`, positive; 1 for widths without the logarithm.
    paper_constants : bool
        Use c = 144.
    tolerance : float
        Largest allowed error of the fixed point, positive, in reward units.

    Returns
    -------
    Plan
        With value at most that of the fixed point, reached from below: a lower bound of the policy's value with
        probability :math:`1-2\delta` under the theorem's constant, if (state, action) decides the reward. Where nothing
        is certified (value 0) every action is a maximiser and the most frequent one is chosen; if that is so everywhere
        the status is NO_UPDATE.

    Raises
    ------
    ConvergenceError
        If the error bound does not reach `tolerance`.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    N is the number of all transitions. A pair that was never seen has width :math:`V_{\max} + 5/N`. Cost O(SAB) an
    iteration, :math:`\log(\cdot)/(1-\gamma)` iterations; batches run on all cores. Rewards of another range are scaled
    to [0, 1] first. Source: Li, Shi, Chen, Chi and Wei (2022), arXiv:2204.05275, discounted algorithm; reuse of all
    data in every iteration is theirs. The default constant is ours: under it values are often above the truth.

    Examples
    --------
    >>> data = MDPData([[9000, 500]], [[[0], [0]]], [[[9000], [500]]], [[900.0, 450.0]])
    >>> vi_lcb_bernstein(data, discount=0.5).policy.tolist()
    [1]
    """
    paper_constants = _check.flag("paper_constants", paper_constants)
    gamma = _check.scalar("discount", discount, lambda x: 0.5 <= x < 1, "in [1/2, 1): below, it need not contract")
    known = estimates(stationary(data), gamma, None)
    c = _constant(constant, paper_constants, 0.05, PAPER_DISCOUNTED)
    goal = _check.positive("tolerance", tolerance)
    n = np.maximum(data.n, 1)
    level = c * _log_factor(log_factor, n * inverse_delta(data, delta, least=2) / (1.0 - gamma))
    scaled = known.reward_range[1] - known.reward_range[0]
    rewards = (known.mean_rewards - known.reward_range[0]) / scaled

    from pessimism.mdp import _pessimism_kernels

    count = math.prod(data.shape)
    tables = [items(x, data.shape, k, full=True) for x, k in ((known.shares, 3), (data.counts, 2), (rewards, 2))]
    levels, totals = (np.broadcast_to(x, data.shape).reshape(count).astype(np.float64) for x in (level, n))
    start = items(data.counts.argmax(axis=-1), data.shape, 1, full=True)

    def work(part: slice) -> Any:  # numpydoc ignore=GL08
        shares, counts, gains = (table[part] for table in tables)
        settings = goal / scaled, MAX_SWEEPS, start[part]
        return _pessimism_kernels.bernstein_fixed_points(
            data.next_states, shares, counts, gains, gamma, levels[part], totals[part], *settings
        )

    values, policies, sweeps, bounds = (np.concatenate(x) for x in zip(*on_threads(work, count), strict=True))
    status = np.full(count, Status.NOT_CONVERGED, object)
    status[sweeps < MAX_SWEEPS] = Status.ROUNDING
    status[bounds * scaled <= goal] = Status.CONVERGED
    status[~(values > 0).any(axis=-1)] = Status.NO_UPDATE
    policy, value = (x.reshape(*data.shape, data.n_states) for x in (policies, known.low_value + scaled * values))
    ends = sweeps.reshape(data.shape), np.asarray(scaled * bounds.reshape(data.shape))
    plan = Plan(policy, value, _fixed_point.statuses(status, data.shape), *ends)
    _fixed_point.require(plan, goal, (Status.CONVERGED, Status.NO_UPDATE, Status.ROUNDING))
    return plan


def vi_lcb_episodic(
    data: MDPData,
    *,
    horizon: int | None = None,
    delta: float | None = None,
    constant: float = 0.05,
    log_factor: float | None = None,
    paper_constants: bool = False,
    subsample: bool = False,
    rng: Rng = None,
) -> Plan:
    r"""Policy of episodic pessimistic value iteration with Bernstein widths.

    Parameters
    ----------
    data : MDPData
        Logged transitions with a step axis: episodes, or independent transitions at every step. The rule is stated for
        known rewards and uses the mean of what was received; noise in rewards is not in its widths.
    horizon : int, optional
        H; that of the data.
    delta : float, optional
        :math:`\delta` in :math:`\ell = \log(NH/\delta)`, in (0, 1). Default 1/max(N, 2).
    constant : float
        Factor c, positive. The theorem asks for 16 or more.
    log_factor : float, optional
        A number in place of :math:`\ell`, positive; 1 for widths without a logarithm, as in the authors'
        experiments, whose code also caps them at H - h and drops variances below 1e-6.
    paper_constants : bool
        Use c = 16.
    subsample : bool
        Two-fold subsampling, which makes the steps of episodes independent, as the theorem needs: half the episodes
        are used, of them in every (state, step) at most as many as the other half promises.
    rng : Generator, SeedSequence or int, optional
        Source of randomness of the subsampling (SPEC 7).

    Returns
    -------
    Plan
        Of one backward pass. Where nothing is certified (value 0) the most frequent action is chosen.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or `subsample` is asked of data that are not of episodes.

    Notes
    -----
    With subsampling :math:`N^{trim}_h(s) = \max\{N^{aux}_h(s) - 10\sqrt{N^{aux}_h(s)\log(HS/\delta)}, 0\}`, rounded
    down; nothing is kept where :math:`N^{aux} \le 100\log(HS/\delta)`. N is the number of transitions kept.
    Source: Li, Shi, Chen, Chi and Wei (2022), arXiv:2204.05275, episodic algorithms; the default
    constant is ours: under it values are often above the truth.

    Examples
    --------
    >>> data = MDPData([[[90, 50]]], [[[[0], [0]]]], [[[[90], [50]]]], [[[9.0, 45.0]]])
    >>> vi_lcb_episodic(data).policy.tolist()
    [[1]]
    """
    _check.instance("data", data, MDPData)
    if data.horizon is None:
        raise ValueError("data must have a step axis: this rule is for episodes, see vi_lcb_bernstein")
    paper_constants, subsample = _check.flag("paper_constants", paper_constants), _check.flag("subsample", subsample)
    c = _constant(constant, paper_constants, 0.05, PAPER_EPISODIC)
    certainty = inverse_delta(data, delta, least=2)
    used = _subsampled(data, certainty, np.random.default_rng(rng)) if subsample else data
    known = estimates(used, None, horizon)
    n = np.maximum(used.n, 1)
    level = c * _log_factor(log_factor, n * max(data.horizon, 1) * certainty)
    low, high = known.reward_range
    rewards = (known.mean_rewards - low) / (high - low)

    from pessimism.mdp import _pessimism_kernels

    count = math.prod(data.shape)
    tables = [items(x, data.shape, k, full=True) for x, k in ((known.shares, 4), (used.counts, 3), (rewards, 3))]
    levels = np.broadcast_to(level, data.shape).reshape(count).astype(np.float64)

    def work(part: slice) -> Any:  # numpydoc ignore=GL08
        return _pessimism_kernels.bernstein_backward(
            data.next_states, tables[0][part], tables[1][part], tables[2][part], levels[part]
        )

    values, policies = (np.concatenate(x) for x in zip(*on_threads(work, count), strict=True))
    shape = (*data.shape, data.horizon, data.n_states)
    to_go = known.low_to_go[:, None]
    moved = np.asarray((values > 0).any(axis=(-2, -1)).reshape(data.shape))
    value = to_go + (high - low) * values.reshape(shape)
    return _fixed_point.finished(policies.reshape(shape), value, data.shape, data.horizon, moved=moved)


def _constant(constant: float, paper: bool, default: float, papers: float) -> float:
    if paper and constant != default:
        raise ValueError("paper_constants sets constant: pass one or the other")
    return papers if paper else _check.positive("constant", constant)


def _log_factor(given: float | None, argument: Floats) -> Floats:
    if given is None:
        return np.asarray(np.log(argument))
    return np.full(np.shape(argument), _check.positive("log_factor", given))


def _subsampled(data: MDPData, certainty: Floats, rng: np.random.Generator) -> MDPData:
    main, auxiliary = data.split_episodes(rng)
    assert data.horizon is not None
    visits, promised = main.counts.sum(axis=-1), auxiliary.counts.sum(axis=-1)
    slack = 10.0 * np.sqrt(promised * np.log(max(data.horizon, 1) * data.n_states * certainty)[..., None, None])
    kept = np.minimum(np.floor(np.maximum(promised - slack, 0.0)).astype(np.int64), visits)
    part = _split.keep(main.next_counts, kept, rng)
    sums = _split.part_rewards(main, part, rng)
    return MDPData.trusted(part.sum(axis=-1), data.next_states, part, sums, data.reward_range, data.reward_law)


__all__ = ["vi_lcb_bernstein", "vi_lcb_episodic"]
