r"""AmIGO: warm-started steps on y and on z, then a step on x.

.. math::

    y \leftarrow y - \alpha \nabla_y g \text{ (`inner_steps` times)}, \quad
    z \leftarrow z - a(\nabla^2_{yy} g\, z - \nabla_y f) \text{ (`terms` times)}, \quad
    x \leftarrow x - \eta(\nabla_x f - \nabla^2_{xy} g\, z).

Both are begun where they ended, so no bias is left at a fixed point. :math:`\alpha` is `lower_step`, a is `z_step`.
Source: Arbel and Mairal (2022).
"""

from pessimism.bilevel._double_loop import DESCENT, double_loop

METHOD = double_loop("amigo", DESCENT, inner_steps=10, decay=0.0, decay_y=0.0)
