r"""Checking a relevance: known awkward problems, then many drawn ones, against a proof of what the optimum is.

The smallest objective of a small problem is known together with a dual point that proves it, so a rule that claims it
can be held to it (`pessimism.testing.tasks._relevance_promises`), also where several weights are optimal.
"""

from collections.abc import Callable, Collection

import numpy as np

from pessimism import _check
from pessimism._types import Floats
from pessimism.testing._driver import Trial, checked_arguments
from pessimism.testing.tasks._relevance import Case, RelevanceError, RelevanceSubject, Rule, case_of
from pessimism.testing.tasks._relevance_mistakes import probe
from pessimism.testing.tasks._relevance_promises import PROMISES, cases

__all__ = ["RelevanceError", "check_relevance"]


def check_relevance(
    rule: Rule,
    *,
    norm: int | None = None,
    regularization: float | None = None,
    tolerance: float = 1e-8,
    rank_deficient: bool = False,
    waive: Collection[str] = (),
    accepts: Callable[[Floats, Floats], bool] | None = None,
    examples: int = 100,
) -> None:
    r"""Raise a RelevanceError that shows the smallest problem found on which a rule breaks a promise.

    Parameters
    ----------
    rule : callable
        ``rule(heads, target) -> weights``: from W (..., k, M) and w (..., k) to (..., M) float, or to anything with
        ``.weights``, like `min_l1`. If there is a ``.dual`` too, the proof is checked with its ``.gap`` and
        ``.residual``, which must be there then, and mean what they do in a `Relevance`.
    norm : int, optional
        1 or 2: the rule claims the smallest :math:`\|\nu\|_1` or :math:`\|\nu\|_2` subject to :math:`W\nu = w`.
    regularization : float, optional
        The rule claims the smallest :math:`\tfrac12\|W\nu - w\|^2 + \lambda\|\nu\|_1`, where :math:`\lambda` is this
        part, in (0, 1], of :math:`\|W^\top w\|_\infty`. With neither of the two it claims nothing, and is only held to
        the symmetries.
    tolerance : float
        What the rule claims: largest relative error of norms, residuals and of the weights :math:`\nu^2`, and largest
        gap of the Lasso as a part of :math:`\tfrac12\|w\|^2`. Iterative solvers may need a larger one.
    rank_deficient : bool
        Whether to try heads that do not span all k dimensions. The target lies in their span in any case.
    waive : collection of str
        Promises that the rule does not make: "repeat", "certificate", "zeros", "batch", "tasks", "basis" or "scale".
    accepts : callable, optional
        ``accepts(heads, target) -> bool``: what the rule is made for. Nothing else is tried. Default: everything.
    examples : int
        Problems to draw, besides a few fixed ones: one task, as many tasks as dimensions, equal tasks, a head of 0, and
        a probe, on which all known mistakes give different weights.

    Raises
    ------
    RelevanceError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: finite float64 weights of shape (..., M); no exception, no RuntimeWarning
    - mutation: heads and target are left as they were
    - "repeat": the same problem, the same answer
    - feasible: with a `norm`, :math:`W\nu = w`
    - optimal: the claimed objective is as small as a dual point of our own proves possible; with norm 2, where the
      optimum is unique, the weights themselves are compared
    - "certificate": a dual point is feasible and proves the weights optimal; gap and residual are what they say
    - "zeros": tasks with head 0, and with a claim tasks with :math:`|w_m^\top y|` clearly below its limit, have weight
      0 to 1e-12 of the largest: so it is in every optimum
    - "batch": a problem is answered within a batch of problems as it is alone
    - "tasks", "basis", "scale": renumbered, in another basis (QW, Qw) of the representation, or for a multiple of the
      target, the weights are as good as before; they are the same, renumbered or multiplied, where nothing or norm 2
      is claimed. Q is any invertible matrix with a `norm`, otherwise orthogonal: the Lasso's weights change in others

    The rule is asked about the probe first. If its weights are wrong there, a known mistake (the other norm, squares,
    one equation for k, a 1/2 or a k forgotten, an intercept, ridge, float32, any k tasks, ...) is named. Optimality by
    duality and the invariances are derived by us. Cost: about 10 ms a problem, with norm 1 about 40 ms.

    Examples
    --------
    >>> from pessimism.tasks import min_l1
    >>> check_relevance(min_l1, norm=1, examples=5)

    >>> def pseudo_inverse(heads, target):
    ...     return (np.linalg.pinv(heads) @ target[..., None])[..., 0]
    >>> check_relevance(pseudo_inverse, norm=2, examples=5)
    >>> try:
    ...     check_relevance(pseudo_inverse, norm=1, examples=5)
    ... except RelevanceError as error:
    ...     print(str(error).partition(",")[0])
    pseudo_inverse breaks "optimal": its weights are nu^2
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments("rule", rule, "heads and target", waive, RelevanceSubject.waivable, examples)
    _check.flag("rank_deficient", rank_deficient)
    if norm is not None and not (_check.is_integer(norm) and norm in (1, 2)):
        raise ValueError(f"norm must be 1, 2 or None, got {_check.shown(norm)}")
    part = None
    if regularization is not None:
        part = _check.between("regularization", regularization, 0.0, 1.0, "(]")
        if norm is not None:
            raise ValueError(
                f"norm must be None where a regularization is given, got {norm!r}: they exclude each other"
            )
    subject = RelevanceSubject(rule, waived, norm, part, _check.positive("tolerance", tolerance), accepts=accepts)
    error = Trial(subject, PROMISES, cases(rank_deficient), number).run(_fixed(rank_deficient), probe=case_of(*probe()))
    if error is not None:
        raise error


def _fixed(rank_deficient: bool) -> dict[str, Case]:
    """Problems that are seldom drawn."""
    found = {
        "one task, one dimension": case_of([[2.0]], [1.0]),
        "the target 0": case_of([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]], [0.0, 0.0]),
        "as many tasks as dimensions": case_of([[1.0, 1.0], [0.0, 1.0]], [1.0, 2.0]),
        "equal tasks": case_of([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [1.0, 2.0]),
        "a small weight that is needed": case_of([[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0**-14]),
        "a head of 0": case_of([[1.0, 0.0, 1.0], [0.0, 0.0, 2.0]], [3.0, 2.0]),
    }
    if rank_deficient:
        found["more dimensions than tasks"] = case_of([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], [1.0, 3.0, 2.0])
        found["no head but 0"] = case_of(np.zeros((2, 3)), [0.0, 0.0])
    return found
