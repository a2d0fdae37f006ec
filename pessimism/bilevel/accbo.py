r"""AccBO: recursive momentum on the hypergradient, normalised, over Nesterov steps on y.

.. math::

    m \leftarrow \beta m + (1-\beta)\, G(x, \hat y; s) + \beta\,(G(x, \hat y; s) - G(x', \hat y'; s)), \qquad
    x \leftarrow x - \eta_t\, m / \|m\|, \\
    G(x, y; s) = \nabla_x f - \nabla^2_{xy} g\, v, \qquad
    v = a \sum_{q=0}^{Q-1} \prod_{j \le q} (I - a H_j)\, \nabla_y f,

with both G on the same sample s (one of f, one of g for each factor, one of g for the mixed product) and
:math:`(x', \hat y')` the point before. Every `period` outer steps y makes `inner_steps` Nesterov steps,
:math:`w = y + \gamma(y - y')`, :math:`y \leftarrow w - \alpha \nabla_y g(x, w)` (option II; 1 and 1 are option I), and
in every outer step :math:`\hat y \leftarrow (1-\tau)\hat y + \tau y`, with :math:`\tau` = `averaging`. The first step
follows `warm_steps` gradient steps on y and has m = G.

Source: Gong, Hao, Liu (2024), arXiv:2409.19212, for both options, the average, the Neumann sum and the weights as their
released code has them; that code, as we read it, does not evaluate the old point on the new sample. A look-ahead that
lasts from one period to the next, the defaults, and the step :math:`\eta_t = \eta (1+t)^{-1/2}` are ours; ``decay=0``
is a constant step. A Neumann sum leaves a bias of order :math:`(1 - a\mu)^Q`.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method, vectors

METHOD = Method(
    "accbo",
    "accbo",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {
        "step": REQUIRED,
        "momentum": 0.9,
        "lower_step": CURVATURE,
        "nesterov": 0.5,
        "averaging": 0.5,
        "period": 1,
        "inner_steps": 1,
        "terms": 10,
        "z_step": CURVATURE,
        "decay": 0.5,
        "warm_steps": 10,
        "warm_step": CURVATURE,
    },
    (
        "step", "momentum", "lower_step", "nesterov", "averaging", "period", "inner_steps", "terms", "z_step", "decay",
        "warm_steps", "warm_step",
    ),
    "_storm_kernels",
    vectors(4),
)  # fmt: skip
