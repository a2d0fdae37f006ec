r"""StocBiO: warm-started steps on y, a truncated Neumann series for z, a step on x.

.. math::

    y \leftarrow y - \alpha \nabla_y g \text{ (`inner_steps` times)}, \quad
    z = a \sum_{q=0}^{Q} (I - a \nabla^2_{yy} g)^q\, \nabla_y f, \quad
    x \leftarrow x - \eta(\nabla_x f - \nabla^2_{xy} g\, z),

a fresh sample for every factor. The series leaves a bias of order :math:`(1-a\mu)^{Q+1}`, so that with exact oracles it
ends at a wrong point. Q is `terms`, a is `z_step`, :math:`\alpha` is `lower_step`. Source: Ji, Yang, Liang (2021).
"""

from pessimism.bilevel._double_loop import NEUMANN, double_loop

METHOD = double_loop("stocbio", NEUMANN, inner_steps=10, decay=0.0, decay_y=0.0)
