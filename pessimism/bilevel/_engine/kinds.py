"""The kinds of oracle calls, in the order in which they are counted."""

from typing import Any

import numpy as np

KINDS = ("grad_f", "grad_g", "grad_gx", "hvp", "cvp")
_positions: Any = np.arange(len(KINDS))
GRAD_F, GRAD_G, GRAD_GX, HVP, CVP = _positions
"""Positions in KINDS. NumPy's integers: a kernel would be compiled anew for each Python constant it is called with."""
