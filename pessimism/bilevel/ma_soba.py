r"""MA-SOBA: SOBA along an average of its directions, and clipped if asked.

.. math::

    h \leftarrow (1-\theta) h + \theta (\nabla_x f - \nabla^2_{xy} g\, z), \qquad
    x \leftarrow x - \gamma h \min(1, \text{clip}/\|h\|),

y and z as in SOBA, all from the old iterate but for h, which is the new one, with constant steps unless told otherwise.
:math:`\theta` is `weight`. Source: Chen, Xiao, Balasubramanian (2023). A finite `clip` makes it a rival of the
normalised methods; that is ours.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "ma-soba",
    "soba",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {"step": REQUIRED, "lower_step": CURVATURE, "weight": 0.1, "clip": float("inf"), "decay": 0.0},
    ("step", "lower_step", "weight", "clip", "decay"),
)
