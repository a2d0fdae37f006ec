"""Bilevel problems: solvers, and a strategy for problems with closed forms."""
