"""Conversions between our structures and those of other packages, one file for each.

Nothing is re-exported: each file needs optional packages of its own, which it imports when a function is called.
"""
