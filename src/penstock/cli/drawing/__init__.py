"""Drawings of a graph: text for the terminal, Mermaid for documents, SVG and HTML to look at."""

from __future__ import annotations

from penstock.cli.drawing.mermaid import as_mermaid
from penstock.cli.drawing.page import as_html
from penstock.cli.drawing.svg import as_svg
from penstock.cli.drawing.text import as_text

__all__ = ["as_html", "as_mermaid", "as_svg", "as_text"]
