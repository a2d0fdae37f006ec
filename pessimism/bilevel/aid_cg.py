r"""AID with conjugate gradients: the implicit function theorem with both of its equations solved approximately.

.. math::

    y \leftarrow y - \alpha \nabla_y g \text{ (D times)}, \quad
    \nabla^2_{yy} g\, z = \nabla_y f \text{ (J conjugate gradient steps from the old z)}, \quad
    x \leftarrow x - \eta(\nabla_x f - \nabla^2_{xy} g\, z).

Deterministic: every call is exact. The residual of the warm start costs one product more, so J steps cost J + 1. Both
equations are warm started, so no bias is left at a fixed point. Standard.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "aid-cg",
    "aid_cg",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {"step": REQUIRED, "inner_steps": 10, "lower_step": CURVATURE, "cg_steps": 5, "decay": 0.0},
    ("step", "inner_steps", "lower_step", "cg_steps", "decay"),
    "_deterministic_kernels",
)
