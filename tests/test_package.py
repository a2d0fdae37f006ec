"""The package as a whole: light imports, documented names, kernels with twins, figures named in the README."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pessimism

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "scipy", "numba", "cvxpy", "matplotlib", "hypothesis", "tqdm", "threadpoolctl")


def modules():
    names = [info.name for info in pkgutil.walk_packages(pessimism.__path__, "pessimism.")]
    return [name for name in names if not name.rpartition(".")[2].startswith("_")]


def loaded_by(statement):
    """Which heavy packages a statement loads, in a process of its own."""
    code = f"{statement}; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import pessimism") == set()


def test_importing_a_rule_loads_only_numpy():
    assert loaded_by("from pessimism.bandits import lcb, exact, bounds, instances") == {"numpy"}
    assert loaded_by("from pessimism.mdp import MDP, plan, behavior") == {"numpy"}
    assert loaded_by("from pessimism.tasks import l1_a_mtrl, lasso, bounds, instances, designs, costs") == {"numpy"}
    assert loaded_by("from pessimism.bilevel import minimize_bilevel; from pessimism.bilevel import problems") == {
        "numpy"
    }
    assert loaded_by("from pessimism import sweep, rates, plotting") == {"numpy"}


def test_every_module_opens_with_a_docstring():
    for file in [*ROOT.glob("pessimism/**/*.py"), *ROOT.glob("simulations/*.py")]:
        assert ast.get_docstring(ast.parse(file.read_text())), file


def public_functions():
    for name in modules():
        module = importlib.import_module(name)
        for attribute, value in vars(module).items():
            if attribute.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isfunction(value):
                yield f"{name}.{attribute}", value
            elif inspect.isclass(value):
                for method, function in vars(value).items():
                    if not method.startswith("_") and inspect.isfunction(inspect.unwrap(function)):
                        yield f"{name}.{attribute}.{method}", function


def test_public_functions_have_examples():
    """Only properties may have a one-line docstring, which is what excuses them from numpydoc's other checks."""
    functions = dict(public_functions())
    assert len(functions) > 60
    bare = [name for name, function in functions.items() if "Examples\n" not in (inspect.getdoc(function) or "")]
    assert bare == []


def test_bounds_state_their_status():
    checked = set()
    for name, function in public_functions():
        if function.__module__.endswith(".bounds"):
            checked.add(function.__module__)
            status = (inspect.getdoc(function) or "").partition("Status: ")[2].split()[:1]
            assert status, name
            assert status[0].strip(".;") in {"published", "derived", "prediction", "unverified"}, name
    assert checked == {f"pessimism.{wing}.bounds" for wing in ("bandits", "mdp", "tasks")}


def test_exported_names_exist():
    for name in [
        *modules(),
        "pessimism.bandits",
        "pessimism.mdp",
        "pessimism.tasks",
        "pessimism.bilevel",
        "pessimism.testing",
    ]:
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", []):
            assert hasattr(module, exported), f"{name}.{exported}"


KERNEL_TWINS = {  # file of kernels: {kernel: the test file that holds its plain twin}
    "pessimism/bandits/_kernels.py": {
        "best_index": "tests/test_rules.py",
        "binomial_row": "tests/test_kernels.py",
        "tails": "tests/test_kernels.py",
        "overtakes": "tests/test_kernels.py",
        "overtakes_normal": "tests/test_exact.py",
        "against_unseen": "tests/test_kernels.py",
        "error_probability": "tests/test_exact.py",
        "stirling_error": "tests/test_kernels.py",
        "log_binomial": "tests/test_kernels.py",
        "log_most_played_error": "tests/test_exact.py",
    },
    "pessimism/bandits/_draw_kernels.py": dict.fromkeys(
        ("draw_rounds", "binomial_cdfs", "draw_binomials", "draw_cells"), "tests/test_draw_kernels.py"
    ),
    "pessimism/mdp/_kernels.py": dict.fromkeys(
        (
            "policy_matrices", "backward", "forward", "action_values", "improve", "follow", "sweep", "bicgstab",
            "solve", "solve_many", "plan_backward",
        ),
        "tests/test_mdp_kernels.py",
    ),
    "pessimism/mdp/_exact_kernels.py": dict.fromkeys(
        ("binomial_row", "tails", "overtakes", "by_counts", "error_probability"), "tests/test_mdp_exact.py"
    ),
    "pessimism/mdp/_pessimism_kernels.py": dict.fromkeys(
        ("bernstein_sweep", "bernstein_fixed_points", "bernstein_backward", "lcb_q"), "tests/test_mdp_rules.py"
    ),
    "pessimism/tasks/_kernels.py": dict.fromkeys(
        ("best_heads", "solve_positive", "best_basis", "orthonormal", "gradient", "alternate", "descend"),
        "tests/test_tasks_kernels.py",
    ),
    "pessimism/tasks/_lasso_kernels.py": dict.fromkeys(
        ("solve_upper", "solve_lower", "enter", "leave", "lines", "polish", "homotopy", "solve_many"),
        "tests/test_tasks_lasso.py",
    ),
}  # fmt: skip
KERNEL_TWINS |= {
    "pessimism/bilevel/_kernels.py": dict.fromkeys(
        ("average_in_ball", "move", "bo_rep", "slip", "soba", "double_loop", "f2sa"), "tests/test_bilevel_solvers.py"
    ),
    "pessimism/bilevel/_storm_kernels.py": dict.fromkeys(("accbo", "storm", "saba"), "tests/test_bilevel_storm.py"),
    "pessimism/bilevel/_deterministic_kernels.py": dict.fromkeys(("aid_cg", "itd"), "tests/test_bilevel_storm.py"),
    "pessimism/bilevel/problems/_quadratic_kernels.py": dict.fromkeys(
        ("grad_g", "hvp", "cvp", "grad_gx", "quadratic_grad_f", "cosh_grad_f", "quartic_grad_f"),
        "tests/test_bilevel_problems.py",
    ),
    "pessimism/bilevel/problems/_least_squares_kernels.py": dict.fromkeys(
        (f"{name}_{oracle}" for name in ("ridge", "representation")
         for oracle in ("grad_f", "grad_g", "hvp", "cvp", "grad_gx")),
        "tests/test_bilevel_problems.py",
    ),
    "pessimism/bilevel/problems/_cleaning_kernels.py": dict.fromkeys(
        ("grad_f", "grad_g", "hvp", "cvp", "grad_gx"), "tests/test_bilevel_problems.py"
    ),
    "pessimism/bilevel/problems/_logistic_kernels.py": dict.fromkeys(
        ("grad_f", "grad_g", "hvp", "cvp", "grad_gx"), "tests/test_bilevel_problems.py"
    ),
    "pessimism/bilevel/problems/_tuning_kernels.py": dict.fromkeys(
        ("grad_f", "grad_g", "hvp", "cvp", "grad_gx"), "tests/test_bilevel_problems.py"
    ),
}  # fmt: skip
HELPERS = {  # file of kernels: those reached through the kernels above
    "pessimism/bandits/_kernels.py": {
        "signed_width", "arm_row", "normal_above", "tabulate", "log_minority", "log_majority_error",
    },
    "pessimism/bandits/_draw_kernels.py": {"within"},
    "pessimism/bilevel/_kernels.py": {"afford", "ask", "draw", "norm", "descend_y", "apply_inverse", "stay", "undone"},
    "pessimism/bilevel/_storm_kernels.py": {
        "affordable", "ask", "draw", "norm", "move", "accelerate", "estimate", "recur", "terms_of", "exchange",
    },
    "pessimism/bilevel/_deterministic_kernels.py": {"ask", "dot", "move", "descend", "conjugate"},
    "pessimism/bilevel/problems/_quadratic_kernels.py": {"noise", "bounded_grad_f"},
    "pessimism/bilevel/problems/_least_squares_kernels.py": {"slope", "lower", "head_slope"},
    "pessimism/bilevel/problems/_cleaning_kernels.py": {"sigmoid", "product"},
    "pessimism/bilevel/problems/_logistic_kernels.py": {"spread", "touch", "products", "add", "slope"},
}  # fmt: skip


def functions_in(file):
    return [node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)]


def kernel_files():
    return [str(file.relative_to(ROOT)) for file in sorted(ROOT.glob("pessimism/**/_*kernels.py"))]


def test_every_kernel_has_a_twin():
    for file in kernel_files():
        twins = KERNEL_TWINS[file]
        assert {node.name for node in functions_in(file)} == set(twins) | HELPERS.get(file, set()), file
        assert all((ROOT / test).exists() for test in twins.values())


def test_kernels_are_compiled_the_way_the_design_says():
    """By the one decorator, with a signature at the most: no fastmath, no parallel."""
    for file in kernel_files():
        for node in functions_in(file):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            assert len(decorators) == 1, f"{file}: {node.name}"
            assert re.fullmatch(r"compiled(\([^=]+\))?", decorators[0]), f"{file}: {node.name}"


def test_the_readme_runs(tmp_path, monkeypatch, sized):
    """Every Python block of the README, in order, in one namespace; without the compiler with fewer rounds."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text()
    for written, smaller in (
        ("1_000, level", f"{sized(1000, 100)}, level"),
        ("examples=20", f"examples={sized(20, 5)}"),
    ):
        assert text.count(written) == 2
        text = text.replace(written, smaller)
    blocks = text.split("```python\n")[1:]
    assert len(blocks) >= 3
    namespace = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block.partition("```")[0], "README.md", "exec"), namespace)
    for name in [key for key in namespace if key.startswith("test_")]:
        namespace[name]()


def test_what_the_readme_shows_exists():
    text = (ROOT / "README.md").read_text()
    shown = [part.partition(")")[0] for part in text.split("](")[1:]]
    local = [path for path in shown if not path.startswith("http")]
    assert sum(path.endswith(".png") for path in local) >= 3
    assert all((ROOT / path).exists() for path in local)
    for command in ("make figures", "make test"):
        assert command in text


@pytest.mark.parametrize("file", ["CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", "pessimism/py.typed"])
def test_the_repository_has(file):
    assert (ROOT / file).exists()
