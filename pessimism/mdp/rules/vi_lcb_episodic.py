r"""Pessimistic value iteration with variance-aware (Bernstein) widths, for episodes.

One backward pass over the steps h, for rewards in [0, 1]:

.. math::
    Q_h(s,a) &= \max\{\hat r_h + \hat P_h V_{h+1} - b_h(s,a), 0\}, \\
    b_h &= \min\Big\{\sqrt{\tfrac{c\,\ell\,\mathrm{Var}_{\hat P_h}(V_{h+1})}{N_h(s,a)}}
    + \tfrac{cH\ell}{N_h(s,a)}, H\Big\},

with c the `constant` and :math:`\ell` the logarithm.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng
from pessimism.mdp._engine import splitting
from pessimism.mdp._engine.solution import finished
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules import _imitation
from pessimism.mdp.rules._empirical import (
    empirical,
    episodic,
    inverse_delta,
    logarithm,
    spread_over,
    width_constant,
)
from pessimism.mdp.rules._imitation import marked, told

__all__ = ["vi_lcb_episodic"]

CONSTANT, PAPER_CONSTANT = 0.05, 16.0


def vi_lcb_episodic(
    data: MDPData,
    *,
    horizon: int | None = None,
    delta: float | None = None,
    constant: ArrayLike = CONSTANT,
    log_factor: ArrayLike | None = None,
    paper_constants: bool = False,
    subsample: bool = False,
    rng: Rng = None,
) -> Plan:
    r"""Policy of episodic pessimistic value iteration with Bernstein widths.

    Parameters
    ----------
    data : MDPData
        Logged transitions with a step axis: episodes, or independent transitions at every step. The rule is stated for
        known rewards and uses the mean of the received ones; its widths do not account for noise in the rewards.
    horizon : int, optional
        H; that of the data.
    delta, constant : as for `vi_lcb_bernstein`
        :math:`\delta` in :math:`\ell = \log(NH/\delta)`, and the factor c.
    log_factor : (...) array_like of float, optional
        A number in place of :math:`\ell`, positive. 1 leaves the logarithm out, as in the authors' experiments, whose
        code also caps the widths at H - h and drops variances below 1e-6.
    paper_constants : bool
        Use c = 16, a proof constant that we have not seen in a theorem.
    subsample : bool
        Two-fold subsampling, which makes the steps of episodes independent, as the theorem needs: half the episodes
        are used, of them in every (state, step) at most as many as the other half promises.
    rng : Generator, SeedSequence or int, optional
        Source of randomness of the subsampling (SPEC 7).

    Returns
    -------
    Plan
        Of one backward pass. Where nothing is certified (value 0) the most frequent action is chosen; the status is
        NO_UPDATE or IMITATION as for `vi_lcb_bernstein`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the data are not of episodes although `subsample` needs them to be.

    Warns
    -----
    ImitationWarning
        As for `vi_lcb_bernstein`.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb_bernstein.vi_lcb_bernstein : The rule for discounted problems.
    pessimism.mdp.bounds.subsampled_episodes : Episodes with which the rule with `subsample` is epsilon-optimal.
    simulations.gambler : The experiment of Li et al. run again.

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
    steps = episodic(data, ", see vi_lcb_bernstein")
    c = width_constant(constant, CONSTANT, paper_constants, PAPER_CONSTANT)
    data = spread_over(data, constant=c, log_factor=log_factor)
    certainty = inverse_delta(data, delta, least=2)
    trim, generator = _check.flag("subsample", subsample), _check.generator(rng)
    used = _subsampled(data, certainty, generator) if trim else data
    known = empirical(used, None, horizon)
    n = np.maximum(used.n, 1)
    log = logarithm(n * max(steps, 1) * certainty, log_factor)
    low, high = known.reward_range

    from pessimism.mdp._engine import bernstein

    values, policy = bernstein.episodic(known.scaled, used.counts, c * log, known.known_values)
    q = known.in_units(bernstein.episodic_q(known.scaled, used.counts, c * log, values), known.low_to_go[:, None, None])
    updated = np.asarray((values > np.maximum(known.known_values, 0.0)).any(axis=(-2, -1)))
    value = known.ending(known.low_to_go[:, None] + (high - low) * values)
    done = finished(known.admissible(policy), value, data.shape, steps, updated=updated, q=q)
    plan = marked(Plan(*done), known.imitated)
    return told(plan, "vi_lcb_episodic", used.counts, c, _imitation.episodic(known, log))


def _subsampled(data: MDPData, certainty: Floats, rng: np.random.Generator) -> MDPData:
    main, auxiliary = data.split_episodes(rng)
    visits, promised = main.counts.sum(axis=-1), auxiliary.counts.sum(axis=-1)
    cells = max(visits.shape[-2], 1) * data.n_states
    slack = 10.0 * np.sqrt(promised * np.log(cells * certainty)[..., None, None])
    kept = np.minimum(np.floor(np.maximum(promised - slack, 0.0)).astype(np.int64), visits)
    part = splitting.keep(main.next_counts, kept, rng)
    return MDPData.trusted(*splitting.part(main.statistics, part, rng))
