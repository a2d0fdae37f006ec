"""Tests of the bandits wing."""

from hypothesis import settings

FEW = settings(max_examples=settings.default.max_examples // 4)
"""For properties that fail in most examples where they fail at all."""
