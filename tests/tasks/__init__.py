"""Tests of source-task selection."""

from hypothesis import settings

fewer = settings(max_examples=settings.default.max_examples * 2 // 5)
"""For properties that 40 examples find broken as surely as 100; `make deep` draws more."""
