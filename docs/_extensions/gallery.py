"""The gallery: every simulation with its figure, rows, command and source, from its docstring and `figures/`."""

import ast
import csv
import html
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from _extensions import _names, _pages

ROOT = Path(__file__).parents[2]


def make(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "gallery"
    pages = {f"{name(path)}.rst": page(path) for path in sources()}
    pages["index.rst"] = index(sources())
    for path in sources():
        table = ROOT / "figures" / f"{name(path)}.csv"
        if table.exists():
            pages[f"{name(path)}.html"] = rows(table)
    _pages.write(folder, pages)
    # copies, since Sphinx takes images and downloads from the source folder only
    figures = Path(app.srcdir) / "_static" / "figures"
    figures.mkdir(exist_ok=True)
    for file in (ROOT / "figures").glob("*.[pc][ns][gv]"):
        copy = figures / file.name
        if not copy.exists() or copy.stat().st_mtime < file.stat().st_mtime:
            shutil.copyfile(file, copy)


def sources() -> list[Path]:
    """The simulations' files."""
    return sorted(path for path in (ROOT / "simulations").glob("*.py") if not path.stem.startswith("_"))


def name(path: Path) -> str:
    return path.stem.replace("_", "-")


def parts(path: Path) -> tuple[str, str, str]:
    """First line, the rest, and the names after "See also", of a simulation's docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, _, rest = doc.partition("\n")
    body, _, also = rest.partition("See also")
    return first, body.strip(), also.strip()


def index(paths: list[Path]) -> str:
    text = _pages.heading("Gallery")
    text += "Every simulation of the package: what it shows, its rows, its command.\n\n"
    text += ".. toctree::\n   :hidden:\n\n" + "".join(f"   {name(path)}\n" for path in paths) + "\n"
    text += ".. grid:: 1 2 2 3\n   :gutter: 3\n\n"
    for path in paths:
        text += f"   .. grid-item-card:: {name(path)}\n      :link: {name(path)}\n      :link-type: doc\n"
        text += f"      :img-top: ../_static/figures/{name(path)}.png\n      :img-alt: {parts(path)[0]}\n\n"
        text += f"      {parts(path)[0]}\n\n"
    return text


def page(path: Path) -> str:
    first, body, also = parts(path)
    me = name(path)
    text = _pages.heading(me) + f"**{first}**\n\n"
    text += f".. image:: ../_static/figures/{me}.png\n   :alt: {first}\n   :class: gallery-figure\n\n"
    text += body + "\n\n"
    if drawn := statements(path):
        text += "Statements it draws: " + ", ".join(f"`{full}`" for full in drawn) + ".\n\n"
    if others := [each for each in re.findall("`[^`]+`", also) if each.strip("`~") not in drawn]:
        text += "See also " + ", ".join(others) + ".\n\n"
    text += f".. code-block:: console\n\n   $ python -m simulations {me}\n\n"
    text += f"Rows: :download:`{me}.csv <../_static/figures/{me}.csv>`. A click on a column sorts.\n\n"
    text += f".. raw:: html\n   :file: {me}.html\n\n"
    text += ".. dropdown:: Source\n\n"
    text += f"   .. literalinclude:: ../../simulations/{path.name}\n      :language: python\n\n"
    return text


def statements(path: Path) -> list[str]:
    """Full names of the bounds that a simulation calls, as its imports say."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.name == "bounds"
    }
    known = {f"{module}.{each}" for module, names in _names.home().items() for each in names}
    used = {
        f"{aliases[node.value.id]}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases
    }
    return sorted(used & known)


def rows(table: Path) -> str:
    """The rows as a table to sort; the first hundreds of a long one, which says so."""
    with table.open(encoding="utf-8", newline="") as file:
        header, *body = csv.reader(file)
    shown = body[:400]
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(short(v))}</td>" for v in row) + "</tr>\n" for row in shown)
    heads = "".join(f'<th scope="col"><button type="button">{html.escape(column)}</button></th>' for column in header)
    note = (
        "" if len(shown) == len(body) else f"<p>The first {len(shown)} of {len(body)} rows; all are in the file.</p>\n"
    )
    return (
        f'<div class="rows" tabindex="0"><table class="sortable">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{cells}</tbody></table></div>\n{note}"
    )


def short(value: str) -> str:
    """Four digits are enough to read; the file has all."""
    return f"{float(value):.4g}" if re.fullmatch(r"-?\d+\.\d+(e[-+]?\d+)?|-?\d+e[-+]?\d+", value) else value


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
