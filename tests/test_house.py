"""The laws of the house, read off all imports: down only, never in a circle, engines that know no class of the street.

import-linter holds the layers; what it cannot say stands here. Imports under TYPE_CHECKING and inside functions count.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WINGS = ("bandits", "mdp", "tasks", "bilevel")
OPEN_TO_OTHER_WINGS = {"model", "behavior", "data", "instances"}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {name_of(file): file for folder in ("pessimism", "simulations") for file in (ROOT / folder).rglob("*.py")}


def imported(name):
    """Modules of ours that a file imports, wherever in the file; ``from package import module`` is the module."""
    file, found = modules()[name], set()
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            parts = {f"{origin}.{alias.name}" for alias in node.names} & set(modules())
            named = {f"{origin}.{alias.name}" for alias in node.names} - parts
            found |= parts | ({origin} if named else set())
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= loaded_by_name(ast.unparse(node.args[0]))
    return {module for module in found if module in modules() and module != name}


def loaded_by_name(argument):
    """Modules that a call of import_module may load: all below the constant part of its argument."""
    below = argument.partition("{")[0].strip("f'\"").rstrip(".")
    return {module for module in modules() if below.startswith("pessimism.") and module.startswith(below)}


@cache
def imports():
    return {name: imported(name) for name in modules()}


def circles(graph):
    """Strongly connected components of more than one module (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_no_import_runs_in_a_circle():
    """The root loads its parts by name and imports nothing but the version: its types do not count."""
    assert circles(imports() | {"pessimism": {"pessimism._version"}}) == []


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
