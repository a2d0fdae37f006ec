"""Tests of the bandits wing."""
