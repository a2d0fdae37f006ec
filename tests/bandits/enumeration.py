"""Expected loss by listing every data set: the plain twin of `pessimism.bandits.exact`, for a handful of rounds."""

import math
from collections.abc import Iterator
from fractions import Fraction

TIE = 1e-9


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` non-negative numbers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def index(pulls: int, hits: int, level: float, unseen: float) -> float:
    """The index of an arm by its definition."""
    if math.isinf(level):
        return math.copysign(pulls, level) if pulls else -math.inf
    if pulls == 0:
        return unseen
    return hits / pulls - math.copysign(math.sqrt(abs(level)), level) / math.sqrt(pulls)


def expected_loss(
    means: list[list[Fraction]], rho: list[Fraction], law: list[list[Fraction]], n: int, level: float, unseen: float
) -> float:
    """Sum over all counts of (context, arm, reward in {0, 1}); ties share the loss evenly; probabilities exact."""
    contexts, arms = len(means), len(means[0])
    cells = [(s, a, r) for s in range(contexts) for a in range(arms) for r in (0, 1)]
    chance = [law[s][a] * (means[s][a] if r else 1 - means[s][a]) for s, a, r in cells]
    total = Fraction(0)
    for counts in compositions(n, len(cells)):
        weight = Fraction(math.factorial(n))
        for p, k in zip(chance, counts, strict=True):
            weight *= p**k / math.factorial(k)
        if weight == 0:
            continue
        for s in range(contexts):
            pairs = [counts[cells.index((s, a, 0))] + counts[cells.index((s, a, 1))] for a in range(arms)]
            hits = [counts[cells.index((s, a, 1))] for a in range(arms)]
            values = [index(k, h, level, unseen) for k, h in zip(pairs, hits, strict=True)]
            top = max(values)
            tied = [a for a, v in enumerate(values) if v == top or top - v < TIE]
            loss = sum(max(means[s]) - means[s][a] for a in tied) / Fraction(len(tied))
            total += weight * rho[s] * loss
    return float(total)
