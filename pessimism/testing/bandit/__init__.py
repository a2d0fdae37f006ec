"""Bandits: rules, and strategies for models, laws and logged rounds."""
