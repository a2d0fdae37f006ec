"""Kernels and the tests that hold their plain twins; helpers are reached through the kernels."""

TWINS = {
    "pessimism/_binomial.py": dict.fromkeys(("binomial_row", "tails", "overtakes"), "tests/floor/test_binomial.py"),
    "pessimism/bandits/_engine/drawing.py": dict.fromkeys(
        ("draw_rounds", "binomial_cdfs", "draw_binomials", "draw_cells"), "tests/bandits/test_drawing.py"
    ),
    "pessimism/bandits/_engine/enumeration.py": {
        **dict.fromkeys(("outcomes", "overtakes_with_error", "tabulate"), "tests/bandits/test_enumeration.py"),
        "error_probability": "tests/bandits/test_exact.py",
    },
    "pessimism/bandits/_engine/index.py": {"best_index": "tests/bandits/test_rules.py"},
    "pessimism/bandits/_engine/most_played.py": {
        **dict.fromkeys(("stirling_error", "log_binomial"), "tests/bandits/test_most_played.py"),
        **dict.fromkeys(("log_minority", "log_mean_minority"), "tests/bandits/test_exact.py"),
    },
}

HELPERS = {"pessimism/bandits/_engine/drawing.py": {"window"}}
