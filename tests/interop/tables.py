"""What the tests of tables share: three libraries, labels of four types, and when two reductions are the same."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
backends = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
LABELS = [["a", "b", "c", "d", "e"], [-3, 0, 1, 10, 200], [-0.5, 0.0, 0.25, 1.0, 7.0]]


def same(one, two, rtol=0.0):
    """Equal field by field; `rtol` is for what went through BLAS."""
    for name in type(one).__slots__:
        left, right = np.asarray(getattr(one, name)), np.asarray(getattr(two, name))
        if rtol and left.dtype.kind == "f":
            np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(left, right)
