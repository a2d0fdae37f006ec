"""How many examples a property needs."""

from hypothesis import settings


def examples(share: float) -> settings:
    """A share of the examples of the profile: for properties that a few random models show as well as many."""
    return settings(max_examples=max(5, int(share * settings.default.max_examples)))
