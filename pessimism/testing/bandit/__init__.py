"""Bandits: rules, and strategies for models, laws and logged rounds.

Singular, because the strategy `pessimism.testing.bandits` would hide a folder of that name.
"""
