r"""SOBA: one stochastic step on y, z and x from the old iterate.

.. math::

    y \leftarrow y - \rho_t \nabla_y g, \quad z \leftarrow z - \rho_t(\nabla^2_{yy} g\, z - \nabla_y f), \quad
    x \leftarrow x - \gamma_t (\nabla_x f - \nabla^2_{xy} g\, z),

with steps that fall as :math:`t^{-1/2}` unless told otherwise. :math:`\gamma` is `step`, :math:`\rho` is `lower_step`.
Source: Dagreou, Ablin, Vaiter, Moreau (2022), in the form of benchmark_bilevel: a step has one sample of f and
one of g, which all three quantities of g share.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "soba",
    "soba",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {"step": REQUIRED, "lower_step": CURVATURE, "decay": 0.5},
    ("step", "lower_step", 1.0, float("inf"), "decay"),
)
