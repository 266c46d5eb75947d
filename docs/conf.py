"""How the site is built: `make docs`."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import Any

import penstock

project = "penstock"
author = "the penstock authors"
copyright = "the penstock authors"
release = installed_version("penstock")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["conf.py"]

html_theme = "furo"
html_title = f"penstock {release}"
html_show_sphinx = False

# Docstrings name code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
# several classes have a field called `type`, and annotations name the built-in one
suppress_warnings = ["ref.python"]
python_maximum_signature_line_length = 88

# The public face loads its names when they are first used; autodoc lists what a module has.
for public in getattr(penstock, "__all__", ()):
    setattr(penstock, public, getattr(penstock, public))


def as_markup(lines: list[str]) -> list[str]:
    """Docstrings are plain text: an indented block is shown as it stands, and a list needs no blank line before it."""
    found: list[str] = []
    literal = False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            literal = False
            if re.match(r"[-*] ", line) and found and found[-1] and not re.match(r"[-*] |  ", found[-1]):
                found.append("")
        elif indented and not literal and (not found or not found[-1]):
            found += ["::", ""]
            literal = True
        found.append(line)
    return found


def setup(app: Any) -> None:
    def markup(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
        lines[:] = as_markup(lines)

    app.connect("autodoc-process-docstring", markup)
