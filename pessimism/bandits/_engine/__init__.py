"""Computations on arrays: checked arrays, scalars, named tuples and a Generator in, arrays out.

Nothing here knows a class of the wing, and nothing checks its input: `model`, `data`, `exact` and the rules do that.
Files with compiled kernels load Numba and are imported by the functions that need them.
"""
