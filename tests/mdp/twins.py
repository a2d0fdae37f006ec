"""Kernels and the tests that hold their plain twins."""

TWINS = {
    "pessimism/mdp/_engine/fixed_point.py": dict.fromkeys(
        ("improve", "sweep", "bicgstab", "solve"), "tests/mdp/test_kernels.py"
    ),
    "pessimism/mdp/_engine/finite_horizon.py": {
        **dict.fromkeys(("backward", "forward"), "tests/mdp/test_model.py"),
        "plan_backward": "tests/mdp/test_kernels.py",
    },
    "pessimism/mdp/_engine/bernstein.py": dict.fromkeys(
        ("bernstein_sweep", "bernstein_fixed_points", "bernstein_backward"), "tests/mdp/test_rules.py"
    ),
    "pessimism/mdp/_engine/q_learning.py": {"q_learning": "tests/mdp/test_rules.py"},
    "pessimism/mdp/_engine/stay_exit.py": dict.fromkeys(("by_counts", "replica_error"), "tests/mdp/test_exact.py"),
}
"""File of kernels -> kernel -> the test file that holds its plain twin."""

HELPERS = {
    "pessimism/mdp/_engine/bernstein.py": {"least_ahead"},
    "pessimism/mdp/_engine/fixed_point.py": {"error_bounds", "follow", "reaches"},
}
"""File of kernels -> those that are reached through the kernels above."""
