"""Runs and daemons that are left to a process in the background."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import click

from penstock.cli.reporting import FAILED, SUCCEEDED, print_json
from penstock.model.run import RunRecord
from penstock.secrets.private import make_file

#: the variable that tells a process in the background to which descriptor it is to write the id of its run
_ANNOUNCED = "PENSTOCK_ANNOUNCE_TO"
#: the file in the folder of the project's state that daemons in the background print to
_DAEMON_LOG = "daemon.log"


def detach(command: str, arguments: Sequence[str], *, as_json: bool, run: RunRecord | None = None) -> int:
    """Leave a command to a process of its own, which outlives this one and its terminal, and tell which run it drives once
    that is recorded. Returns the exit code; if the process ended before, what it said is told, and the code is its own.

    `run` is the run that it goes on with, where that is known. What the process prints is kept in a file beside the
    project's state.
    """
    from penstock.app import Services

    path = _log(Services().log_folder(), run)
    with path.open("ab") as log, tempfile.TemporaryFile() as answer:
        process, run_id = _left(command, arguments, answer if as_json else log, log)
        if not run_id:
            return _told_of_end(process, path, answer, keep=run is not None)
    # it goes on by itself
    process.returncode = SUCCEEDED
    kept = path.replace(path.with_name(f"{run_id}.log"))
    if as_json:
        print_json({"run_id": run_id, "detached": True, "pid": process.pid, "log": str(kept)})
        return SUCCEEDED
    click.echo(run_id)
    click.echo(f"it goes on in the background, as process {process.pid}; what that prints is in {kept}", err=True)
    for words, what in (("logs", "--follow"), ("wait", ""), ("cancel", "")):
        click.echo(f"  penstock {words} {run_id} {what}".rstrip(), err=True)
    return SUCCEEDED


def detach_daemon(arguments: Sequence[str], *, as_json: bool) -> int:
    """Leave `penstock up` to a process of its own, which outlives this one and its terminal, and tell which, once it serves.
    Returns the exit code; if the process ended before, what it said is told, and the code is its own."""
    from penstock.app import Services

    path = Services().project.home / _DAEMON_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    make_file(path)
    before = path.stat().st_size
    with path.open("ab") as log:
        process, serving = _left("up", arguments, log, log)
    code = SUCCEEDED if serving else process.wait()
    with path.open("rb") as log:
        log.seek(before)
        # what it says of what it registers, and serves
        sys.stderr.buffer.write(log.read())
    if not serving:
        return code if code > 0 else FAILED
    # it goes on by itself
    process.returncode = SUCCEEDED
    if as_json:
        print_json({"detached": True, "pid": process.pid, "log": str(path)})
        return SUCCEEDED
    click.echo(process.pid)
    click.echo(f"it serves in the background; what it prints is in {path}", err=True)
    click.echo(f"  kill {process.pid}      stops it, and no run", err=True)
    return SUCCEEDED


def _left(
    command: str, arguments: Sequence[str], out: IO[bytes], log: IO[bytes]
) -> tuple[subprocess.Popen[bytes], str]:
    """A process for a command, and what it announces; empty if it ended without a word."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as announced:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock", command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, _ANNOUNCED: str(write)},
                pass_fds=(write,),
                start_new_session=True,
            )
        finally:
            os.close(write)
        return process, _announced(process, announced)


def announce(what: str, descriptor: int | None) -> None:
    """Tell whoever has left something to this process that it is under way: the id of the run that is recorded."""
    if descriptor is not None:
        with suppress(BrokenPipeError):
            os.write(descriptor, what.encode())
        os.close(descriptor)


def take_descriptor() -> int | None:
    """Where the run is to be announced, if this process is one in the background; nobody else is to see that."""
    text = os.environ.pop(_ANNOUNCED, None)
    if text is None or not text.isdigit():
        return None
    # the processes that this one starts are not to hold it open
    os.set_inheritable(int(text), False)
    return int(text)


class _Kept(io.TextIOWrapper):
    """Writes to a file that nobody else has: processes that are given this stream get the `descriptor` instead."""

    def __init__(self, descriptor: int) -> None:
        kept = os.fdopen(os.dup(descriptor), "wb", buffering=0)
        super().__init__(io.BufferedWriter(kept), "utf-8", "backslashreplace", line_buffering=True)
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor


def keep_log_to_itself() -> None:
    """In a process in the background: let what it prints itself, which is masked, be all that its log has. What C code and
    the processes that it starts write to the terminal by themselves is dropped, since secrets in it cannot be masked."""
    if _ANNOUNCED not in os.environ:
        return
    sys.stdout, sys.stderr = _Kept(1), _Kept(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def arguments_of(command: click.Command, given: Mapping[str, Any]) -> list[str]:
    """The options of a command, by the names of its parameters, as they would be typed."""
    return [
        word
        for option in command.params
        if isinstance(option, click.Option)
        for word in _typed(option, given.get(option.name or ""))
    ]


def _typed(option: click.Option, value: Any) -> Iterator[str]:
    name = option.opts[-1]
    if option.is_flag:
        if value:
            yield name
        return
    for each in value or () if option.multiple else () if value is None else (value,):
        yield from (name, str(each))


def _log(folder: Path, run: RunRecord | None) -> Path:
    """The file that the process prints to, for the user alone; what is there already of the run is added to."""
    from penstock.runtime.surroundings.project import BEGUN

    file = folder / f"{run.run_id if run is not None else f'{BEGUN}{os.urandom(8).hex()}'}.log"
    make_file(file)
    return file


def _announced(process: subprocess.Popen[bytes], stream: IO[bytes]) -> str:
    """What a process announces, which is the id of the run that it drives; empty if it ended without."""
    try:
        return stream.read().decode()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _told_of_end(process: subprocess.Popen[bytes], log: Path, answer: IO[bytes], *, keep: bool) -> int:
    """Pass on what a process said that has ended before it drove a run. Returns its exit code."""
    code = process.wait()
    answer.seek(0)
    sys.stderr.buffer.write(log.read_bytes())
    sys.stdout.buffer.write(answer.read())
    if not keep:
        log.unlink()
    return code if code > 0 else FAILED


__all__ = ["announce", "arguments_of", "detach", "detach_daemon", "keep_log_to_itself", "take_descriptor"]
