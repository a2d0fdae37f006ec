r"""F2SA: first-order only, by a penalty.

.. math::

    y \approx \arg\min f + \lambda g, \quad w \approx \arg\min g, \quad
    x \leftarrow x - \eta\bigl(\nabla_x f(x,y) + \lambda(\nabla_x g(x,y) - \nabla_x g(x,w))\bigr), \quad
    \lambda \leftarrow \lambda + \delta.

Needs `grad_gx` and no products with second derivatives. Its bias falls with :math:`\lambda`. The steps on y are those
of :math:`g + f/\lambda`, so that `lower_step` keeps its scale as :math:`\lambda` grows. Source: Kwon, Kwon, Wright,
Nowak (2023). Constant steps on y and w and a penalty that grows by the same amount every step are our simplification;
the method is analysed with schedules for all of them.
"""

from pessimism.bilevel._method import REQUIRED, Method

METHOD = Method(
    "f2sa",
    "f2sa",
    ("grad_f", "grad_g", "grad_gx"),
    {
        "step": REQUIRED,
        "inner_steps": 5,
        "lower_step": REQUIRED,
        "w_step": REQUIRED,
        "penalty": 1.0,
        "penalty_growth": 0.01,
        "decay": 0.0,
    },
    ("step", "inner_steps", "lower_step", "w_step", "penalty", "penalty_growth", "decay"),
)
