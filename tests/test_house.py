"""The laws of the house, read off all imports: down only, never in a circle, engines that know no class of the street.

import-linter holds the layers; what it cannot say stands here. Imports under TYPE_CHECKING and inside functions count.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from grimp import build_graph

ROOT = Path(__file__).parent.parent
WINGS = ("bandits", "mdp", "tasks", "bilevel")
OPEN_TO_OTHER_WINGS = {"model", "behavior", "data", "instances"}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {name_of(file): file for folder in ("pessimism", "simulations") for file in (ROOT / folder).rglob("*.py")}


@cache
def imports():
    """All imports between our modules; ``import_module(f"a.b.{name}")`` imports whatever is below a.b."""
    graph = build_graph("pessimism", "simulations")
    found = {name: graph.find_modules_directly_imported_by(name) for name in modules()}
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                below = ast.unparse(node.args[0]).partition("{")[0].strip("f'\"").rstrip(".")
                found[name] |= {other for other in modules() if below.count(".") and other.startswith(below)} - {name}
    return found


def circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return sorted(set(error.args[1]))
    return []


def test_no_import_runs_in_a_circle():
    """The root loads its parts by name and imports nothing but the version: its types do not count."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]
    assert circle(imports() | {"pessimism": {"pessimism._version"}}) == []


def test_an_engine_imports_engines_and_the_floor_only():
    for name, wanted in imports().items():
        if "._engine" in name:
            up = {other for other in wanted if "._engine" not in other and other.count(".") > 1}
            assert up == set(), name


def test_an_engine_names_no_class_of_the_street():
    """Nor in a comment-like string: annotations in quotes are names too."""
    street = {
        node.name
        for name, file in modules().items()
        if name.split(".")[1:2] and name.split(".")[1] in WINGS and "._engine" not in name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    assert {"Bandit", "MDP", "MDPData", "TaskData"} <= street
    for name, file in modules().items():
        if "._engine" in name:
            tree = ast.parse(file.read_text())
            named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            quoted = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in street}
            assert (named | quoted) & street == set(), name


def test_a_wing_sees_of_another_only_models_behaviors_data_and_instances():
    for name, wanted in imports().items():
        wing = name.split(".")[1] if name.count(".") else ""
        for other in wanted if wing in WINGS else ():
            parts = other.split(".")
            if len(parts) > 1 and parts[1] in WINGS and parts[1] != wing:
                assert len(parts) > 2, f"{name} imports all of {other}"
                assert parts[2] in OPEN_TO_OTHER_WINGS, f"{name} imports {other}"


@pytest.mark.parametrize("folder", ["rules", "methods"])
def test_folders_of_algorithms_export_nothing(folder):
    for name, file in modules().items():
        if name.startswith("pessimism.") and name.endswith(f".{folder}") and file.name == "__init__.py":
            assert [type(node) for node in ast.parse(file.read_text()).body] == [ast.Expr], name


@cache
def code_of(file):
    """The syntax tree of a file, and which of its lines are neither blank nor comment nor docstring."""
    text = file.read_text()
    tree = ast.parse(text)
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return tree, {n for n, line in lines if line.strip() and not line.strip().startswith("#")} - docstrings


def test_no_file_holds_more_than_300_lines_of_code():
    assert {name: len(code_of(file)[1]) for name, file in modules().items() if len(code_of(file)[1]) > 300} == {}


def test_no_function_holds_more_than_40_lines_of_code():
    """Signatures not counted, and not kernels."""
    long = {}
    for name, file in modules().items():
        tree, code = code_of(file)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not any("compiled" in ast.unparse(d) for d in node.decorator_list):
                lines = len(code.intersection(range(node.body[0].lineno, node.end_lineno + 1)))
                if lines > 40:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}
