r"""Logarithm of the probability that arm 1 has more pulls than arm 0, far below the smallest float.

With N0 pulls of arm 0 and N1 of arm 1, this is :math:`\log[\Pr(N_1 > N_0) + \tfrac12 \Pr(N_1 = N_0)]`. Given their sum
m, N0 is binomial and the event is its tail below m/2, summed relative to its largest term.
"""

import math

from pessimism._compiled import compiled, plain
from pessimism._types import Floats

COMPILED_FROM = 2_000
"""Rounds from which a single tail is summed by compiled code; for fewer, compiling costs more than it saves."""


def log_most_played_error(n: int, law: Floats) -> float:
    """log P(arm 1 has more pulls than arm 0, ties one half) after n rounds with law (arm 0, arm 1, elsewhere)."""
    if law[2] > 0.0:
        return log_mean_minority(n, law)
    kernel = log_minority if n >= COMPILED_FROM else plain(log_minority)
    return kernel(n, float(law[0]), float(law[1]))


@compiled
def stirling_error(count: int) -> float:
    """log(n!) - [(n + 1/2) log n - n + log(2 pi)/2]."""
    n = float(count)  # the square of an int64 would overflow
    if n < 16:
        return math.lgamma(n + 1.0) - ((n + 0.5) * math.log(n) - n + 0.5 * math.log(2.0 * math.pi))
    x = 1.0 / n / n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - x / 1188) * x) * x) * x) / n


@compiled
def log_binomial(k: int, m: int, p: float, q: float) -> float:
    """log P(X = k), X ~ Bin(m, p/(p+q)), by Loader's saddle-point expansion: no difference of large logarithms."""
    if p == 0.0 or q == 0.0:
        return 0.0 if k == (m if q == 0.0 else 0) else -math.inf
    log_p, log_q = math.log(p / (p + q)), math.log(q / (p + q))
    if k == 0:
        return m * log_q
    if k == m:
        return m * log_p
    rest = m - k
    divergence = k * (math.log(k / m) - log_p) + rest * (math.log(rest / m) - log_q)
    shape = stirling_error(m) - stirling_error(k) - stirling_error(rest)
    return shape - divergence + 0.5 * math.log(m / (2.0 * math.pi * k * rest))


@compiled
def log_minority(m: int, p: float, q: float) -> float:
    """log[P(X < m/2) + P(X = m/2) / 2] for X ~ Bin(m, p/(p+q)); for p < q from the complement, the other tail."""
    large, small = max(p, q), min(p, q)
    half = m // 2
    term = 0.5 if 2 * half == m else 1.0  # relative to P(X = half)
    total, ratio, k = term, 1.0, half
    while k > 0 and ratio >= 1e-17 * total:
        ratio *= k / (m - k + 1) * (small / large)
        total += ratio
        k -= 1
    log_tail = log_binomial(half, m, large, small) + math.log(total)
    return log_tail if p >= q else math.log1p(-math.exp(log_tail))


@compiled
def log_mean_minority(n: int, law: Floats) -> float:
    """Log of the mean of exp(log_minority) over the number m of rounds, out of n, that play either arm."""
    both = law[0] + law[1]
    best, total = -math.inf, 0.0
    for m in range(n + 1):
        term = log_binomial(m, n, both, law[2])
        if term > -math.inf:
            term += log_minority(m, law[0], law[1])
        if term > best:
            total = total * math.exp(best - term) + 1.0
            best = term
        elif term > -math.inf:
            total += math.exp(term - best)
    return best + math.log(total) if total > 0.0 else -math.inf
