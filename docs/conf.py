"""Sphinx configuration: Markdown pages, reference from docstrings, warnings are errors in `make docs`."""

from importlib.metadata import version as version_of

project = "nas-fusion"
author = "The nas-fusion developers"
copyright = "2026, the nas-fusion developers"
release = version = version_of("nas-fusion")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of dataclasses are documented by autodoc too

# Docstrings are Markdown-flavoured: single backticks mark code.
default_role = "code"

html_theme = "furo"
html_title = "nas-fusion"
