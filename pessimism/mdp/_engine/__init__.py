"""Loops over arrays. Nothing here knows the classes of the wing or checks what it is given."""
