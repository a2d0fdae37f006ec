"""What logs with labels have in common: policies are translated, transitions are added up."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Ints
from pessimism.mdp import MDPData, Transitions


def labelled_by(name: str, labels: Any, size: int | None = None) -> None:
    """Raise a TypeError unless the labels are a tuple, a ValueError unless there are `size` of them."""
    _check.instance(name, labels, tuple)
    if size is not None and len(labels) != size:
        raise ValueError(f"{name} must hold {size} labels, one for each position, got {len(labels)}")


class Decided:
    """A log that can translate policies; its subclasses say what a policy chooses, and where."""

    __slots__ = ()

    def _names(self) -> tuple[tuple[Any, ...], tuple[Any, ...], str, str]:
        """Labels of the places and of the choices, and what a choice and the places are called."""
        raise NotImplementedError

    def decisions(self, policy: ArrayLike) -> dict[Any, Any]:
        """Translate a policy of positions into the labels of the table.

        Parameters
        ----------
        policy : (S,) array_like of int
            One choice for each place, as rules return it; one step of a policy that has steps.

        Returns
        -------
        dict
            Label of the choice, by label of the place.

        Raises
        ------
        ValueError, TypeError
            If `policy` is not one choice for each place.

        Examples
        --------
        >>> from pessimism.bandits import BanditData
        >>> from pessimism.interop.frames import BanditLog
        >>> log = BanditLog(BanditData([[1], [1]], [[0.0], [1.0]]), arms=("call",), contexts=("new", "old"))
        >>> log.decisions([0, 0])
        {'new': 'call', 'old': 'call'}
        """
        places, choices, choice, named = self._names()
        chosen = _check.whole_array("policy", policy, high=len(choices) - 1)
        if chosen.shape != (len(places),):
            raise ValueError(f"policy must be one {choice} for each of {len(places)} {named}, got {chosen.shape}")
        return {place: choices[i] for place, i in zip(places, chosen.tolist(), strict=True)}


class Reduced:
    """A log of transitions that can be added up; its subclasses say of how many states and actions.

    Subclasses have `transitions`, and `lengths` (K,) of the episodes in them or None if nobody named any.
    """

    __slots__ = ()
    transitions: Transitions
    lengths: Ints | None

    def _sizes(self) -> tuple[int, int]:
        """S and A."""
        raise NotImplementedError

    def episodes(self) -> list[Transitions]:
        """Take the log apart into its episodes: what estimators of the value of a policy read.

        Returns
        -------
        list of Transitions
            One of shape (T,) for each episode, in the order of `lengths`; their lengths T may differ.

        Raises
        ------
        ValueError
            If nobody named the episodes of the log.

        See Also
        --------
        pessimism.mdp.estimators.per_decision_is : An estimator that takes them.

        Examples
        --------
        >>> from pessimism.interop.transitions import TransitionLog
        >>> log = Transitions([0, 1, 1], [1, 0, 0], [-1.0, -5.0, -5.0], [1, 2, 2])
        >>> log = TransitionLog(log, states=("out", "on", "home"), actions=("wait", "go"), lengths=np.array([2, 1]))
        >>> [episode.rewards.tolist() for episode in log.episodes()]
        [[-1.0, -5.0], [-5.0]]
        """
        if self.lengths is None:
            raise ValueError("lengths must be known: the episodes of this log were not named")
        names, ends = Transitions.__slots__, np.cumsum(self.lengths)[:-1]
        fields = (np.split(getattr(self.transitions, name).ravel(), ends) for name in names)
        return [Transitions(*own) for own in zip(*fields, strict=True)]

    def data(self, *, per_step: bool = False, reward_range: tuple[float, float] | None = None) -> MDPData:
        """Add up the log.

        Parameters
        ----------
        per_step : bool
            Keep the step axis, as long as the longest episode; the log must then be of episodes.
        reward_range : (float, float), optional
            Interval known beforehand to hold every reward. Default: as for `MDPData.from_transitions`.

        Returns
        -------
        MDPData
            A single data set over all states and actions of the log, seen or not.

        Raises
        ------
        ValueError
            If a reward is outside its range, or the log is not of episodes and `per_step` is set.

        Warns
        -----
        UserWarning
            As for `MDPData.from_transitions`, if states are entered and never left, and nothing says why.

        Examples
        --------
        >>> from pessimism.interop.transitions import TransitionLog
        >>> log = Transitions([[0]], [[1]], [[-5.0]], [[1]], terminated=[[True]])
        >>> log = TransitionLog(log, states=("out", "home"), actions=("wait", "go"))
        >>> log.data(per_step=True).counts.shape, log.data().terminal.tolist()
        ((1, 2, 2), [False, True])
        """
        log, sizes = self.transitions, self._sizes()
        known: dict[str, Any] = {"n_states": sizes[0], "n_actions": sizes[1], "reward_range": reward_range}
        if _check.flag("per_step", per_step) and log.rewards.ndim == 1 and self.lengths is not None:
            return MDPData.from_episodes(self.episodes(), horizon=int(self.lengths.max()), **known)
        if not per_step:
            log = Transitions(*(getattr(log, name).ravel() for name in Transitions.__slots__))
        return MDPData.from_transitions(log, per_step=per_step, **known)
