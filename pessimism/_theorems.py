"""The statements that the package knows, read from the docstrings of the wings' `bounds`.

The Returns section of a bound has the statement in symbols, the notes its assumptions; they end with two fields,
``:Status:`` and ``:Source:``. Its See Also section names the rule it is about and the instance that attains it.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from textwrap import dedent, indent

WINGS = ("bandits", "mdp", "tasks", "bilevel")
STATUSES = ("published", "derived", "prediction", "unverified")

SECTION = re.compile(r"^(?P<title>[A-Z][\w ,]+)\n-+\n(?P<text>.*?)(?=^[A-Z][\w ,]+\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^:(?P<name>Status|Source):\s*(?P<text>.*?)(?=^:(?:Status|Source):|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """One row of the index: `name` is "wing.function", `value` what it returns, `related` the full names to see."""

    name: str
    summary: str
    value: str
    text: str
    status: str
    source: str
    related: tuple[str, ...]

    @property
    def function(self) -> str:
        wing, function = self.name.split(".")
        return f"pessimism.{wing}.bounds.{function}"


def statements() -> Iterator[Statement]:
    """All of them, wing by wing in the order of their files."""
    for wing in WINGS:
        bounds = importlib.import_module(f"pessimism.{wing}.bounds")
        functions = [getattr(bounds, name) for name in bounds.__all__]
        functions = [function for function in functions if inspect.isfunction(function)]
        for function in sorted(functions, key=lambda each: each.__code__.co_firstlineno):
            yield statement(f"{wing}.{function.__name__}", inspect.getdoc(function) or "")


def statement(name: str, doc: str) -> Statement:
    """Read one docstring; a ValueError says which field is missing."""
    sections = {match["title"]: match["text"] for match in SECTION.finditer(doc)}
    notes = sections.get("Notes", "")
    fields = {match["name"]: " ".join(match["text"].split()) for match in FIELD.finditer(notes)}
    for field in ("Status", "Source"):
        if field not in fields:
            raise ValueError(f"the notes of {name} have no field :{field}:")
    if not fields["Status"].startswith(STATUSES):
        raise ValueError(f"the status of {name} must begin with one of {STATUSES}, got {fields['Status']!r}")
    related = re.findall(r"^([\w.]+) :", sections.get("See Also", ""), re.MULTILINE)
    text = notes.partition("\n:Status:")[0].strip()
    value = dedent(sections.get("Returns", "").partition("\n")[2]).strip()
    return Statement(name, doc.partition("\n")[0], value, text, fields["Status"], fields["Source"], tuple(related))


def printed(word: str = "") -> str:
    """The index for a terminal: all statements a line each, or those in which a word occurs, whole."""
    found = [each for each in statements() if word.lower() in "\n".join(astuple(each)[:4]).lower()]
    if not found:
        return f"no statement mentions {word!r}"
    if not word:
        return "\n".join(f"{each.name:36} {each.status.split()[0].strip('.;,'):11} {each.summary}" for each in found)
    return "\n\n".join(
        f"{each.function}\n  {each.summary}\n\n"
        + indent(f"{each.value}\n\n{each.text}", "  ")
        + f"\n\n  Status: {each.status}\n  Source: {each.source}"
        for each in found
    )
