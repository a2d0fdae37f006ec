r"""BSA: steps on y, one random term of the Neumann series for z, a step on x.

.. math::

    y \leftarrow y - \alpha_t \nabla_y g \text{ (`inner_steps` times)}, \quad
    z = Q a \prod_{j=1}^{p} (I - a \nabla^2_{yy} g)\, \nabla_y f, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z),

p uniform on {0, ..., Q - 1} and a fresh sample for every factor: the bias of a series of Q terms, and a large variance.
Steps fall as :math:`t^{-1/2}`. Q is `terms`, a is `z_step`. Source: Ghadimi and Wang (2018).
"""

from pessimism.bilevel._double_loop import ONE_TERM, double_loop

METHOD = double_loop("bsa", ONE_TERM, inner_steps=10, decay=0.5, decay_y=0.5)
