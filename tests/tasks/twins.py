"""Kernels and the tests that hold their plain twins; helpers are reached through the kernels."""

TWINS = {
    "pessimism/tasks/_engine/representation_kernels.py": dict.fromkeys(
        (
            "solve",
            "solve_positive",
            "orthonormalize",
            "best_heads",
            "normal_equations",
            "gradient",
            "alternate",
            "descend",
        ),
        "tests/tasks/test_kernels.py",
    ),
    "pessimism/tasks/_engine/lasso_kernels.py": dict.fromkeys(
        ("solve_upper", "solve_lower", "enter", "lines", "defect", "homotopy"), "tests/tasks/test_lasso.py"
    ),
}
HELPERS = {"pessimism/tasks/_engine/representation_kernels.py": {"shift_diagonal", "mean_gram", "copy_to"}}
