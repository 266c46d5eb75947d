"""Drawings of a graph: text for the terminal, Mermaid for documents, SVG and HTML to look at."""

from __future__ import annotations

from penstock.cli.drawing_mermaid import as_mermaid
from penstock.cli.drawing_svg import as_svg
from penstock.cli.drawing_text import as_text
from penstock.cli.page import as_html

__all__ = ["as_html", "as_mermaid", "as_svg", "as_text"]
