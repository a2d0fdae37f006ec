r"""Instances: worlds whose relevance and risks are closed forms, and a random one for comparison.

If a budget N is divided in proportion to :math:`|\nu^p_m|^q`, without floors, the risk is to leading order
:math:`\sigma^2 (d-k) R/N` with :math:`R = w^\top (W D W^\top)^{-1} w`, D the diagonal matrix of the shares. It is least
for the L1 rule (p = q = 1), where :math:`R = R_1 = \|\nu^1\|_1^2` (Elfving). How much larger the :math:`R_2` of the L2
rule (p = q = 2) is depends on the world:

.. math:: 1 \le R_2 / R_1 \le \|\nu^2\|_0 \le M.

========================  ==============  ===========================================================================
world                     representation  :math:`R_2/R_1`
========================  ==============  ===========================================================================
`spike_and_pairs`         k = 2           up to :math:`(\sqrt M + 1)/2`: unbounded in M at fixed k, tasks of length 1
`identity`                k = M           up to M, the bound; k grows with M
`block_spikes`            any k           up to :math:`k(\sqrt{M/k} + 1)/2`; tasks of unequal length
`random_gaussian`         any k           near 1.5: generic worlds hardly tell the rules apart
========================  ==============  ===========================================================================

The ratios of each world are a function beside it, for any q: q = 2 is L2, q = 1 the ablation (minimum norm, not
squared), q = 0 uniform. Where fewer than k entries of :math:`\nu^1` are not 0, the L1 rule samples too few tasks to fit
a representation: the ratios are then limits for floors whose share of the budget vanishes. All constructions and closed
forms are derived by us; that the L1 rule can be strictly better is claimed by Wang, Chen, Jamieson, Du (2023), whose
own instance we have not seen. A ValueError or TypeError names the argument that is out of its range.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng
from pessimism.tasks.model import LinearTasks

__all__ = [
    "block_spikes",
    "block_spikes_ratio",
    "identity",
    "identity_ratio",
    "random_gaussian",
    "spike_and_pairs",
    "spike_and_pairs_ratio",
]


def spike_and_pairs(pairs: int, *, coherence: float | None = None, dimension: int, noise: float = 1.0) -> LinearTasks:
    r"""Make a task equal to the target, and pairs of tasks whose sums point its way: rank 2, heads of length 1.

    Parameters
    ----------
    pairs : int
        P, at least 1; M = 1 + 2P tasks.
    coherence : float, optional
        Squared cosine g of every other task with the target, in [0, 1). Default: :math:`1/(\sqrt M + 1)`, at which
        the L2 rule loses most.
    dimension : int
        Length d of an input, at least k, here 2.
    noise : float
        Standard deviation :math:`\sigma`, at least 0.

    Returns
    -------
    LinearTasks
        On the first two axes: :math:`w_1 = w = e_1`, then P heads :math:`(\sqrt g, \sqrt{1-g})` and P heads
        :math:`(\sqrt g, -\sqrt{1-g})`.

    Notes
    -----
    :math:`\nu^1 = e_1`, and :math:`\nu^2_m = (w_m)_1/(1 + (M-1)g)`: 1 for the spike and :math:`\sqrt g` for the
    others, over the same number. Serves the claim that no function of k bounds what the L2 rule loses; see
    `spike_and_pairs_ratio`. Derived by us.

    Examples
    --------
    >>> tasks = spike_and_pairs(1, coherence=0.36, dimension=5)
    >>> tasks.heads.round(12).tolist()
    [[1.0, 0.6, 0.6], [0.0, 0.8, -0.8]]
    """
    half = _check.count("pairs", pairs)
    worst = float(_worst_coherence(1 + 2 * half))
    g = worst if coherence is None else _check.between("coherence", coherence, 0.0, 1.0, "[)")
    signs = np.repeat([0.0, 1.0, -1.0], [1, half, half])
    heads = np.stack([np.where(signs == 0, 1.0, np.sqrt(g)), signs * np.sqrt(1.0 - g)])
    return _on_axes(heads, np.array([1.0, 0.0]), dimension, noise)


def spike_and_pairs_ratio(pairs: ArrayLike, coherence: ArrayLike | None = None, *, power: ArrayLike = 2.0) -> Floats:
    r"""Compute the leading-order risk on `spike_and_pairs` of buying by :math:`|\nu^2|^q`, over that of the L1 rule.

    Parameters
    ----------
    pairs : (...) array_like of int
        P, at least 1; M = 1 + 2P.
    coherence : (...) array_like of float, optional
        Squared cosine g, in [0, 1). Default: :math:`1/(\sqrt M + 1)`.
    power : (...) array_like of float
        Exponent q, at least 0: 2 for the L2 rule, 1 for the ablation, 0 for uniform.

    Returns
    -------
    (...) float
        :math:`\frac{1 + (M-1) g^{q/2}}{1 + (M-1) g^{1+q/2}}`.

    See Also
    --------
    simulations.task_dominance : Simulation of it against the number of tasks.

    Notes
    -----
    For q = 2 it is :math:`(1 + (M-1)g)/(1 + (M-1)g^2)`, at most :math:`(\sqrt M + 1)/2`, at the default g. Uniform
    then loses :math:`M/(1 + (M-1)g) = \sqrt M`. Exact limit as N grows with floors fixed. Derived by us.

    Examples
    --------
    >>> spike_and_pairs_ratio([20, 500]).round(5).tolist()  # (sqrt(M) + 1) / 2
    [3.70156, 16.31929]
    """
    tasks = np.asarray(1.0 + 2.0 * _check.whole_array("pairs", pairs, low=1), dtype=np.float64)
    g = _worst_coherence(tasks) if coherence is None else _check.real_array("coherence", coherence)
    _check.require("coherence", g, (g >= 0.0) & (g < 1.0), "in [0, 1)")
    return _spike_ratio(tasks, g, _power(power))


def identity(k: int, *, others: float, dimension: int, noise: float = 1.0) -> LinearTasks:
    r"""Make a task for each direction, and a target that is nearly one of them.

    Parameters
    ----------
    k : int
        Rank and number of tasks, M = k.
    others : float
        Entries a of the target except the first, positive.
    dimension, noise : as in `spike_and_pairs`
        See there.

    Returns
    -------
    LinearTasks
        On the first k axes: W = I, w = (1, a, ..., a).

    See Also
    --------
    pessimism.tasks.bounds.l2_bound : The bound that it shows to be sharp.

    Notes
    -----
    :math:`\nu^1 = \nu^2 = w`, the only solution. Serves the claim that the bound M on what the L2 rule loses is
    sharp, and that it may do no better than uniform; see `identity_ratio`. With as many tasks as directions the
    rank constrains nothing: every task is fitted by itself. Derived by us.

    Examples
    --------
    >>> identity(3, others=0.1, dimension=4).target.tolist()
    [1.0, 0.1, 0.1]
    """
    rank = _check.whole("k", k, low=1)
    _check.at_least("dimension", dimension, rank, "k")
    return _on_axes(np.eye(rank), _target(rank, others), dimension, noise)


def identity_ratio(k: ArrayLike, others: ArrayLike, *, power: ArrayLike = 2.0) -> Floats:
    r"""Compute the leading-order risk on `identity` of buying by :math:`|\nu^2|^q`, over that of the L1 rule.

    Parameters
    ----------
    k : (...) array_like of int
        Rank and number of tasks.
    others : (...) array_like of float
        Entries a of the target except the first, positive.
    power : (...) array_like of float
        Exponent q, at least 0: 2 for the L2 rule, 1 for the L1 rule itself, 0 for uniform.

    Returns
    -------
    (...) float
        :math:`(1 + (k-1)a^{2-q})(1 + (k-1)a^q) / (1 + (k-1)a)^2`.

    See Also
    --------
    pessimism.tasks.bounds.l2_bound : The bound that it reaches as a vanishes.

    Notes
    -----
    For q = 2 and q = 0 it is :math:`k(1 + (k-1)a^2)/(1 + (k-1)a)^2`, which tends to k = M as a vanishes; at a = 0
    itself the L2 rule buys the one task that matters and the ratio is 1. Derived by us.

    Examples
    --------
    >>> identity_ratio(8, [1.0, 0.1, 1e-6]).round(3).tolist()
    [1.0, 2.962, 8.0]
    """
    return _identity_ratio("k", k, others, _power(power))


def block_spikes(blocks: int, block_size: int, *, others: float, dimension: int, noise: float = 1.0) -> LinearTasks:
    r"""Make a direction for each block, with a long task among many short ones, and a target near one direction.

    Parameters
    ----------
    blocks : int
        Number k of blocks, and rank; at least 1.
    block_size : int
        Tasks m of each block, all along its direction, at least 1; M = km.
    others : float
        Entries a of the target except the first, positive.
    dimension, noise : as in `spike_and_pairs`
        See there.

    Returns
    -------
    LinearTasks
        On the first k axes. Block j has the head :math:`m^{1/4} e_j` and m - 1 heads
        :math:`\sqrt{\sqrt m/(\sqrt m + 1)}\, e_j`; w = (1, a, ..., a).

    Notes
    -----
    **The lengths are unequal**, by a factor :math:`\sqrt{\sqrt m + 1}` (4.6 at m = 401), with mean square 1: a tight
    frame, :math:`W W^\top = m I`. Relative to it the squared weight of a spike is :math:`m^{-1/2}`.
    :math:`\nu^1` has :math:`w_j m^{-1/4}` on the spike of block j and 0 elsewhere;
    :math:`\nu^2 = W^\top w/m`. Serves the claim that both sources of loss multiply; see `block_spikes_ratio`.
    Derived by us.

    Examples
    --------
    >>> block_spikes(2, 4, others=0.1, dimension=3).heads.round(3).tolist()  # doctest: +NORMALIZE_WHITESPACE
    [[1.414, 0.816, 0.816, 0.816, 0.0, 0.0, 0.0, 0.0],
     [0.0, 0.0, 0.0, 0.0, 1.414, 0.816, 0.816, 0.816]]
    """
    rank, size = _check.count("blocks", blocks), _check.count("block_size", block_size)
    _check.at_least("dimension", dimension, rank, "blocks")
    root = np.sqrt(size)
    lengths = np.full(size, np.sqrt(root / (root + 1.0)))
    lengths[0] = np.sqrt(root)
    return _on_axes(np.kron(np.eye(rank), lengths), _target(rank, others), dimension, noise)


def block_spikes_ratio(
    blocks: ArrayLike, block_size: ArrayLike, others: ArrayLike, *, power: ArrayLike = 2.0
) -> Floats:
    r"""Compute the leading-order risk on `block_spikes` of buying by :math:`|\nu^2|^q`, over that of the L1 rule.

    Parameters
    ----------
    blocks : (...) array_like of int
        Number k of blocks.
    block_size : (...) array_like of int
        Tasks m = M/k of each.
    others, power : as in `identity_ratio`
        See there.

    Returns
    -------
    (...) float
        `identity_ratio` of (k, a) times what `spike_and_pairs_ratio` is with M = m and :math:`g = 1/(\sqrt m + 1)`.

    Notes
    -----
    For q = 2: :math:`\frac{k(1 + (k-1)a^2)}{(1 + (k-1)a)^2} \cdot \frac{\sqrt m + 1}{2}`, which tends to
    :math:`(\sqrt{kM} + k)/2` as a vanishes. For q = 0: the same with :math:`\sqrt m` for the second factor. Derived
    by us.

    Examples
    --------
    >>> block_spikes_ratio(8, 401, [1e-3, 1e-9]).round(1).tolist()
    [82.9, 84.1]
    """
    size = _check.whole_array("block_size", block_size, low=1).astype(np.float64)
    q = _power(power)
    across = _identity_ratio("blocks", blocks, others, q)
    _check.broadcast("blocks, others, block_size and power", across.shape, size.shape, q.shape)
    return np.asarray(across * _spike_ratio(size, _worst_coherence(size), q))


def random_gaussian(k: int, tasks: int, *, dimension: int, noise: float = 1.0, rng: Rng = None) -> LinearTasks:
    r"""Draw heads and target in random directions, on a random representation: generic synthetic data.

    Parameters
    ----------
    k : int
        Rank, at least 1.
    tasks : int
        M, at least k.
    dimension, noise : as in `spike_and_pairs`
        See there.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    LinearTasks
        Representation, heads and target all uniform; heads and target of length 1.

    See Also
    --------
    simulations.task_budget : Simulation of the modest gains of a rule on such worlds.

    Notes
    -----
    :math:`\nu^2 = W^+ w` and a vertex :math:`\nu^1` with k entries; no closed form. Serves as the control: no
    structure to exploit, and modest gains.

    Examples
    --------
    >>> tasks = random_gaussian(2, 7, dimension=4, rng=0)
    >>> tasks.representation.shape, tasks.heads.shape, float((tasks.target**2).sum().round(12))
    ((4, 2), (2, 7), 1.0)
    """
    rank = _check.whole("k", k, low=1)
    count, d = _check.at_least("tasks", tasks, rank, "k"), _check.at_least("dimension", dimension, rank, "k")
    generator = _check.generator(rng)
    q, r = np.linalg.qr(generator.standard_normal((d, rank)))
    vectors = generator.standard_normal((rank, count + 1))
    vectors /= np.linalg.norm(vectors, axis=0)
    return LinearTasks(q * np.sign(np.diagonal(r)), vectors[:, :count], vectors[:, count], noise)


def _on_axes(heads: Floats, target: Floats, dimension: int, noise: float) -> LinearTasks:
    k = len(target)
    return LinearTasks(np.eye(_check.at_least("dimension", dimension, k, "k"), k), heads, target, noise)


def _target(k: int, others: float) -> Floats:
    target = np.full(k, _check.positive("others", others, _check.MAX_SIZE))
    target[0] = 1.0
    return target


def _power(power: ArrayLike) -> Floats:
    return _check.real_array("power", power, low=0.0)


def _worst_coherence(tasks: ArrayLike) -> Floats:
    """Where (1 + (M-1)g) / (1 + (M-1)g^2) is largest: the positive root of (M-1)g^2 + 2g = 1."""
    return np.asarray(1.0 / (np.sqrt(tasks) + 1.0))


def _spike_ratio(tasks: Floats, g: Floats, q: Floats) -> Floats:
    """Ratio for a spike and M - 1 tasks with shares g^(q/2) of the spike's and squared cosine (or length) g."""
    _check.broadcast("tasks, coherence and power", tasks.shape, g.shape, q.shape)
    shares = (tasks - 1.0) * g ** (q / 2.0)
    return np.asarray((1.0 + shares) / (1.0 + shares * g))


def _identity_ratio(name: str, k: ArrayLike, others: ArrayLike, q: Floats) -> Floats:
    a, rest = _check.real_array("others", others), _check.whole_array(name, k, low=1) - 1.0
    _check.require("others", a, a > 0.0, "positive")
    _check.broadcast(f"{name}, others and power", rest.shape, a.shape, q.shape)
    with np.errstate(over="ignore"):  # for q > 2 powers of a tiny a may overflow to inf
        return np.asarray((1.0 + rest * a ** (2.0 - q)) * (1.0 + rest * a**q) / (1.0 + rest * a) ** 2)
