"""How every command answers: text for people, one JSON document for programs, exit codes for both."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from penstock.errors import CancelledError, LeaseLostError, PenstockError, RunFailedError

if TYPE_CHECKING:
    from rich.console import RenderableType

#: exit codes
SUCCEEDED, FAILED, WRONG, PAUSED, INTERRUPTED = 0, 1, 2, 3, 130

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


class CommandLine(click.Group):
    """The group of all commands, which turns whatever goes wrong in them into a message and an exit code.

    With --json, stdout carries the error as a JSON document besides.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        # not standalone, so that click leaves errors to this group
        plain: Callable[..., Any] = super().main
        command = functools.partial(plain, arguments, prog_name, complete_var, False, windows_expand_args, **extra)
        sys.exit(_answered(command, as_json="--json" in arguments))


def _answered(command: Callable[[], Any], *, as_json: bool) -> int:
    """Carry out a command. Returns the exit code."""
    try:
        answer = _with_threads(command)
    except click.ClickException as error:
        error.show()
        code, document = error.exit_code, _document("UsageError", error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code, document = INTERRUPTED, _document("KeyboardInterrupt", "interrupted")
    except PenstockError as error:
        show_error(error)
        code = FAILED if isinstance(error, (RunFailedError, CancelledError, LeaseLostError)) else WRONG
        document = _document(type(error).__name__, error.what, error.where, error.remedy)
    except Exception as error:
        import traceback

        traceback.print_exc()
        click.echo("This is a fault in penstock; please report it with the lines above.", err=True)
        code, document = FAILED, _document(type(error).__name__, str(error))
    else:
        return answer if isinstance(answer, int) else SUCCEEDED
    if as_json:
        print_json({"error": document})
    return code


def _with_threads(command: Callable[[], Any]) -> Any:
    """Carry out a command. Raises PenstockError where it may have no thread beside its own."""
    try:
        return command()
    except RuntimeError as error:
        # Python has no class of its own for this
        if str(error) != "can't start new thread":
            raise
        raise PenstockError(
            "no thread can be started", remedy="There may be no more processes: allow more (ulimit -u), or end some."
        ) from error


def _document(kind: str, message: str, where: str | None = None, remedy: str | None = None) -> dict[str, Any]:
    """An error as JSON-able data."""
    return {"type": kind, "message": message, "where": where, "remedy": remedy}


def show_error(error: PenstockError) -> None:
    from penstock.cli.renderables import console
    from penstock.cli.views import error_view

    console(sys.stderr).print(error_view(error), soft_wrap=True)


def show(renderable: RenderableType, stream: TextIO | None = None) -> None:
    """Print something that rich can render, on stdout if nothing else is said: to fit a terminal, in full length
    anywhere else."""
    from penstock.cli.renderables import console, unfolded

    target = console(stream or sys.stdout)
    if target.is_terminal:
        target.print(renderable)
    else:
        click.echo(unfolded(renderable, target), stream, nl=False)


def print_json(document: Any) -> None:
    """The one JSON document of a command. What JSON has no number for, such as NaN, becomes null."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2))


@contextmanager
def stdout_kept_clean() -> Generator[None]:
    """What the user's code writes in the block goes to stderr, however it is written and by whichever process it
    starts, because stdout is for the answer."""
    before = sys.stdout
    before.flush()
    with _diverted(1, 2):
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            # what they have put into the stream itself goes there too
            with suppress(OSError, ValueError):
                before.flush()
            sys.stdout = before


@contextmanager
def _diverted(descriptor: int, target: int) -> Generator[None]:
    """What is written to a file descriptor goes to another in the block."""
    try:
        saved = os.dup(descriptor)
    except OSError:
        # it is closed, so that nothing can be written to it
        yield
        return
    try:
        os.dup2(target, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)


def finish_stdout() -> None:
    """Send the answer off, and to stderr what the user's code still writes while the process ends."""
    # click may have put a stream in front of it that hides that nobody reads; there is none at all if it was closed
    stream = sys.__stdout__
    if stream is not None:
        with suppress(OSError, ValueError):
            try:
                stream.flush()
            except OSError:
                # what is left would go to stderr
                with Path(os.devnull).open("wb") as nowhere:
                    os.dup2(nowhere.fileno(), 1)
                stream.flush()
    with suppress(OSError):
        os.dup2(2, 1)
