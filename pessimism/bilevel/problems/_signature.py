"""The one type of every compiled oracle, ``oracle(reals, sizes, x, y, v, rows, out)``.

`reals` and `sizes` hold the problem, `rows` the samples to average over (none: the exact oracle), `out` is written
over. `grad_f` writes the gradient in x and behind it the one in y; `cvp` and `grad_gx` write dim_x numbers, `grad_g`
and `hvp` dim_y. Only `hvp` and `cvp` read v. Nothing is checked: callers pass clean, C-contiguous, writable arrays.
"""

from numba import types

Reals, Sizes = types.float64[::1], types.int64[::1]
ORACLE = types.void(Reals, Sizes, Reals, Reals, Reals, Sizes, Reals)
