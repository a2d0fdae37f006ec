"""The package as a whole: light imports, documented names, kernels with twins, figures named in the README."""

import ast
import importlib
import inspect
import pkgutil
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import pessimism
from tests.conftest import kernels

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "scipy", "numba", "cvxpy", "matplotlib", "hypothesis", "tqdm", "threadpoolctl")


def modules():
    names = [info.name for info in pkgutil.walk_packages(pessimism.__path__, "pessimism.")]
    return [name for name in names if "._" not in name]


def test_imports_load_only_numpy_and_the_root_not_even_that():
    code = f"""
import sys
loaded = lambda: [name for name in {HEAVY} if name in sys.modules]
import pessimism
assert loaded() == [], loaded()
from pessimism.bandits import lcb, exact, bounds, instances
from pessimism.mdp import MDP, plan, behavior
from pessimism.tasks import l1_a_mtrl, lasso, bounds, instances, designs, costs
from pessimism.bilevel import minimize_bilevel, problems
from pessimism import sweep, rates, plotting
assert loaded() == ["numpy"], loaded()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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


def test_exported_names_exist_and_say_where_to_import_them():
    for module in map(importlib.import_module, ["pessimism", *modules()]):
        for name in getattr(module, "__all__", []):
            exported = getattr(module, name)
            if inspect.isclass(exported):
                assert "._" not in exported.__module__, exported
                assert getattr(importlib.import_module(exported.__module__), name) is exported


def test_every_kernel_has_a_twin():
    """The folders of tests list them: kernels with a plain twin, and helpers that are reached through these."""
    listed, tests = {}, set()
    for path in ROOT.glob("tests/*/twins.py"):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for file, twins in module.TWINS.items():
            listed[file] = set(twins) | module.HELPERS.get(file, set())
            tests |= set(twins.values())
        for file, helpers in module.HELPERS.items():
            listed.setdefault(file, set(helpers))
    found = {}
    for module, _, kernel in (name.rpartition(".") for name in kernels()):
        found.setdefault(f"{module.replace('.', '/')}.py", set()).add(kernel)
    assert listed == found
    assert len(listed) > 15
    assert all((ROOT / test).exists() for test in tests)


def test_only_the_decorator_of_the_floor_compiles():
    for path in ROOT.glob("pessimism/**/*.py"):
        if path.name != "_compiled.py":
            names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            assert not names & {"njit", "jit", "vectorize", "guvectorize", "prange"}, path


def test_what_the_readme_shows_exists():
    text = (ROOT / "README.md").read_text()
    shown = [part.partition(")")[0] for part in text.split("](")[1:]]
    local = [path for path in shown if not path.startswith("http")]
    assert sum(path.endswith(".png") for path in local) >= 3
    assert all((ROOT / path).exists() for path in local)
    for command in ("make figures", "make test"):
        assert command in text


def test_an_index_page_shows_the_readme_with_absolute_addresses(monkeypatch):
    interface = SimpleNamespace(MetadataHookInterface=object)  # hatchling is only where packages are built
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", interface)
    absolute = runpy.run_path(str(ROOT / "hatch_build.py"))["absolute"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [part.partition(")")[0] for part in absolute(text, "https://example.org/us/it").split("](")[1:]]
    assert "https://example.org/us/it/raw/HEAD/figures/bandit-rates.png" in shown
    assert all(path.startswith("https://") for path in shown)
    assert absolute(text, "") == text


@pytest.mark.parametrize("file", ["CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", "pessimism/py.typed"])
def test_the_repository_has(file):
    assert (ROOT / file).exists()
