"""Numerical engines of the wing: arrays in, arrays out; they check nothing and know no class of the wing."""
