"""Packages that adapters need: imported when needed, and named with their cure when they are missing."""

import re
import sys

import pandas as pd
import pytest

from pessimism.interop import frames
from pessimism.interop.gymnasium import mdp_from_env
from pessimism.interop.jax_problem import from_jax
from pessimism.interop.minari import from_minari, to_minari
from pessimism.interop.open_bandit import read_log
from pessimism.interop.quantecon import to_discrete_dp
from pessimism.interop.task_rows import task_data
from pessimism.interop.torch_problem import from_torch
from pessimism.interop.transitions import transition_log
from pessimism.mdp import MDP, Transitions

LOG = Transitions([[0]], [[0]], [[0.0]], [[0]])
TABLE = pd.DataFrame({name: [0, 1] for name in "abcd"})
ONE = (lambda x, y: 0.0, lambda x, y: 0.0, 1, 1)


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("narwhals", "frames", lambda: frames.bandit_log(TABLE, arm="a", reward="b")),
        ("narwhals", "frames", lambda: task_data(TABLE, task="a", output="b")),
        ("narwhals", "frames", lambda: transition_log(TABLE, state="a", action="b", reward="c", next_state="d")),
        ("pyarrow", "frames", lambda: frames.rows_to_frame([{"n": 1}])),
        ("pyarrow", "frames", lambda: read_log("no.csv")),
        ("polars", "frames", lambda: frames.rows_to_frame([{"n": 1}], backend="polars")),
        ("xarray", "frames", lambda: frames.to_xarray([{"n": 1}], dims=["n"])),
        ("gymnasium", "rl", lambda: mdp_from_env("FrozenLake-v1", discount=0.5)),
        ("minari", "rl", lambda: from_minari("no/case-v0")),
        ("minari", "rl", lambda: to_minari(LOG, "no/case-v0")),
        ("jax", "jax", lambda: from_jax(*ONE)),
        ("torch", "torch", lambda: from_torch(*ONE)),
        ("quantecon", "quantecon", lambda: to_discrete_dp(MDP.dense([[[1.0]]], [[0.5]], discount=0.5))),
    ],
)
def test_a_missing_package_is_named_with_its_cure(monkeypatch, package, extra, call):
    monkeypatch.setitem(sys.modules, package, None)
    expected = f"this needs {package}: pip install 'pessimism[{extra}]', or pip install {package}"
    with pytest.raises(ImportError, match=re.escape(expected)):
        call()
