"""Single backticks in docstrings: a link where the name is one of the book, else code."""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from _extensions import _names

LOGGER = logging.getLogger(__name__)
# pages made of docstrings, which also put parameters and expressions into single backticks
MADE = ("reference/", "gallery/", "claims/theorems")


class CodeOrLink(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        reference = addnodes.pending_xref(
            self.rawtext,
            nodes.literal(self.rawtext, self.text, classes=["xref", "py"]),
            refdomain="py",
            reftype="obj",
            reftarget=self.text,
            refdoc=self.env.docname,
            refwarn=False,
            **{"py:module": self.env.ref_context.get("py:module"), "py:class": self.env.ref_context.get("py:class")},
        )
        return [reference], []


def at_home(app: Sphinx, env: Any, node: addnodes.pending_xref, content: nodes.Element) -> nodes.Node | None:
    """Find what is documented under another name than the one that is written: a rule in its file, a short name."""
    if node.get("refdomain") != "py":
        return None
    target, module = node["reftarget"], node.get("py:module") or ""
    wing = ".".join(module.split(".")[:2])
    tried = [target, f"{module}.{target}", f"{wing}.{target}", f"pessimism.{target}"]
    tried += [found for name in tried if (found := _names.canonical().get(name))]
    domain = env.get_domain("py")
    ends = [name for name in domain.objects if name.endswith(f".{target}")]
    if "." in target and len(ends) == 1:
        tried += ends
    for name in tried:
        if name in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    if target.startswith("simulations."):
        page = "gallery/" + target.split(".")[1].replace("_", "-")
        if page in env.found_docs:
            uri = app.builder.get_relative_uri(node["refdoc"], page)
            return nodes.reference("", "", content, refuri=uri, internal=True)
    if not node["refdoc"].startswith(MADE):
        LOGGER.warning("the book has no name %r", target, location=node)
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("code_or_link", CodeOrLink())
    app.connect("missing-reference", at_home)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
