"""What logs with labels have in common: policies are translated, transitions are added up."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism.mdp import MDPData, Transitions


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
    """A log of transitions that can be added up; its subclasses say of how many states and actions."""

    __slots__ = ()
    transitions: Transitions

    def _sizes(self) -> tuple[int, int]:
        """S and A."""
        raise NotImplementedError

    def data(self, *, per_step: bool = False, reward_range: tuple[float, float] | None = None) -> MDPData:
        """Add up the log.

        Parameters
        ----------
        per_step : bool
            Keep the step axis; the log must then have shape (K, H).
        reward_range : (float, float), optional
            Interval known beforehand to hold every reward. Default: (0, 1) if it holds those of the log, else the
            smallest and the largest of them and, if something terminated, 0.

        Returns
        -------
        MDPData
            A single data set over all states and actions of the log, seen or not.

        Raises
        ------
        ValueError
            If a reward is outside its range, or the log is not of shape (K, H) and `per_step` is set.

        Examples
        --------
        >>> from pessimism.interop.minari import MinariLog
        >>> log = MinariLog(Transitions([[0]], [[1]], [[-5.0]], [[1]]), np.array([[True]]), np.array([1]), 2, 2)
        >>> log.data(per_step=True).counts.shape, log.data().reward_range
        ((1, 2, 2), (-5.0, 0.0))
        """
        log, rewards, ended = self.transitions, self.transitions.rewards, getattr(self, "terminated", None)
        if (
            reward_range is None
            and np.any(ended is not None and ended)
            and not 0 <= rewards.min() <= rewards.max() <= 1
        ):
            reward_range = min(0.0, float(rewards.min())), max(0.0, float(rewards.max()))
        if not per_step:
            log = Transitions(*(getattr(log, name).ravel() for name in Transitions.__slots__))
        n_states, n_actions = self._sizes()
        return MDPData.from_transitions(
            log, n_states=n_states, n_actions=n_actions, per_step=per_step, reward_range=reward_range
        )
