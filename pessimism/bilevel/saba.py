r"""SABA: the steps of SOBA with SAGA directions, for finite sums.

.. math::

    \hat D = D_i - T_i + \frac1n \sum_k T_k, \qquad T_i \leftarrow D_i, \qquad
    y \leftarrow y - \rho \hat D_y, \quad z \leftarrow z - \rho \hat D_z, \quad x \leftarrow x - \gamma \hat D_x,

with a table T for each of :math:`\nabla_x f`, :math:`\nabla_y f`, :math:`\nabla_y g`, :math:`\nabla^2_{yy} g\, z` and
:math:`\nabla^2_{xy} g\, z`, one row of f and one of g a step, and constant steps. The first step fills the tables with
one counted pass over both sums. Source: Dagreou, Ablin, Vaiter, Moreau (2022), in the form of benchmark_bilevel: the
three quantities of g share a row. The memory holds a row for every term of both sums, so the problem must be a built-in
one; its `batch` is not used. With exact oracles each sum is one term.
"""

from typing import Any

from pessimism.bilevel._method import CURVATURE, REQUIRED, Method


def _tables(problem: Any) -> tuple[int, int]:
    """Two rows of means, then one for each term of f and of g."""
    if not hasattr(problem, "compiled_oracles"):
        raise TypeError(f"problem must be a built-in finite sum for saba, got {type(problem).__name__}")
    return 2 + problem.n_samples_f + problem.n_samples, 2 * problem.dim_y + problem.dim_x


METHOD = Method(
    "saba",
    "saba",
    ("grad_f", "grad_g", "hvp", "cvp"),
    {"step": REQUIRED, "lower_step": CURVATURE},
    ("step", "lower_step"),
    "_storm_kernels",
    _tables,
)
