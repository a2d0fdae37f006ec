"""Markov decision processes: planners, offline rules, and strategies for models, laws and logged transitions."""
