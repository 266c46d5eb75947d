"""What registering has come to, as people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.difference_lines import difference_lines
from penstock.observe.measures import counted
from penstock.runtime.explaining.told import MOST

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

_MARKS = {"new": ("+", "green"), "changed": ("~", "yellow"), "returned": ("+", "green"), "retired": ("-", "red")}


def registration_view(document: Document, *, dry_run: bool, full: bool) -> RenderableType:
    """What is new, changed, unchanged and retired, and what of it, down to the line. With `full`, long diffs are not cut."""
    from rich.console import Group

    return Group(*_parts(document, dry_run, full))


def _parts(document: Document, dry_run: bool, full: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    entries: Sequence[Document] = document["entries"]
    known: dict[str, str] = {}
    for entry in entries:
        if entry["change"] != "unchanged" or full:
            yield from _entry(entry, full, known)
    counts = Counter(entry["change"] for entry in entries)
    told = ", ".join(f"{counts[each]} {each}" for each in (*_MARKS, "unchanged") if counts[each])
    if dry_run:
        what = "nothing was registered (--dry-run)"
    elif not document["recorded"]:
        what = "nothing was registered (--strict)"
    else:
        what = "registered" if entries else "there is nothing to register: no pipeline, asset or trigger"
    faults = counted(len(document["faults"]), "fault") if document["faults"] else ""
    yield Text("; ".join(filter(None, (f"{what}: {told}" if told else what, faults))))


def _entry(entry: Document, full: bool, told: dict[str, str]) -> Iterator[RenderableType]:
    """What has become of a definition. `told` is what was told of others before: a task that several pipelines share is shown
    once."""
    from rich.text import Text

    symbol, style = _MARKS.get(entry["change"], ("=", "dim"))
    version = f"version {entry['version']}" if entry["change"] != "retired" else "retired"
    yield Text.assemble(
        (f"{symbol} {entry['kind']} {entry['name']}", style),
        f"  {entry['change']}, {version}" if entry["change"] != "retired" else "  retired",
        (f"  {entry['where']}" if entry["where"] else "", "dim"),
    )
    for change in entry.get("changes") or ():
        differences: Sequence[Document] = change.get("differences") or ()
        whose = told.setdefault(repr((change["part"], differences)), entry["name"]) if differences else entry["name"]
        if whose != entry["name"]:
            yield Text(f"    {headline(change)}, as in {whose}")
            continue
        yield Text(f"    {headline(change)}")
        yield from difference_lines(differences, indent=6, most=None if full else MOST, hint="--full")


def headline(change: Document) -> str:
    """`task train: features.py:12`, `parameter depth: int = 3 -> int = 5`, `node fit is new`."""
    how = change.get("change", "changed")
    before, after = change.get("before") or "", change.get("after") or ""
    places = [each["where"] for each in change.get("differences") or () if each.get("where")]
    if how == "added":
        return f"{change['part']} is new" + (f": {after}" if after else "")
    if how == "removed":
        return f"{change['part']} is gone" + (f": {before}" if before else "")
    if before or after:
        return f"{change['part']}: {before or '-'} -> {after or '-'}"
    return f"{change['part']} changed" + (f", at {', '.join(dict.fromkeys(places))}" if places else "")


def show_faults(document: dict[str, Any]) -> None:
    """Tell on stderr what is wrong, and what may be, in what was to be registered."""
    import click

    from penstock.cli.reporting import show_error
    from penstock.errors import DefinitionError

    for warning in document["warnings"]:
        more = [f"at {warning['where']}" if warning["where"] else "", warning["remedy"] or ""]
        click.echo("\n  ".join(["warning: " + warning["what"], *filter(None, more)]), err=True)
    for fault in document["faults"]:
        show_error(DefinitionError(fault["what"], where=fault["where"], remedy=fault["remedy"]))


__all__ = ["headline", "registration_view", "show_faults"]
