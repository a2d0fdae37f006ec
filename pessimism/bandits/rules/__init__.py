"""Rules, one a file: from logged rounds to one arm per context.

A rule is a plain function of the data; a user's function with the same signature is as good as ours.
"""
