"""Compiled pieces of the solvers and of the built-in problems: arrays, named tuples and a Generator in, arrays out."""
