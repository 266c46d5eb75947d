"""The option that says which other system's dialect the file of a target is written in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from penstock.errors import PenstockError

Command = TypeVar("Command", bound=Callable[..., Any])


class Listing(click.Option):
    """An option whose help lists dialects, which are only looked for once somebody reads it."""

    def __init__(self, *args: Any, listed: Callable[[], list[str]], **given: Any) -> None:
        super().__init__(*args, **given)
        self._listed = listed

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        try:
            names = ", ".join(self._listed())
        except PenstockError as error:
            names = f"({error.what})"
        return None if record is None else (record[0], f"{record[1]} One of: {names}.")


def readable() -> list[str]:
    """The names of the dialects that are read."""
    from penstock.dialects.recognition import readable

    return readable()


def writable() -> list[str]:
    """The names of the dialects that are written."""
    from penstock.dialects.recognition import writable

    return writable()


def dialect_option(command: Command) -> Command:
    """Give a command with a `target`, or with `targets`, the option of the dialect that their files are read in: the
    targets that it gets then say so themselves."""

    @functools.wraps(command)
    def told(*args: Any, dialect: str | None, **given: Any) -> Any:
        if dialect is not None:
            given.update(_in_dialect(dialect, given))
        return command(*args, **given)

    option = click.option(
        "--dialect",
        cls=Listing,
        listed=readable,
        default=None,
        metavar="NAME",
        help="The dialect that the file is in; default: as its imports, or its content, say.",
    )
    return option(told)  # pyright: ignore[reportReturnType]


def _in_dialect(dialect: str, given: dict[str, Any]) -> dict[str, Any]:
    from penstock.dialects.recognition import in_dialect

    if "targets" in given:
        return {"targets": tuple(in_dialect(each, dialect) for each in given["targets"])}
    if given["target"] is None:
        raise click.UsageError("--dialect is about the file of a TARGET, and there is none.")
    return {"target": in_dialect(given["target"], dialect)}


__all__ = ["Listing", "dialect_option", "readable", "writable"]
