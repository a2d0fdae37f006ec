r"""SUSTAIN: recursive momentum on the directions of y and of x, with one random Neumann term.

.. math::

    d \leftarrow w_t D(s) + (1 - w_t)\,(d + D(s) - D'(s)), \qquad
    y \leftarrow y - \alpha_t d_y, \quad x \leftarrow x - \eta_t d_x,

where D(s) and D'(s) are evaluated at the iterate and at the one before, on one sample: :math:`\nabla_y g` for y and
:math:`\nabla_x f - \nabla^2_{xy} g\, z`, :math:`z = Q a (I - aH)^p \nabla_y f`, for x, with the same p, uniform on
{0, ..., Q-1}, at both points. Steps fall as :math:`t^{-1/3}`, weights as :math:`t^{-2/3}`; the first step has d = D. In
the mean over p a bias of order :math:`(1-a\mu)^Q` remains. Source: Khanduri, Zeng, Hong, Wai, Wang, Yang (2021), in the
form that benchmark_bilevel runs: both directions at the old iterate.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method, vectors

METHOD = Method(
    "sustain",
    "storm",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {
        "step": REQUIRED,
        "lower_step": CURVATURE,
        "terms": 10,
        "z_step": CURVATURE,
        "weight": 1.0,
        "decay": 1 / 3,
        "weight_decay": 2 / 3,
    },
    ("step", "lower_step", "terms", "z_step", 0.0, "weight", "decay", "weight_decay"),
    "_storm_kernels",
    vectors(4),
)
