r"""ITD: the derivative of f at the end of gradient steps on y, taken back through the steps.

With :math:`y_d = y_{d-1} - \alpha \nabla_y g(x, y_{d-1})`, d = 1, ..., D, and :math:`p = \nabla_y f(x, y_D)`,
:math:`h = \nabla_x f(x, y_D)`, for d from D down to 1

.. math::

    h \leftarrow h - \alpha \nabla^2_{xy} g(x, y_{d-1})\, p, \qquad
    p \leftarrow p - \alpha \nabla^2_{yy} g(x, y_{d-1})\, p,

and :math:`x \leftarrow x - \eta h`. The last p is not needed: D - 1 Hessian products. Deterministic: every call is
exact, and the D iterates are stored. The warm start y_0 counts as constant, which leaves a bias of order
:math:`(1-\alpha\mu)^D`. The z of a result, the sum of the :math:`\alpha p`, stands for :math:`H^{-1} \nabla_y f`.
Standard.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "itd",
    "itd",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {"step": REQUIRED, "inner_steps": 10, "lower_step": CURVATURE, "decay": 0.0},
    ("step", "inner_steps", "lower_step", "decay"),
    "_deterministic_kernels",
)
