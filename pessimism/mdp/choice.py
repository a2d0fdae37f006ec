r"""Choosing how pessimistic to be: which constants of the widths change anything at all.

A rule with widths raises no value, and so imitates, unless its constant is small enough for the log at hand. Which
constant is best depends on the composition of the data, which the data themselves do not show; what they do show is
where the constant begins to matter.
"""

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp.data import MDPData
from pessimism.mdp.rules import _imitation
from pessimism.mdp.rules._empirical import empirical, episodic, inverse_delta, logarithm, stationary

__all__ = ["moving_constant"]

RULES = ("vi_lcb", "vi_lcb_bernstein", "vi_lcb_episodic")


def moving_constant(
    data: MDPData,
    *,
    discount: float | None = None,
    rule: str | None = None,
    delta: float | None = None,
    log_factor: float | None = None,
) -> Floats:
    r"""Supremum of the constants at which a rule with widths raises some value: from there on it imitates.

    Parameters
    ----------
    data : MDPData
        Logged transitions.
    discount : float, optional
        :math:`\gamma`, for data without a step axis, as the rule takes it.
    rule : str, optional
        "vi_lcb" (as it is by default: monotone, no split), "vi_lcb_bernstein" or "vi_lcb_episodic" (no subsampling).
        Default: "vi_lcb", or "vi_lcb_episodic" for data with a step axis.
    delta, log_factor : float, optional
        As for the rule; `vi_lcb` has no `log_factor`.

    Returns
    -------
    (...) float
        The status of the rule is NO_UPDATE from this `constant` on, and never below it; 0 where no constant moves
        anything, because nothing was earned.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or is not one of the rule.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, which warns where it imitates in all data sets.
    pessimism.mdp.bounds.no_update : When the rule is certain to imitate, whatever was earned.

    Notes
    -----
    Before anything has moved all values are the smallest possible ones, so a value moves first where
    :math:`\hat r - r_{\min}` exceeds a width, w being the width of the reward range:

    .. math::
        \max_{s,a} \frac{n (\hat r - r_{\min})^2 (1-\gamma)^2}{w^2 \log(2SA/\delta)}, \qquad
        \max_{s,a} \frac{n (1-\gamma) ((\hat r - r_{\min})/w - 5/N)}{2\log(N/((1-\gamma)\delta))}, \qquad
        \max_{h,s,a} \frac{n (\hat r - r_{\min})}{w H \log(NH/\delta)}

    for the three rules; a step into a terminal state, worth 0 and so more than the smallest value, counts as earned. A
    constant that moves a value need not move the policy. Derived here.

    Examples
    --------
    >>> data = MDPData([[9000, 5000]], [[[0], [0]]], [[[9000], [5000]]], [[900.0, 4500.0]])
    >>> moving_constant(data, discount=0.5).round(1).item()
    92.6
    """
    _check.instance("data", data, MDPData)
    default = "vi_lcb" if data.horizon is None else "vi_lcb_episodic"
    name = default if rule is None else _check.choice("rule", rule, RULES)
    if name == "vi_lcb_episodic":
        if discount is not None:
            raise ValueError("discount must not be given for vi_lcb_episodic: episodes are not discounted")
        steps = max(episodic(data), 1)
        known, total = empirical(data, None, None), data.n.clip(min=1)
        return _imitation.episodic(
            known, logarithm(total * steps * inverse_delta(data, delta, least=2), log_factor)
        ).constant
    if discount is None:
        raise ValueError(f"discount must be given for {name}")
    if name == "vi_lcb":
        if log_factor is not None:
            raise ValueError("log_factor must not be given for vi_lcb: its widths have no other logarithm")
        known = empirical(stationary(data), _check.scalar("discount", discount), None)
        return _imitation.hoeffding(known, 2.0 * known.n_pairs * inverse_delta(data, delta)).constant
    gamma = _check.between("discount", discount, 0.5, 1.0, "[)")
    known, total = empirical(stationary(data), gamma, None), data.n.clip(min=1)
    log = logarithm(total * inverse_delta(data, delta, least=2) / (1.0 - gamma), log_factor)
    return _imitation.bernstein(known, total, log).constant
