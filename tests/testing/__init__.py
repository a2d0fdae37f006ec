"""The kit against wrong functions: every other one in a usual run, all of them in `make deep`."""

from hypothesis import settings

STEP = 1 if settings.default.max_examples > 1000 else 2
