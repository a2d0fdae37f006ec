"""Tiny worlds in fractions, and all the episodes that they can make, written out in plain Python."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from operator import mul

import numpy as np

from pessimism.mdp import MDP, Transitions

F = Fraction


@dataclass
class World:
    """p[h][s][a] lists (probability, successor, mean reward) of Bernoulli or deterministic rewards."""

    p: list
    start: list
    target: list
    logged: list
    discount: F
    bernoulli: bool = False
    terminal: tuple = ()

    @property
    def horizon(self):
        return len(self.target)

    def mdp(self, steps=None):
        """The model; `steps` tables where all are alike."""
        tables = self.p[:steps]
        lists, p, r = ([[[[b[i] for b in a] for a in s] for s in h] for h in tables] for i in (1, 0, 2))
        ends = [s in self.terminal for s in range(len(self.start))]
        law = "bernoulli" if self.bernoulli else "deterministic"
        told = {"horizon": self.horizon, "reward_law": law, "terminal": ends}
        return MDP(lists, floats(p), floats(r), floats(self.start), float(self.discount), **told)

    @property
    def policies(self):
        return floats(self.target), floats(self.logged)

    def episodes(self):
        """Every episode: its probability and its steps (s, a, reward, s')."""
        paths = [(p, s, ()) for s, p in enumerate(self.start) if p]
        for h in range(self.horizon):
            paths = [
                (chance * self.logged[h][s][a] * p * q, then, (*steps, (s, a, r, then)))
                for chance, s, steps in paths
                for a in range(len(self.logged[h][s]))
                for p, then, mean in self.p[h][s][a]
                for q, r in (((mean, 1), (1 - mean, 0)) if self.bernoulli else ((1, mean),))
                if self.logged[h][s][a] * p * q
            ]
        return [(chance, steps) for chance, _, steps in paths]

    def ratios(self, steps):
        """u_t, which is 1 once the episode has ended."""
        return [
            F(1) if s in self.terminal else F(self.target[h][s][a]) / self.logged[h][s][a]
            for h, (s, a, _, _) in enumerate(steps)
        ]

    def weights(self, steps):
        """W_{-1} = 1, W_0, ..., W_{H-1}."""
        return list(accumulate(self.ratios(steps), mul, initial=F(1)))

    def gains(self, steps):
        return [self.discount**h * step[2] for h, step in enumerate(steps)]

    def values(self):
        """Q (H, S, A) and V (H + 1, S) of the target."""
        v, q = [[F(0)] * len(self.start)], []
        for h in range(self.horizon - 1, -1, -1):
            now = [[sum(p * (r + self.discount * v[0][t]) for p, t, r in a) for a in s] for s in self.p[h]]
            q.insert(0, now)
            v.insert(0, [sum(map(mul, self.target[h][s], now[s])) for s in range(len(now))])
        return q, v

    def value(self):
        return sum(map(mul, self.start, self.values()[1][0]))

    def laws(self, policy):
        """(H, S, A) laws of the pairs."""
        met, state = [], list(self.start)
        for h in range(self.horizon):
            met.append([[state[s] * x for x in policy[h][s]] for s in range(len(state))])
            later = [F(0)] * len(state)
            for s, row in enumerate(met[-1]):
                for a, mass in enumerate(row):
                    for p, t, _ in self.p[h][s][a]:
                        later[t] += mass * p
            state = later
        return met

    def log(self, episodes):
        """`Transitions` (K, H) of some of the episodes."""
        fields = np.moveaxis(np.array([steps for _, steps in episodes], dtype=np.float64), -1, 0)
        s, a, r, t = fields.astype(int)[0], fields[1].astype(int), fields[2], fields[3].astype(int)
        ends = np.isin(t, self.terminal) & ~np.isin(s, self.terminal)
        return Transitions(s, a, r, t, ends)


def floats(nested):
    return np.array(nested, dtype=np.float64) if not isinstance(nested, np.ndarray) else nested


def moments(pairs):
    """Mean and variance of (probability, value)."""
    mean = sum(p * x for p, x in pairs)
    return mean, sum(p * (x - mean) ** 2 for p, x in pairs)


def two(first):
    return [first, 1 - first]


def stepped():
    """Two states, two actions, three steps that differ, Bernoulli rewards; the target never does some things."""

    def pair(h, s, a):
        r, first = F((h + 2 * s + 3 * a) % 4 + 1, 5), F(3 * h + 2 * s + a + 1, 12)
        return [(first, 0, r), (1 - first, 1, r)]

    p = [[[pair(h, s, a) for a in (0, 1)] for s in (0, 1)] for h in range(3)]
    target = [[two(F((2 * s + h) % 4, 3)) for s in (0, 1)] for h in range(3)]
    logged = [[two(F(1 + (h + s) % 3, 4)) for s in (0, 1)] for h in range(3)]
    return World(p, two(F(2, 3)), target, logged, F(3, 4), bernoulli=True)


def ending():
    """Steps that are alike, rewards by successor, and a terminal state, where the policies differ."""
    left = [(F(1, 2), 0, F(1)), (F(1, 2), 1, F(-1, 2))], [(F(2, 3), 1, F(1, 4)), (F(1, 3), 2, F(2))]
    right = [(F(1, 4), 2, F(3)), (F(3, 4), 0, F(0))], [(F(1, 5), 1, F(1, 2)), (F(4, 5), 0, F(1))]
    end = [(F(1), 2, F(0)), (F(0), 0, F(0))]
    target = [[two(F(1, 5)), two(F(1)), two(F(1))]] * 3
    logged = [[two(F(1, 2)), two(F(2, 3)), two(F(1, 3))]] * 3
    start = [F(1, 2), F(1, 4), F(1, 4)]
    return World([[left, right, (end, end)]] * 3, start, target, logged, F(1), terminal=(2,))
