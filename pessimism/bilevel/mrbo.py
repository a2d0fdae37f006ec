r"""MRBO: recursive momentum on the directions of y and of x, with a whole Neumann sum.

.. math::

    d \leftarrow w_t D(s) + (1 - w_t)\,(d + D(s) - D'(s)), \qquad
    y \leftarrow y - \alpha_t d_y, \quad x \leftarrow x - \eta_t d_x,

where D(s) and D'(s) are evaluated at the iterate and at the one before, on one sample: :math:`\nabla_y g` for y and
:math:`\nabla_x f - \nabla^2_{xy} g\, z`, :math:`z = a \sum_{q=0}^{Q} \prod_{j \le q} (I - aH_j) \nabla_y f`, for x.
Steps fall as :math:`t^{-1/3}`, weights as :math:`t^{-2/3}`; the first step has d = D. A bias of order
:math:`(1-a\mu)^{Q+1}` remains. Source: Yang, Ji, Liang (2021), in the form that benchmark_bilevel runs: both directions
at the old iterate. Each oracle draws its own sample; there the mixed product shares that of :math:`\nabla_y g`.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method, vectors

METHOD = Method(
    "mrbo",
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
    ("step", "lower_step", "terms", "z_step", 1.0, "weight", "decay", "weight_decay"),
    "_storm_kernels",
    vectors(4),
)
