"""The command that tells penstock of events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from penstock.cli.reporting import json_option, print_json
from penstock.errors import DefinitionError, PenstockError


@click.command(
    epilog="""\b
Examples:
  penstock emit upload.done --data '{"path": "incoming/orders.csv"}'
  penstock emit upload.done --data @event.json --id 4711
  some-command | penstock emit sensor.read --data @-"""
)
@click.argument("type")
@click.option("--data", default=None, metavar="JSON", help="The data of the event; @FILE for a file, @- for stdin.")
@click.option("--subject", default="", help="What the event is about.")
@click.option("--source", default="local", show_default=True, help="What the event comes from.")
@click.option("--id", "event_id", default=None, help="One that comes twice from a source counts once.")
@json_option
def emit(type: str, data: str | None, subject: str, source: str, event_id: str | None, as_json: bool) -> None:
    """Record that an event of a TYPE happened. Triggers that follow such events look at it while penstock up runs."""
    from penstock.app import Services
    from penstock.emitting import occurrence_of

    content = None if data is None else json_of(data, "--data")
    try:
        occurrence = occurrence_of(type, content, subject=subject, source=source, id=event_id)
    except PenstockError as error:
        # no line of Python is at fault
        raise DefinitionError(error.what, remedy=error.remedy) from None
    with Services().store() as store:
        new = bool(store.agenda.emit([occurrence]))
    if as_json:
        print_json(
            {"id": occurrence.id, "type": type, "source": source, "subject": subject, "data": content, "new": new}
        )
        return
    click.echo(occurrence.id)
    if not new:
        click.echo(f"an event {occurrence.id} of {source} was recorded before, and counts once", err=True)


def json_of(text: str, option: str) -> Any:
    """The value of an option that takes JSON, `@FILE` or `@-`. Raises DefinitionError."""
    if text.startswith("@"):
        name = text[1:]
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(
                f"{option}: {name} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DefinitionError(
            f"{option} is not JSON: {error}", remedy='Write such as \'{"path": "orders.csv"}\', or @FILE.'
        ) from None


__all__ = ["emit", "json_of"]
