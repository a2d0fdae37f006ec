r"""SOBA and MA-SOBA: one stochastic step on y, z and x from the old iterate.

.. math::

    y \leftarrow y - \rho \nabla_y g, \quad z \leftarrow z - \rho(\nabla^2_{yy} g\, z - \nabla_y f), \quad
    x \leftarrow x - \gamma h, \quad h \leftarrow (1-\theta) h + \theta (\nabla_x f - \nabla^2_{xy} g\, z).

SOBA has :math:`\theta = 1` and steps that fall as :math:`t^{-1/2}`; MA-SOBA averages with constant steps, and may be
clipped, :math:`\gamma h \min(1, \text{clip}/\|h\|)`: a rival to the normalised methods. x moves along the new average.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

NEEDS = ("grad_f", "grad_g", "hvp", "cvp")

SOBA = Method(
    "soba",
    "soba",
    NEEDS,
    {"step": REQUIRED, "lower_step": CURVATURE, "decay": 0.5},
    ("step", "lower_step", 1.0, float("inf"), "decay"),
)

MA_SOBA = Method(
    "ma-soba",
    "soba",
    NEEDS,
    {"step": REQUIRED, "lower_step": CURVATURE, "weight": 0.1, "clip": float("inf"), "decay": 0.0},
    ("step", "lower_step", "weight", "clip", "decay"),
)
