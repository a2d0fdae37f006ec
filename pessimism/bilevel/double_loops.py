r"""AmIGO, StocBiO, BSA and TTSA: steps on y, an estimate of z, a step on x.

With y after `inner_steps` gradient steps (warm started), :math:`x \leftarrow x - \eta(\nabla_x f - \nabla^2_{xy} g\,
z)` where

==========  ======================================================================================================
AmIGO       z: `terms` gradient steps on :math:`\tfrac12 z^\top H z - z^\top \nabla_y f` from the old z: no bias left
StocBiO     :math:`z = a \sum_{q=0}^{Q} (I - aH)^q \nabla_y f`: a bias of order :math:`(1-a\mu)^{Q+1}` remains
BSA         :math:`z = Q a (I - aH)^p \nabla_y f`, p uniform on {0, ..., Q-1}: that bias, and a large variance
TTSA        as BSA with one step on y, on two time scales, :math:`t^{-3/5}` for x and :math:`t^{-2/5}` for y
==========  ======================================================================================================

Q is `terms`, a is `z_step`.
"""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

NEEDS = ("grad_f", "grad_g", "hvp", "cvp")


def _method(name: str, kind: float, inner: int, decay: float, decay_y: float) -> Method:
    options: dict[str, float | str] = {
        "step": REQUIRED,
        "inner_steps": inner,
        "lower_step": CURVATURE,
        "terms": 10,
        "z_step": CURVATURE,
        "decay": decay,
        "decay_y": decay_y,
    }
    order = ("step", "inner_steps", "lower_step", "terms", "z_step", kind, "decay", "decay_y")
    return Method(name, "double_loop", NEEDS, options, order)


AMIGO = _method("amigo", 0.0, 10, 0.0, 0.0)
STOCBIO = _method("stocbio", 1.0, 10, 0.0, 0.0)
BSA = _method("bsa", 2.0, 10, 0.5, 0.5)
TTSA = _method("ttsa", 2.0, 1, 0.6, 0.4)
