"""In what two runs differ, as one web page that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from penstock.cli.diff_view import (
    CIRCUMSTANCES,
    FOLLOWING,
    NO_CAUSE,
    change_lines,
    data_lines,
    heading,
    is_same,
    is_unexplained,
    same_text,
    task_lines,
)
from penstock.runtime.explaining.told import lines_of

Document = Mapping[str, Any]

#: lines of a diff that is shown before anybody asks for it
_OPEN = 60

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --less: #ffebe9; --more: #dafbe1 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --less: #4c1d1d; --more: #123d22 }
}
body { margin: 0 auto; max-width: 1000px; padding: 24px 16px; background: var(--paper); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
h1 { font-size: 18px; margin: 0 0 4px } h2 { font-size: 14px; margin: 28px 0 8px }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid var(--line); padding: 4px 12px 4px 0; vertical-align: top; overflow-wrap: anywhere }
td:first-child { white-space: nowrap; font-weight: 600; width: 1%; padding-right: 24px }
pre { margin: 4px 0 16px; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; padding: 8px 0 }
pre span { display: block; padding: 0 12px; min-height: 1.5em; white-space: pre-wrap }
.less { background: var(--less) } .more { background: var(--more) }
.cause { font-weight: 600; margin: 8px 0 0 } details summary { cursor: pointer }
.place, .note, .soft { color: var(--soft) }
"""


def as_html(document: Document) -> str:
    """The page of a comparison, from its document."""
    title = f"{document['before']} and {document['after']}"
    body = "\n".join(_parts(document))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _parts(document: Document) -> Iterator[str]:
    yield f"<h1>{escape(document['pipelines'][1])}: in what two runs differ</h1>"
    yield _table(heading(document))
    if is_same(document):
        yield f"<p>{escape(same_text(document).capitalize())}.</p>"
    if document["causes"] or document["tasks"]:
        yield "<h2>What changed</h2>"
        yield from map(_cause, document["causes"])
        yield "" if document["causes"] else f"<p>{escape(NO_CAUSE.capitalize())}.</p>"
    if document["consequences"]:
        yield f"<h2>{escape(FOLLOWING.capitalize())}</h2>"
        yield from map(_cause, document["consequences"])
    if is_unexplained(document):
        yield from _section(CIRCUMSTANCES, change_lines(document["circumstances"]))
    if document["tasks"]:
        count = f"{len(document['tasks']):,} touched, {document['same']:,} the same"
        yield f'<h2>Tasks <span class="soft">({count})</span></h2>'
        yield _table(task_lines(document))
    if document["data"]:
        yield "<h2>Data</h2>"
        yield _lines((line, "") for line in data_lines(document))
    for title in ("metrics", "outputs"):
        yield from _section(title, change_lines(document[title]))
    if not is_unexplained(document):
        yield from _section(CIRCUMSTANCES, change_lines(document["circumstances"]))


def _section(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield f"<h2>{escape(title.capitalize())}</h2>"
        yield _table(rows)


def _cause(each: Document) -> str:
    """What changed; a diff that is long is folded."""
    head, *lines = lines_of(each, most=None)
    if not lines:
        return f'<p class="cause">{escape(head.text)}</p>'
    shown = _lines((line.text, line.kind) for line in lines)
    is_open = " open" if len(lines) <= _OPEN else ""
    return f'<details{is_open}><summary class="cause">{escape(head.text)}</summary>{shown}</details>'


def _lines(lines: Iterable[tuple[str, str]]) -> str:
    return "<pre>" + "".join(f'<span class="{kind}">{escape(line)}</span>' for line, kind in lines) + "</pre>"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


__all__ = ["as_html"]
