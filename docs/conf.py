"""Sphinx builds the book: pages by hand in Markdown; reference, gallery and theorem index from the code."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import pessimism  # noqa: E402

project = "pessimism"
author = copyright = "The pessimism developers"
version = release = pessimism.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "_extensions.examples",
    "_extensions.links",
    "_extensions.reference",
    "_extensions.gallery",
    "_extensions.theorems",
    "_extensions.tutorials",
]
exclude_patterns = ["_build", "_extensions"]
default_role = "code_or_link"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
add_module_names = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = f"pessimism {release}"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "claims/theorems": []}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "claims/theorems": []},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
}
# one file and its fonts, inside the site: formulas need no network
mathjax_path = "mathjax/tex-chtml.js"
