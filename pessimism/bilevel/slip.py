r"""SLIP: the single loop, one step on y, one on z and a normalised momentum step on x.

.. math::

    m \leftarrow \beta m + (1-\beta)(\nabla_x f - \nabla^2_{xy} g\, z), \quad y \leftarrow y - \alpha \nabla_y g, \quad
    z \leftarrow z - \nu(\nabla^2_{yy} g\, z - \nabla_y f), \quad x \leftarrow x - \eta_t\, m/\|m\|,

all from the old iterate, after `warm_steps` gradient steps on y. Source: Gong, Hao, Liu (2024, ICML). The decaying step
is ours, ``decay=0`` is the constant one; so is the default number of warm steps.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

METHOD = Method(
    "slip",
    "slip",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {
        "step": REQUIRED,
        "momentum": 0.9,
        "lower_step": CURVATURE,
        "z_step": CURVATURE,
        "decay": 0.5,
        "warm_steps": 10,
        "warm_step": CURVATURE,
    },
    ("step", "momentum", "lower_step", "z_step", "decay", "warm_steps", "warm_step"),
)
