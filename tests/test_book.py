"""The book: its tutorials print what they say, its index holds every statement, its examples are on their own."""

import doctest
import inspect
import json
import re
import sys
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError

from pessimism import __main__ as command
from pessimism import _theorems

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
sys.path.insert(0, str(ROOT / "docs"))

from _extensions import _names, examples, theorems, tutorials  # noqa: E402

STATEMENTS = {each.name: each for each in _theorems.statements()}


@pytest.mark.parametrize("page", tutorials.sources(ROOT / "docs"), ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page, tmp_path):
    """Run as printed, in one fresh process: by the last `make docs`, if page and package are the same, or now."""
    if not tutorials.ran(page):
        text = page.read_text(encoding="utf-8")
        assert tutorials.differences(tutorials.printed(text), tutorials.run(text, tmp_path)) == []


def test_a_tutorial_that_prints_something_else_is_told(tmp_path):
    page = "```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nx = 2\nprint(x)\n```\n\n```text\n{}\n```\n"
    outputs = tutorials.run(page, tmp_path)
    assert tutorials.differences(tutorials.printed(page.format("2")), outputs) == []
    assert tutorials.differences(tutorials.printed(page.format("3")), outputs) == ["block 2 printed '2'"]
    with pytest.raises(ExtensionError, match="ZeroDivisionError"):
        tutorials.run("```python\n1 / 0\n```\n", tmp_path)


def test_the_readme_prints_what_it_says(tmp_path):
    """Run as printed, in one fresh process and an empty folder."""
    page = README.read_text(encoding="utf-8")
    outputs = tutorials.run(page, tmp_path)
    assert tutorials.differences(tutorials.printed(page), outputs) == []
    assert sum(bool(said) for said in tutorials.printed(page)) >= 10


def test_the_first_page_of_the_book_has_the_ten_lines_of_the_readme():
    first = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert tutorials.blocks(first) == tutorials.blocks(README.read_text(encoding="utf-8"))[:2]


def test_a_notebook_has_the_cells_of_its_page():
    text = "# Title\n\nWords.\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\nMore.\n"
    cells = json.loads(tutorials.notebook(text))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "markdown"]
    assert cells[1]["source"] == "print(1)"
    assert cells[2]["source"] == "More."


def test_every_statement_has_a_test_that_notices_when_it_is_moved():
    tests = theorems.checking_tests()
    assert {name for name in STATEMENTS if name not in tests} == set()
    assert {name for name in tests if name not in STATEMENTS} == set()


def test_every_statement_is_drawn_or_says_why_not():
    drawn = set(theorems.drawing_simulations())
    assert set(STATEMENTS) - drawn == set(theorems.UNDRAWN)


def test_a_statement_without_a_status_is_refused():
    notes = "Summary.\n\nNotes\n-----\nWords.\n\n:Status: {}\n:Source: us.\n"
    assert _theorems.statement("bandits.x", notes.format("derived.")).source == "us."
    with pytest.raises(ValueError, match="must begin with one of"):
        _theorems.statement("bandits.x", notes.format("certain."))
    with pytest.raises(ValueError, match="have no field :Source:"):
        _theorems.statement("bandits.x", notes.format("derived.").replace(":Source:", "Source:"))


def test_the_command_prints_the_index(capsys):
    assert command.main(["theorems"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(STATEMENTS)
    assert command.main(["theorems", "bretagnolle"]) == 0
    whole = capsys.readouterr().out
    assert "pessimism.bandits.bounds.minimax_lower" in whole
    assert "Status: derived" in whole


def test_the_command_runs_the_simulations(capsys):
    assert command.main(["simulations"]) == 0
    assert "bandit-rates" in capsys.readouterr().out


def test_the_command_prints_the_versions_for_a_bug_report(capsys):
    assert command.main(["version"]) == 0
    assert re.match(r"pessimism \d", capsys.readouterr().out)


def test_every_page_is_in_the_contents():
    for folder in ("tutorials", "howto", "wings", "claims"):
        index = (ROOT / "docs" / folder / "index.md").read_text(encoding="utf-8")
        listed = {
            line.strip()
            for block in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
            for line in block.splitlines()
        }
        pages = {path.stem for path in (ROOT / "docs" / folder).glob("*.*") if path.stem != "index"}
        assert pages <= listed, folder


def test_every_example_runs_with_the_imports_that_the_book_shows_above_it():
    """Pasted into a fresh namespace: the imports, then every name that the example reads is there."""
    lacking = {}
    for home, names in _names.home().items():
        for name, value in names.items():
            if not _names.documented(value):
                continue
            module, doc = sys.modules[value.__module__], inspect.getdoc(value) or ""
            code = "".join(example.source for example in doctest.DocTestParser().get_examples(doc))
            namespace: dict[str, object] = {}
            exec("\n".join(examples.imports(doc, module)), namespace)
            if unknown := [each for each in examples.missing(code) if each not in namespace]:
                lacking[f"{home}.{name}"] = unknown
    assert lacking == {}
