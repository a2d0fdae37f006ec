r"""Normal approximation of the worst loss of an index rule on two arms with means :math:`1/2 \pm g/2`.

With the counts at their means Np and N(1 - p), rewards of variance 1/4 and level L, the worse arm wins with probability
:math:`\bar\Phi((g + \Delta_b)/\sigma)`, where :math:`\Delta_b = \sqrt{L/N}(1/\sqrt{1-p} - 1/\sqrt p)` and
:math:`\sigma^2 = \frac1{4N}(\frac1p + \frac1{1-p})`.
"""

import numpy as np

from pessimism._bound import normal_peak
from pessimism._types import Floats


def worst_gap(n: Floats, cstar: Floats, level: Floats) -> tuple[Floats, Floats]:
    """The gap g that maximises g Phibar((g + Delta_b)/sigma), and that maximum, for p = 1/C*."""
    p, q = 1.0 / cstar, (cstar - 1.0) / cstar
    sigma = np.sqrt((1.0 / p + 1.0 / q) / (4.0 * n))
    shift = np.sqrt(level / n) * (1.0 / np.sqrt(q) - 1.0 / np.sqrt(p)) / sigma
    z, tail = normal_peak(shift)
    return np.asarray(sigma * z), np.asarray(sigma * z * tail)
