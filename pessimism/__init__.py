"""Decisions from limited data, and the composition of that data."""

__version__ = "0.1.0"
