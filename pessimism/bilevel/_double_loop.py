"""What AmIGO, StocBiO, BSA and TTSA share: steps on y, an estimate of z, a step on x."""

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method

DESCENT, NEUMANN, ONE_TERM = 0.0, 1.0, 2.0
"""Estimates of z, as the loop knows them."""


def double_loop(name: str, estimate: float, *, inner_steps: int, decay: float, decay_y: float) -> Method:
    """One of the four, by its estimate of z and its schedules."""
    options: dict[str, float | str] = {
        "step": REQUIRED,
        "inner_steps": inner_steps,
        "lower_step": CURVATURE,
        "terms": 10,
        "z_step": CURVATURE,
        "decay": decay,
        "decay_y": decay_y,
    }
    order = ("step", "inner_steps", "lower_step", "terms", "z_step", estimate, "decay", "decay_y")
    return Method(name, "double_loop", ("grad_f", "grad_g", "hvp", "cvp"), options, order)
