r"""Minari data sets as logs of transitions, and logs as Minari data sets.

Observations and actions are positions in tables, so their spaces must be finite: Discrete, MultiDiscrete, MultiBinary,
or Tuple or Dict of these, nested as one likes. Of a space with parts the values are numbered in row-major order: the
parts in the order of the space (that of its sorted keys in a Dict), the last one running fastest, each counted from its
start. `position_of` and `value_at` go from one to the other, so that a policy can act in the environment:
``env.step(value_at(env.action_space, policy[position_of(env.observation_space, observation)]))``.

An episode of T steps has T + 1 observations: step t is the transition :math:`(s_t, a_t, r_t, s_{t+1})`.

=====================  ============================================================================================
in the data set        in our structure
=====================  ============================================================================================
observations           ``states`` and ``next_states``: positions in the space
actions, rewards       ``actions``, positions in the space; ``rewards``
terminations           ``terminated``: the transition leads to a terminal state, worth 0, see below
truncations            ``truncated``: the log goes no further, and nothing is known of what follows; so too at the
                       end of an episode without a mark, if any episode of the data set has one
=====================  ============================================================================================

*Where an episode ends* follows the rule of `pessimism.interop.gymnasium`. A state that is entered by termination only
is terminal; if some state of the log is entered both ways, terminated transitions lead to one more state,
of index S. A log cannot show transitions that never happened, so for a log that belongs to a model pass
``n_states = mdp.n_states``. Taxi has 501 even if the log looks like 500.

*Episodes of unequal length* stand in one row, one after the other (`lengths`), and ``data(per_step=True)`` keeps their
steps. With `horizon` those that terminate early are continued in their terminal state, by action 0 for a reward of 0:
padding, which is not counted.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._optional import optional
from pessimism._types import Floats, Ints
from pessimism.interop import _spaces
from pessimism.interop._logs import Reduced
from pessimism.mdp import Transitions

__all__ = ["MinariLog", "from_minari", "position_of", "to_minari", "value_at"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MinariLog(Reduced, Speaking):
    """Transitions of a Minari data set, with what else it records.

    Attributes
    ----------
    transitions : Transitions
        Of shape (n,), all episodes one after the other; or (K, H) if a horizon was asked for.
    terminated : (n,) or (K, H) bool
        Which transitions terminated their episode, as in `transitions`. What follows in a row of (K, H) was added.
    lengths : (K,) int
        Steps of every episode as they are in the data set.
    n_states, n_actions : int
        S, with the additional terminal state if there is one, and A.

    Examples
    --------
    >>> log = Transitions([0, 1], [0, 0], [0.0, 1.0], [1, 2], terminated=[False, True])
    >>> data = MinariLog(log, log.terminated, np.array([2]), n_states=3, n_actions=1).data()
    >>> data.counts.tolist(), data.terminal.tolist()
    ([[1], [1], [0]], [False, False, True])
    """

    transitions: Transitions
    terminated: NDArray[np.bool_]
    lengths: Ints
    n_states: int
    n_actions: int

    def _sizes(self) -> tuple[int, int]:
        return self.n_states, self.n_actions


def from_minari(dataset: Any, *, n_states: int | None = None, horizon: int | None = None) -> MinariLog:
    r"""Read the transitions of a Minari data set.

    Parameters
    ----------
    dataset : minari.MinariDataset or str
        A data set; or the id of a local one. Nothing is downloaded.
    n_states : int, optional
        Size of the observation space: terminated transitions lead to the observation they were logged with. One more:
        they lead to an additional terminal state, the last. Default: by the rule in the module docstring.
    horizon : int, optional
        H, for episodes in rows of their own: an episode must have H steps or, if it terminated, at most H, and is then
        padded. Default: all steps in one row, episodes of any length.

    Returns
    -------
    MinariLog
        Transitions of shape (n,), or (K, H) with a horizon.

    Raises
    ------
    TypeError
        If observations or actions are not Discrete, MultiDiscrete, MultiBinary, or Tuple or Dict of these.
    ValueError
        If a space has more than 10^9 values, an episode does not fit in its spaces or in the horizon or goes on
        after a termination, `n_states` is neither of the two, or the data set is empty.
    FileNotFoundError
        If there is no such local data set.
    ImportError
        If Minari or Gymnasium is not installed.

    Notes
    -----
    The log of :math:`\epsilon`-greedy or learning agents depends on its own rewards; theorems for fixed laws do not
    cover it.

    Examples
    --------
    Of two episodes the first terminates at once, in state 1.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> walks = Transitions([[0, 1], [0, 0]], [[1, 0], [0, 0]], [[1.0, 0.0], [0.0, 0.0]], [[1, 1], [0, 0]])
    >>> with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MINARI_DATASETS_PATH=folder):
    ...     dataset = to_minari(walks, "walk/two-v0", terminated=[[True, False], [False, False]])
    ...     logged, continued = from_minari(dataset), from_minari(dataset, horizon=2)
    >>> logged.lengths.tolist(), logged.transitions.next_states.tolist()
    ([1, 2], [1, 0, 0])
    >>> continued.transitions.next_states.tolist()
    [[1, 1], [0, 0]]
    """
    if isinstance(dataset, str):
        try:
            dataset = optional("minari", "rl").load_dataset(dataset)
        except ValueError as error:
            raise ValueError(f"dataset must be the id of a data set that Minari has: {error}") from None
    if not hasattr(dataset, "iterate_episodes"):
        raise TypeError(f"dataset must be a MinariDataset or the id of one, got {type(dataset).__name__}")
    spaces = (
        _spaces.require_finite("dataset", dataset.observation_space, "observations"),
        _spaces.require_finite("dataset", dataset.action_space, "actions"),
    )
    episodes = [_episode(episode, spaces) for episode in dataset.iterate_episodes()]
    if not episodes:
        raise ValueError("dataset must hold at least one episode, got none")
    if any(episode.terminated.any() or episode.truncated.any() for episode in episodes):
        for episode in episodes:  # where ends are marked, what has none was cut
            episode.truncated[-1:] = ~episode.terminated[-1:]
    observed, both = _spaces.size(spaces[0]), _entered_both_ways(episodes)
    n_states = observed + both if n_states is None else _check.count("n_states", n_states, low=0)
    if n_states not in (observed, observed + 1):
        raise ValueError(f"n_states must be {observed}, as the observations have, or {observed + 1}, got {n_states}")
    if both and n_states == observed:
        raise ValueError(f"n_states must be {observed + 1}, got {n_states}: a state that terminates is also passed")
    rows = [_sent(episode, observed) if n_states > observed else episode for episode in episodes]
    if horizon is not None:
        steps = _check.count("horizon", horizon)
        rows = [_continued(k, row, steps) for k, row in enumerate(rows)]
    join = np.concatenate if horizon is None else np.stack
    lengths = np.array([len(episode.rewards) for episode in episodes])
    lengths.setflags(write=False)
    log = Transitions(*(join(column) for column in zip(*rows, strict=True)))
    return MinariLog(log, log.terminated, lengths, int(n_states), _spaces.size(spaces[1]))


class _Episode(NamedTuple):
    states: Ints
    actions: Ints
    rewards: Floats
    next_states: Ints
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


def _episode(logged: Any, spaces: tuple[Any, Any]) -> _Episode:
    name = f"episode {logged.id}"
    labels, actions = (
        _spaces.encoded(f"{name}: {what}", values, space)
        for what, values, space in zip(
            ("observations", "actions"), (logged.observations, logged.actions), spaces, strict=True
        )
    )
    rewards = _check.real_array(f"{name}: rewards", logged.rewards)
    if not labels.size - 1 == actions.size == rewards.size == np.size(logged.terminations):
        raise ValueError(
            f"{name} must have one observation more than steps, got {labels.size} observations, "
            f"{actions.size} actions, {rewards.size} rewards and {np.size(logged.terminations)} terminations"
        )
    ends = np.asarray(logged.terminations, dtype=np.bool_)
    _check.require(f"{name}: terminations", ends[:-1], ~ends[:-1], "False before the last step")
    cut = np.zeros(len(ends), np.bool_)
    cut[-1:] = not ends[-1:].any() and np.any(logged.truncations)
    return _Episode(labels[:-1], actions, rewards, labels[1:], ends, cut)


def _entered_both_ways(episodes: Iterable[_Episode]) -> bool:
    """Whether some state ends an episode by termination and is also where one begins or passes."""
    ends: set[int] = set()
    passed: set[int] = set()
    for episode in episodes:
        ends.update(episode.next_states[episode.terminated].tolist())
        passed.update(episode.states[:1].tolist(), episode.next_states[~episode.terminated].tolist())
    return bool(ends & passed)


def _sent(episode: _Episode, absorbing: int) -> _Episode:
    return episode._replace(next_states=np.where(episode.terminated, absorbing, episode.next_states))


def _continued(k: int, episode: _Episode, steps: int) -> _Episode:
    missing = steps - len(episode.rewards)
    if missing < 0 or (missing and not episode.terminated[-1:].any()):
        raise ValueError(
            f"horizon must fit every episode: {len(episode.rewards)} steps, or more if episodes terminate; "
            f"episode {k} has {len(episode.rewards)} steps, not {steps}"
        )
    if not missing:
        return episode
    end = np.full(missing, episode.next_states[-1])
    zero = np.zeros(missing, np.int64)
    no = zero.astype(np.bool_)
    more = _Episode(end, zero, zero.astype(np.float64), end, no, no)
    return _Episode(*(np.concatenate(pair) for pair in zip(episode, more, strict=True)))


def position_of(space: Any, value: Any) -> int:
    """Position of a value of a space, as `from_minari` numbers them.

    Parameters
    ----------
    space : gymnasium.Space
        Discrete, MultiDiscrete, MultiBinary, or Tuple or Dict of these.
    value : object
        An observation or an action, as the environment gives or takes it.

    Returns
    -------
    int
        Its place in row-major order, from 0.

    Raises
    ------
    TypeError, ValueError
        If the space is of another kind or too large, or `value` is not in it.
    ImportError
        If Gymnasium is not installed.

    Examples
    --------
    >>> from gymnasium.spaces import Discrete, MultiDiscrete, Tuple
    >>> space = Tuple([Discrete(2, start=1), MultiDiscrete([3, 4])])
    >>> position_of(space, (2, [1, 3])) == 1 * 12 + 1 * 4 + 3
    True
    """
    return int(_spaces.encoded("value", value, _spaces.require_finite("space", space), axes=0))


def value_at(space: Any, position: int) -> Any:
    """Value at a position of a space: what `position_of` undoes.

    Parameters
    ----------
    space : gymnasium.Space
        As for `position_of`.
    position : int
        From 0 to one less than the number of values.

    Returns
    -------
    int, array, tuple or dict
        An observation or an action, in the form in which the environment gives or takes it.

    Raises
    ------
    TypeError, ValueError
        If the space is of another kind or too large, or the position is not one of its own.
    ImportError
        If Gymnasium is not installed.

    Examples
    --------
    >>> from gymnasium.spaces import Discrete, MultiDiscrete, Tuple
    >>> value_at(Tuple([Discrete(2, start=1), MultiDiscrete([3, 4])]), 19)
    (2, array([1, 3]))
    """
    finite = _spaces.require_finite("space", space)
    return _spaces.decoded(_check.whole("position", position, high=_spaces.size(finite) - 1), finite)


def to_minari(
    log: Transitions,
    dataset_id: str,
    *,
    terminated: ArrayLike | None = None,
    n_states: int | None = None,
    n_actions: int | None = None,
) -> Any:
    """Write logged episodes as a local Minari data set.

    Parameters
    ----------
    log : Transitions
        Of shape (K, H), as from `MDP.sample_log`: every episode goes on where its last step led.
    dataset_id : str
        Name as Minari wants it, such as "lake/uniform-v0". It must not exist.
    terminated : (K, H) array_like of bool, optional
        Which transitions terminate their episode; the episode is written up to the first, and whatever follows must
        stay there and earn 0. Default: as marked in the log. Other episodes are truncated after H steps.
    n_states, n_actions : int, optional
        Sizes of the spaces. Default: one more than the largest label, which misses what was never seen: pass them.

    Returns
    -------
    minari.MinariDataset
        Which `from_minari` turns back into the same numbers.

    Raises
    ------
    ValueError
        If the log is not of connected episodes, goes on after a termination, or the data set exists.
    OSError
        If the data set cannot be written.
    ImportError
        If Minari or Gymnasium is not installed.

    Notes
    -----
    Minari keeps its data sets where the environment variable MINARI_DATASETS_PATH says. Its warnings that author,
    code and environment are not given are not passed on; before you publish, add what they ask for by
    ``dataset.storage.update_metadata({"author": ...})``.

    Examples
    --------
    >>> import os, tempfile
    >>> from unittest import mock
    >>> from pessimism.mdp import MDP
    >>> ring = MDP.from_function(lambda s, a: [(1.0, (s + a) % 3, float(s == 2))], 3, 2, [1, 0, 0], horizon=4)
    >>> log = ring.sample_log([1, 1, 1], n=2, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MINARI_DATASETS_PATH=folder):
    ...     dataset = to_minari(log, "ring/forward-v0", n_states=3, n_actions=2)
    ...     dataset.total_episodes, dataset[0].observations.tolist(), dataset[0].rewards.tolist()
    (2, [0, 1, 2, 0, 1], [0.0, 0.0, 1.0, 0.0])
    """
    _check.instance("log", log, Transitions)
    _check.instance("dataset_id", dataset_id, str)
    ends, lengths = _ends(log, terminated)
    minari, buffer, spaces = (optional(x, "rl") for x in ("minari", "minari.data_collector", "gymnasium.spaces"))
    sizes = []
    for name, size, used in (
        ("n_states", n_states, max(int(log.states.max()), int(log.next_states.max()))),
        ("n_actions", n_actions, int(log.actions.max())),
    ):
        sizes.append(used + 1 if size is None else _check.whole(name, size, low=used + 1))
    episodes = [
        buffer.EpisodeBuffer(
            id=k,
            observations=np.append(log.states[k, :steps], log.next_states[k, steps - 1]),
            actions=log.actions[k, :steps],
            rewards=log.rewards[k, :steps],
            terminations=ends[k, :steps],
            truncations=~ends[k, :steps] & (np.arange(steps) == steps - 1),
        )
        for k, steps in enumerate(lengths.tolist())
    ]
    with warnings.catch_warnings():
        for missing in ("is set to None", "env_spec is None"):
            warnings.filterwarnings("ignore", f".*{missing}", UserWarning, r"minari\.")
        try:
            return minari.create_dataset_from_buffers(
                dataset_id,
                episodes,
                observation_space=spaces.Discrete(sizes[0]),
                action_space=spaces.Discrete(sizes[1]),
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"dataset_id must be a new id, such as walk/two-v0: {error}") from None


def _ends(log: Transitions, terminated: ArrayLike | None) -> tuple[NDArray[np.bool_], Ints]:
    """Clean terminations, and steps of every episode up to its first."""
    shape = log.rewards.shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"log must have shape (episodes, steps), at least one of each, got {shape}")
    ends = _check.numeric("terminated", log.terminated if terminated is None else terminated)
    if ends.dtype != np.bool_ or ends.shape != shape:
        raise ValueError(f"terminated must be bool of shape {shape} as the log, got {ends.dtype} of shape {ends.shape}")
    after = np.zeros(shape, np.bool_)
    after[:, 1:] = np.logical_or.accumulate(ends, axis=1)[:, :-1]
    _check.require("log.rewards", log.rewards, ~after | (log.rewards == 0), "0 after its episode has terminated")
    _check.require(
        "log.next_states", log.next_states, ~after | (log.next_states == log.states), "absorbing after termination"
    )
    joined = np.ones(shape, np.bool_)
    joined[:, 1:] = log.states[:, 1:] == log.next_states[:, :-1]
    _check.require("log.states", log.states, joined, "where the step before it led")
    return ends, np.asarray((~after).sum(axis=1))
