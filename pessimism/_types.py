"""Names for the types that every wing uses."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Rng = np.random.Generator | np.random.SeedSequence | int | None
"""What a function that draws accepts (SPEC 7)."""
