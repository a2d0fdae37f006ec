"""Tutorials are Markdown pages that run: their code in order, in one fresh process, with the figures they save.

How-to pages run too, each in an empty folder. A page's blocks marked ``python`` are its program; code that cannot be
run everywhere, as on a cluster, is a ``{code-block}``. A block marked ``text`` directly after one is what has been
printed since the block before; a page that prints anything else is a warning, which is an error of ``make docs``.
Figures that a tutorial saves appear where the page names them.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

import pessimism

LOGGER = logging.getLogger(__name__)

BLOCK = re.compile(r"^```(python|text)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
MARK = "\x1e"


def blocks(text: str) -> list[tuple[str, str]]:
    """("python" or "text", content) in order."""
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def program(text: str) -> str:
    """The page's code; after each block a mark on a line of its own is printed, which separates the outputs."""
    return f"\nprint({MARK!r}, flush=True)\n".join(code for kind, code in blocks(text) if kind == "python")


def printed(text: str) -> list[str]:
    """What the page says that each block of code prints."""
    said: list[str] = []
    for kind, content in blocks(text):
        if kind == "python":
            said.append("")
        elif said:
            said[-1] = content
    return said


def run(text: str, folder: Path) -> list[str]:
    """Run a page's program in a fresh process inside a folder: what each block printed."""
    environment = {**os.environ, "TQDM_DISABLE": "1", "PYTHONWARNINGS": "error::UserWarning"}
    with tempfile.TemporaryDirectory() as where:
        script = Path(where) / "page.py"
        script.write_text(program(text), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise ExtensionError(f"a page's code failed:\n{done.stderr}")
    return done.stdout.split(f"{MARK}\n")


def notebook(text: str) -> str:
    """The page as a notebook: prose and code, no outputs."""
    cells: list[dict[str, Any]] = []
    position = 0
    for match in BLOCK.finditer(text):
        add(cells, "markdown", text[position : match.start()])
        if match[1] == "python":
            add(cells, "code", match[2])
        position = match.end()
    add(cells, "markdown", text[position:])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}, indent=1
    )


def add(cells: list[dict[str, Any]], kind: str, text: str) -> None:
    if not text.strip():
        return
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}, "source": text.strip()}
    cells.append({**cell, "execution_count": None, "outputs": []} if kind == "code" else cell)


def sources(docs: Path) -> list[Path]:
    """The pages that run."""
    pages = sorted([*docs.glob("tutorials/*.md"), *docs.glob("howto/*.md")])
    return [page for page in pages if program(page.read_text(encoding="utf-8"))]


def stamp(page: Path) -> Path:
    return page.parents[1] / "tutorials" / "made" / f"{page.stem}.run"


@cache
def digest(page: Path) -> str:
    """Of the page and of the package."""
    package = sorted(Path(pessimism.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in [page, *package])).hexdigest()


def ran(page: Path) -> bool:
    """Whether the page printed what it says when it was last run, with these sources."""
    return stamp(page).exists() and stamp(page).read_text() == digest(page)


def make(app: Sphinx) -> None:
    """Run every page that is newer than its last run or older than the package; tutorials become notebooks too."""
    made = Path(app.srcdir) / "tutorials" / "made"
    made.mkdir(exist_ok=True)
    (made / ".gitignore").write_text("*\n")
    pages = {page: page.read_text(encoding="utf-8") for page in sources(Path(app.srcdir))}
    lessons = [page for page in pages if page.parent.name == "tutorials"]
    old = [page for page in pages if not ran(page)]
    with ThreadPoolExecutor(os.cpu_count()) as pool, tempfile.TemporaryDirectory() as empty:
        folders = [made if page in lessons else Path(tempfile.mkdtemp(dir=empty)) for page in old]
        outputs = dict(zip(old, pool.map(run, (pages[page] for page in old), folders), strict=True))
    for page in lessons:
        (made / f"{page.stem}.ipynb").write_text(notebook(pages[page]), encoding="utf-8")
    for page in old:
        wrong = differences(printed(pages[page]), outputs[page])
        for difference in wrong:
            LOGGER.warning("%s prints something else: %s", page.name, difference)
        if not wrong:
            stamp(page).write_text(digest(page))


def differences(said: list[str], outputs: list[str]) -> list[str]:
    """Where a page does not print what it says; spaces and line ends do not count."""
    return [
        f"block {number} printed {output.strip()!r}"
        for number, (words, output) in enumerate(zip(said, outputs, strict=True), 1)
        if words.split() != output.split()
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
