r"""BO-REP: normalised momentum over a lower level that is refined first and updated periodically.

.. math::

    m \leftarrow \beta m + (1-\beta)(\nabla_x f - \nabla^2_{xy} g\, z), \qquad
    z \leftarrow z - \nu(\nabla^2_{yy} g\, z - \nabla_y f), \qquad
    x \leftarrow x - \eta_t\, m / \|m\|.

Before the first step y is refined by epochs of projected gradient steps in shrinking balls (lengths doubled, steps
halved, radii divided by :math:`\sqrt 2`), each ending at the mean of its iterates; then every `period` outer steps, but
not at the first, `inner_steps` such steps are made in a ball of `radius`. m uses the old z. Source: Hao, Gong, Liu
(2024), arXiv:2401.09587, for the structure; the schedule of the epochs is that of later code by the same group, and
averaging in the periodic update and the order of m and z are unverified. The step :math:`\eta_t = \eta (1+t)^{-1/2}`
is ours; ``decay=0`` is the constant step of the paper.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "bo-rep",
    "bo_rep",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {
        "step": REQUIRED,
        "momentum": 0.9,
        "lower_step": CURVATURE,
        "z_step": CURVATURE,
        "period": 5,
        "inner_steps": 5,
        "radius": float("inf"),
        "decay": 0.5,
        "epochs": 3,
        "epoch_length": 10,
        "epoch_step": CURVATURE,
        "epoch_radius": float("inf"),
    },
    (
        "step", "momentum", "lower_step", "z_step", "period", "inner_steps", "radius", "decay", "epochs",
        "epoch_length", "epoch_step", "epoch_radius",
    ),
)  # fmt: skip
