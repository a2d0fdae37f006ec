"""The theorem index: a row a statement, from docstrings, the marks of tests and the calls of simulations."""

import ast
from collections import defaultdict
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx.application import Sphinx

from _extensions import _pages, gallery
from pessimism import _theorems

ROOT = Path(__file__).parents[2]
TITLES = {
    "bandits": "Bandits",
    "mdp": "Offline reinforcement learning",
    "tasks": "Source tasks",
    "bilevel": "Bilevel problems",
}

UNDRAWN: dict[str, str] = {}
"""Statements that no figure draws, and why."""


def checking_tests() -> dict[str, list[str]]:
    """Statement -> the tests marked with its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for name in (name for mark in node.decorator_list for name in checks(mark)):
                    found[name].append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return dict(found)


def checks(mark: ast.expr) -> list[str]:
    """The names in ``@pytest.mark.checks("bandits.lcb_upper", ...)``."""
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.checks":
        return [each.value for each in mark.args if isinstance(each, ast.Constant)]
    return []


def loose_statements() -> dict[str, str]:
    """Statement -> how loose it is, where a test cannot tell it from one a per cent away."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.checks":
                loose = [ast.literal_eval(each.value) for each in node.keywords if each.arg == "loose"]
                found.update(dict.fromkeys(checks(node), loose[0]) if loose else {})
    return found


def drawing_simulations() -> dict[str, list[str]]:
    """Statement -> the simulations that call its function."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in gallery.sources():
        for name in gallery.statements(path):
            _, wing, _, function = name.split(".")
            found[f"{wing}.{function}"].append(gallery.name(path))
    return dict(found)


def make(app: Sphinx) -> None:
    tests, figures = checking_tests(), drawing_simulations()
    text = _pages.heading("The theorem index")
    text += (
        "Made from the code: what the notes of a function say of it, the tests that carry its name, the simulations\n"
        "that call it. ``python -m pessimism theorems [WORD]`` prints it in a terminal.\n\n"
    )
    wing = ""
    for each in _theorems.statements():
        if not each.name.startswith(f"{wing}."):
            wing = each.name.split(".")[0]
            text += _pages.heading(TITLES[wing], "-") + f".. py:currentmodule:: pessimism.{wing}.bounds\n\n"
        text += row(each, tests.get(each.name, []), figures.get(each.name, []))
    _pages.write(Path(app.srcdir) / "claims" / "made", {"theorems.inc": text})


def row(each: _theorems.Statement, tests: list[str], figures: list[str]) -> str:
    function = each.name.split(".")[1]
    text = f".. card:: {function}\n   :class-card: theorem\n   :class-header: {each.status.split()[0].strip('.;,')}\n\n"
    text += f"   **{each.summary}**\n\n"
    text += indent(f"{each.value}\n\n{each.text}", "   ") + "\n\n"
    fields = {
        "Status": each.status,
        "Source": each.source,
        "Function": f"`{each.function}`",
        "Rule": ", ".join(f"`{name}`" for name in each.related if ".rules." in name),
        "Instance": ", ".join(f"`{name}`" for name in each.related if ".instances" in name),
        "Test": ", ".join(f"``{name}``" for name in tests),
        "Figure": ", ".join(f":doc:`{name} </gallery/{name}>`" for name in figures),
    }
    text += "".join(f"   :{field}: {value}\n" for field, value in fields.items() if value)
    return text + "\n"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
