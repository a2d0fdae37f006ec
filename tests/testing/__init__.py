"""The kit against wrong functions."""

from hypothesis import settings


def tried(cases):
    """Every other one in a usual run, all of them in `make deep`."""
    return list(cases)[:: 1 if settings.default.max_examples > 1000 else 2]
