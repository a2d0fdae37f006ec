"""The reference: one page a module, every public name on exactly one of them."""

import inspect
from pathlib import Path
from types import GenericAlias
from typing import Any

from sphinx.application import Sphinx

from _extensions import _names, _pages

TITLES = {
    "pessimism.bandits": "Bandits",
    "pessimism.mdp": "Offline reinforcement learning",
    "pessimism.tasks": "Source tasks",
    "pessimism.bilevel": "Bilevel problems",
    "pessimism.sweep": "Sweeps, rates, plots",
    "pessimism.testing": "Checks for your own code",
    "pessimism.interop": "Other packages",
}
BESIDE = {"pessimism.rates": "pessimism.sweep", "pessimism.plotting": "pessimism.sweep"}


def make(app: Sphinx) -> None:
    homes = _names.home()
    docs = {module.__name__: inspect.getdoc(module) or "" for module in _names.modules()}
    pages = {f"{module}.rst": page(module, names, docs[module]) for module, names in homes.items()}
    pages["index.rst"] = index(homes, docs)
    _pages.write(Path(app.srcdir) / "reference", pages)


def index(homes: dict[str, Any], docs: dict[str, str]) -> str:
    text = _pages.heading("Reference")
    text += "Every public name, by wing, in the order of its module's ``__all__``.\n\n"
    for wing, title in TITLES.items():
        text += _pages.heading(title, "-")
        text += ".. toctree::\n   :hidden:\n\n"
        parts = [m for m in homes if m == wing or m.startswith(wing + ".") or BESIDE.get(m) == wing]
        text += "".join(f"   {module}\n" for module in parts) + "\n"
        for module in parts:
            text += f":doc:`{module} <{module}>`\n   {first_line(docs[module])}\n\n"
            text += "   " + ", ".join(f":py:obj:`{name} <{module}.{name}>`" for name in homes[module]) + "\n\n"
    return text


def page(module: str, names: dict[str, Any], doc: str) -> str:
    text = _pages.heading(module) + f".. py:module:: {module}\n\n" + doc + "\n\n"
    text += f".. currentmodule:: {module}\n\n"
    told = {name: summary(value) for name, value in names.items() if _names.documented(value)}
    text += _pages.overview((f":py:obj:`{name}`", line) for name, line in told.items())
    for name, value in names.items():
        text += _pages.heading(name, "-")
        if inspect.isclass(value):
            text += f".. autoclass:: {name}\n   :members:\n\n"
        elif _names.documented(value):
            text += f".. autofunction:: {name}\n\n"
        elif isinstance(value, GenericAlias):
            text += f".. py:data:: {name}\n   :value: {value}\n\n"
        else:
            text += f".. autodata:: {name}\n\n"
    return text


def summary(value: Any) -> str:
    """First paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def first_line(doc: str) -> str:
    return doc.partition("\n")[0]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
