"""Estimators with mistakes that were seen in public code or are easy to make, with the message each must get."""

import numpy as np

MODEL = np.array([[0.2, 0.3, 0.4], [0.5, 0.6, 0.7]])


def conditional(behavior):
    return behavior / behavior.sum(axis=1, keepdims=True)


def averaged(weight):
    """Importance sampling with the weights that a mistake gives."""

    def estimator(data, policy, behavior):
        with np.errstate(all="ignore"):
            return np.einsum("sa,...sa->...", weight(policy, conditional(behavior), behavior), data.sums) / data.n

    return estimator


def divided(by):
    def estimator(data, policy, behavior):
        weight = policy / conditional(behavior)
        return np.einsum("sa,...sa->...", weight, data.sums) / by(data, policy, weight)

    return estimator


def robust(form):
    def estimator(data, policy, behavior):
        weight = policy / conditional(behavior)
        met = data.counts.sum(axis=-1)
        base = met @ (policy * MODEL).sum(axis=1)
        error = data.sums - data.counts * MODEL
        return np.asarray(form(data, weight, base, error), np.float64) / data.n

    return estimator


def total(table):
    return table.sum(axis=(-2, -1))


def snips(data, policy, behavior):
    weight = policy / conditional(behavior)
    with np.errstate(invalid="ignore"):
        return total(weight * data.sums) / total(weight * data.counts)


def by_context(data, policy, behavior):
    means = (policy / conditional(behavior) * data.sums).sum(axis=-1) / np.maximum(data.counts.sum(axis=-1), 1)
    return means.mean(axis=-1)


def next_arm(p):
    return np.roll(p, -1, axis=1)


def arm_before(p):
    return np.roll(p, 1, axis=1)


def turned_round(policy, p, behavior):
    return np.where(policy > 0, p / np.where(policy > 0, policy, 1), 0)


def matched(data, policy, weight):
    return np.maximum(total(data.counts * (policy > 0)), 1)


# name -> (estimator, message); all of them claim to be `ips`
WRONG = {
    "turned round": (averaged(turned_round), "weights are turned round"),
    "of the target": (averaged(lambda pi, p, mu: (pi > 0) * 1.0), "the target's probability stands for the behavior's"),
    "not divided": (averaged(lambda pi, p, mu: pi), "the propensities are not divided by"),
    "next arm's propensity": (averaged(lambda pi, p, mu: pi / next_arm(p)), "propensities are of the next arm"),
    "previous arm's propensity": (averaged(lambda pi, p, mu: pi / arm_before(p)), "propensities are of the arm before"),
    "next arm's probability": (averaged(lambda pi, p, mu: next_arm(pi) / p), "the policy's probabilities are"),
    "over all contexts": (averaged(lambda pi, p, mu: pi / mu.sum(axis=0)), r"propensities are p\(a\) over all"),
    "joint": (averaged(lambda pi, p, mu: pi / mu), "propensities are of the joint law"),
    "squared": (averaged(lambda pi, p, mu: (pi / p) ** 2), "weights are squared"),
    "logarithms": (averaged(lambda pi, p, mu: pi / np.log(p)), "propensities are logarithms"),
    "not exponentiated": (averaged(lambda pi, p, mu: np.where(pi > 0, np.log(pi / p), 0)), "weights are logarithms"),
    "clipped at 5": (averaged(lambda pi, p, mu: np.minimum(pi / p, 5)), "weights are clipped at 5"),
    "hidden clip": (averaged(lambda pi, p, mu: np.minimum(pi / p, 1e6)), ""),
    "floor of .05": (averaged(lambda pi, p, mu: pi / np.maximum(p, 0.05)), "propensities have a floor of 0.05"),
    "smoothed": (averaged(lambda pi, p, mu: pi / (p + 0.01)), "propensities are enlarged by 0.01"),
    "other context": (averaged(lambda pi, p, mu: pi[::-1] / p), "the policy is that of another context"),
    "n - 1": (divided(lambda d, pi, w: d.n - 1 + (d.n == 1)), "it divides by n - 1, not n"),
    "matched rounds": (divided(matched), "it divides by the rounds that match"),
    "twice": (divided(lambda d, pi, w: d.n**2), "it divides by n twice"),
    "contexts alike": (by_context, "contexts count alike"),
    "snips as ips": (snips, ""),
}  # fmt: skip

WRONG_ROBUST = {
    "unweighted": (robust(lambda d, w, base, e: base + total(e)), "the correction of the model is not weighted"),
    "sign": (robust(lambda d, w, base, e: base - total(w * e)), "the correction of the model has the wrong sign"),
    "logged arm": (robust(lambda d, w, base, e: total(d.counts * MODEL) + total(w * e)), "the baseline is the model"),
    "no correction": (robust(lambda d, w, base, e: base), "the correction of the model is missing"),
    "no baseline": (robust(lambda d, w, base, e: total(w * e)), "the model is subtracted and not added"),
    "clipped": (robust(lambda d, w, base, e: base + total(np.minimum(w, 5) * e)), ""),
}  # fmt: skip
