"""Models to try rules on: random ones, a slow grid, and the gambler of the textbooks.

None of them is hard by design: what a rule loses here is a measurement. For models whose loss is known see `instances`.
Arguments out of range raise a ValueError or TypeError that names them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._types import Ints, Rng
from pessimism.mdp.model import MDP

__all__ = ["allowed_stakes", "gamblers_problem", "garnet", "torus"]

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Row and column steps of the four actions of `torus`: up, right, down, left."""


def garnet(n_states: int, n_actions: int, n_successors: int, *, discount: float, rng: Rng = None) -> MDP:
    r"""Random model: every pair has its own random successors, probabilities and reward.

    Parameters
    ----------
    n_states, n_actions : int
        S and A, at least 1.
    n_successors : int
        B, in [1, S]: states that a pair can lead to, all different.
    discount : float
        :math:`\gamma`, in [0, 1).
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    MDP
        With deterministic rewards in [0, 1] and a uniform start.

    Notes
    -----
    Successors are a uniform subset of the states (Floyd's algorithm, so that cost and memory are O(SAB^2) and O(SAB)
    whatever S), probabilities uniform on the simplex, rewards uniform on [0, 1], in this order of drawing. The family
    is that of Archibald, McKinnon and Thomas (1995), *On the generation of Markov decision processes*.

    Examples
    --------
    >>> mdp = garnet(20, 3, 4, discount=0.9, rng=0)
    >>> mdp.n_states, mdp.n_actions, mdp.n_successors
    (20, 3, 4)
    """
    states, actions = _check.count("n_states", n_states), _check.count("n_actions", n_actions)
    width = _check.count("n_successors", n_successors)
    if width > states:
        raise ValueError(f"n_successors must be at most n_states = {states}, got {width}")
    generator = _check.generator(rng)
    successors = _distinct(generator, states, (states, actions, width))
    probabilities = generator.dirichlet(np.ones(width), size=(states, actions))
    return MDP(successors, probabilities, generator.random((states, actions)), discount=discount)


def torus(side: int, *, discount: float, slip: float = 0.2) -> MDP:
    r"""Grid without borders in which walking to the one rewarding cell takes long: a model that mixes slowly.

    Parameters
    ----------
    side : int
        Rows and columns, at least 3; there are side^2 states, numbered row by row.
    discount : float
        :math:`\gamma`, in [0, 1).
    slip : float
        Probability, in [0, 1], that the action is ignored.

    Returns
    -------
    MDP
        4 actions (up, right, down, left), 5 successors (the cell itself and its 4 neighbours, wrapping around), a
        uniform start.

    Notes
    -----
    With probability 1 - slip the chosen neighbour is reached; with probability slip one of the five successors, each
    with slip/5. Every action in cell 0 earns 1, no other pair earns anything. Under a random policy the time to mix
    grows as side^2.

    Examples
    --------
    >>> mdp = torus(4, discount=0.9, slip=0.0)
    >>> mdp.best_policy.reshape(4, 4)[0].tolist(), mdp.optimal_values[1].round(3).item()
    ([0, 3, 1, 1], 4.737)
    """
    size = _check.whole("side", side, low=3, high=math.isqrt(_check.MAX_COUNT))
    lost = _check.between("slip", slip, 0.0, 1.0)
    row, column = np.divmod(np.arange(size * size), size)
    around = [((row + down) % size) * size + (column + right) % size for down, right in MOVES]
    successors = np.stack([np.arange(size * size), *around], axis=-1)
    chances = np.full((4, 5), lost / 5.0)
    chances[np.arange(4), np.arange(1, 5)] += 1.0 - lost
    rewards = np.zeros((size * size, 4))
    rewards[0] = 1.0
    shape = (size * size, 4, 5)
    return MDP(np.broadcast_to(successors[:, None], shape), np.broadcast_to(chances, shape), rewards, discount=discount)


def gamblers_problem(goal: int = 50, *, heads: float = 0.45, horizon: int = 100) -> MDP:
    r"""A gambler stakes money on coin tosses until the goal is reached or all is lost.

    Parameters
    ----------
    goal : int
        Capital to reach, at least 2; the states are 0, ..., goal.
    heads : float
        Probability, in [0, 1], that a toss is won.
    horizon : int
        H, the number of tosses.

    Returns
    -------
    MDP
        Undiscounted, with rewards per successor: 1 on reaching the goal. Action a stakes a + 1; 0 and goal are
        absorbing. The start is uniform on all goal + 1 states.

    Notes
    -----
    A stake is one of 1, ..., min(s, goal - s) (`allowed_stakes`). Larger ones are copies of the largest that is
    allowed, so they change no value. If ``heads < 1/2`` and enough tosses remain, bold play, the largest stake, is
    optimal. The defaults are those of the experiment of Li et al. (2022), arXiv:2204.05275.

    Examples
    --------
    >>> mdp = gamblers_problem(8, heads=0.25, horizon=10)
    >>> mdp.optimal_values[0, [0, 2, 4, 6, 8]].tolist()
    [0.0, 0.0625, 0.25, 0.4375, 0.0]
    """
    win = _check.between("heads", heads, 0.0, 1.0)
    largest = _largest_stakes(goal)
    capital = np.arange(len(largest))[:, None]
    stake = np.minimum(largest[:, None], np.arange(1, len(largest) // 2 + 1))
    successors = np.stack([capital + stake, capital - stake], axis=-1)
    probabilities = np.broadcast_to([win, 1.0 - win], successors.shape)
    rewards = np.zeros(successors.shape)
    rewards[1:-1, :, 0] = successors[1:-1, :, 0] == goal
    return MDP(successors, probabilities, rewards, horizon=horizon)


def allowed_stakes(goal: int = 50) -> NDArray[np.bool_]:
    """Which actions of `gamblers_problem` are stakes that the gambler may make.

    Parameters
    ----------
    goal : int
        Capital to reach, at least 2.

    Returns
    -------
    (goal + 1, goal // 2) bool
        True where the stake a + 1 is at most min(s, goal - s); nowhere in the absorbing states 0 and goal.

    Examples
    --------
    >>> allowed_stakes(4).astype(int).tolist()
    [[0, 0], [1, 0], [1, 1], [1, 0], [0, 0]]
    """
    largest = _largest_stakes(goal)
    return np.asarray(np.arange(1, len(largest) // 2 + 1) <= largest[:, None])


def _largest_stakes(goal: int) -> Ints:
    capital = np.arange(_check.count("goal", goal, low=2) + 1)
    return np.asarray(np.minimum(capital, capital[::-1]))


def _distinct(rng: np.random.Generator, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Uniform subsets of range(n) along the last axis: Floyd's algorithm for all subsets at once."""
    chosen = np.empty(shape, np.int64)
    for i, last in enumerate(range(n - shape[-1], n)):
        drawn = rng.integers(last + 1, size=shape[:-1])
        taken = (chosen[..., :i] == drawn[..., None]).any(axis=-1)
        chosen[..., i] = np.where(taken, last, drawn)
    return chosen
