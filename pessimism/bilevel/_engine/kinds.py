"""The kinds of oracle calls, in the order in which they are counted."""

import numpy as np

KINDS = ("grad_f", "grad_g", "grad_gx", "hvp", "cvp")
GF, GY, GX, H, C = np.arange(len(KINDS))
"""Positions in KINDS. NumPy's integers: a kernel would be compiled anew for each Python constant it is called with."""
