"""The command that starts runs at their time: `penstock up`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.dialect_option import dialect_option
from penstock.cli.reporting import SUCCEEDED, WRONG, stdout_kept_clean

if TYPE_CHECKING:
    from penstock.daemon.loop import Daemon
    from penstock.daemon.notices import Notice
    from penstock.daemon.serving import Serving
    from penstock.ports import Store
    from penstock.services import Services

#: runs under way at once for each core, by default; and at least so many
_PER_CORE, _LEAST = 2, 4


@click.command(
    epilog="""\b
Examples:
  penstock up pipelines/              register what is there, and serve it
  penstock up                         what [tool.penstock] register names, or what is registered
  penstock up pipelines/ --reload     register files again when they change
  penstock up --detach                in the background; its log is daemon.log beside the project's state
  penstock up --once                  look at everything once: for cron
  penstock up --port 8710             take CloudEvents and webhooks as well
  penstock up --json                  a JSON document on each line, for a log

\b
Exit codes:
  0  it was stopped (Ctrl-C, SIGTERM); with --once, it has looked at everything; with --detach, it serves
  2  what was to be registered is wrong; the rest is served, but not with --once"""
)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--max-runs", type=click.IntRange(1), metavar="N", help="Start no more while N runs of triggers are under way."
)
@click.option("--once", is_flag=True, help="Look at everything once, start what is due, and end.")
@click.option("--reload", is_flag=True, help="Register files again when they change.")
@click.option("--detach", is_flag=True, help="Leave it to a process in the background, and print the id of that.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Take events over HTTP, at this port.")
@click.option("--host", default=None, metavar="ADDRESS", help="The address for --port.  [default: 127.0.0.1]")
@dialect_option
@click.option("-q", "--quiet", is_flag=True, help="Only say what goes wrong.")
@click.option("--json", "as_json", is_flag=True, help="Say what happens as JSON, a document on each line of stderr.")
def up(targets: tuple[str, ...], detach: bool, **given: Any) -> None:
    """Start runs at their time: serve all triggers that are registered.

    TARGETs are registered first, as by penstock register. Runs have processes of their own: stopping this one disturbs none.
    Several may serve the same project; each tick and each event still makes one run.
    """
    from penstock.cli.detaching import arguments_of, detach_daemon

    if given["port"] is None and given["host"] is not None:
        raise click.UsageError("--host says where --port is; give --port as well")
    if detach and given["once"]:
        raise click.UsageError("--once ends by itself; --detach is for what goes on serving")
    if detach:
        arguments = arguments_of(click.get_current_context().command, given)
        sys.exit(detach_daemon([*arguments, "--", *targets], as_json=given["as_json"]))
    sys.exit(_serve(targets, **given))


def _serve(
    targets: Sequence[str],
    *,
    max_runs: int | None,
    once: bool,
    reload: bool,
    port: int | None,
    host: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Serve from this process until it is stopped. Returns the exit code."""
    from penstock.app import Services
    from penstock.cli.detaching import announce, take_descriptor
    from penstock.daemon.loop import Settings
    from penstock.daemon.serving import Serving, alone
    from penstock.daemon.watches.polls import polls

    descriptor = take_descriptor()
    say = _Lines(as_json=as_json, quiet=quiet)
    services = Services()
    registered = _registered(services, targets)
    well = not registered or _register(services, registered, say)
    with services.store() as store, alone(services.project.home) as first:
        parts = [*_upkeep(store, say), *([_reloading(registered, say)] if reload and registered else [])]
        settings = Settings(max_runs=max_runs or max(_LEAST, _PER_CORE * (os.cpu_count() or 1)))
        looks = polls(services.project.folder)
        serving = Serving(services, store, say, settings=settings, polls=looks, parts=parts)
        with _listening(services, serving, say, port, host or "127.0.0.1"):
            if not once:
                _introduce(serving.daemon, store, say, first=first)
            announce("serving", descriptor)
            if not serving.serve(once=once) and not once:
                say.say(_stopped(serving.left))
    return SUCCEEDED if well or not once else WRONG


@contextmanager
def _listening(services: Services, serving: Serving, say: _Lines, port: int | None, host: str) -> Generator[None]:
    """Take events over HTTP, if there is to be a port for them."""
    if port is None:
        yield
        return
    from penstock.server.listening import listening

    with listening(services, host, port, serving.wake, say.trouble) as address:
        say.say(f"taking events at {address}")
        yield


class _Lines:
    """Writes notices to stderr, a line for each."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self._quiet = quiet

    def __call__(self, notice: Notice) -> None:
        if self._quiet and notice.what not in ("failed", "trouble"):
            return
        if self.as_json:
            import msgspec

            click.echo(msgspec.json.encode(notice).decode(), err=True)
            return
        at = datetime.fromtimestamp(notice.at or time.time()).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"{at}  {notice.text}", err=True)

    def say(self, text: str) -> None:
        from penstock.daemon.notices import Notice

        self(Notice(at=time.time(), what="serving", text=text))

    def trouble(self, text: str) -> None:
        from penstock.daemon.notices import Notice

        self(Notice(at=time.time(), what="trouble", text=text))


def _registered(services: Services, targets: Sequence[str]) -> list[str]:
    """What is to be registered first."""
    from penstock.registering.registration import targets_of

    return targets_of(services, targets) if targets or services.project.settings.get("register") else []


def _register(services: Services, targets: Sequence[str], say: _Lines) -> bool:
    """Register targets, and say what has changed. Whether all of it was right."""
    import msgspec

    from penstock.cli.registration_view import registration_view, show_faults
    from penstock.cli.reporting import show
    from penstock.registering.registration import register
    from penstock.runtime.requests import person

    with stdout_kept_clean():
        outcome = register(services, targets, by=person(), now=time.time())
    if say.as_json:
        for entry in outcome.entries:
            if entry.change != "unchanged":
                say.say(f"{entry.kind} {entry.name}: {entry.change}, version {entry.version}")
        for fault in outcome.faults:
            say.trouble(" ".join(filter(None, (f"{fault.where}:" if fault.where else "", fault.what, fault.remedy))))
        for warning in outcome.warnings:
            say.trouble(f"warning: {warning.what}")
        return not outcome.faults
    document: dict[str, Any] = msgspec.to_builtins(outcome)
    if any(entry.change != "unchanged" for entry in outcome.entries):
        show(registration_view(document, dry_run=False, full=False), sys.stderr)
    show_faults(document)
    return not outcome.faults


def _introduce(daemon: Daemon, store: Store, say: _Lines, *, first: bool) -> None:
    """Say what is served, and when something is due next."""
    from penstock.observe.measures import counted

    daemon.look()
    off = sum(not watched.standing.enabled for watched in daemon.roster)
    others = _others(store)
    what = counted(len(daemon.roster), "trigger") + (f", {off:,} of them switched off" if off else "") + others
    at = daemon.next_tick
    moment = "" if at is None else f"; the next tick: {_moment(at)}"
    say.say(f"serving {what}{moment}")
    if not len(daemon.roster) and not others:
        say.say("nothing starts by itself before triggers are registered: penstock register FILE")
    if not first:
        say.say("another daemon serves this project as well, which is fine: each tick still makes one run")


def _others(store: Store) -> str:
    """What is seen to besides triggers, each with a comma before it."""
    from penstock.model.firing import BackfillState
    from penstock.observe.measures import counted

    specs: list[dict[str, Any]] = [each.document.get("spec") or {} for each in store.agenda.definitions("asset")]
    automatic = sum(bool(spec.get("automation")) for spec in specs)
    observed = sum(spec.get("observe_every") is not None for spec in specs)
    under_way = len(store.agenda.backfills(states=[BackfillState.RUNNING], limit=1_000_000))
    told = ((automatic, "automatic asset"), (observed, "observed asset"), (under_way, "backfill"))
    return "".join(f", {counted(count, noun)}" for count, noun in told if count)


def _stopped(left: int) -> str:
    if not left:
        return "stopped"
    return f"stopped; {left:,} runs go on by themselves" if left > 1 else "stopped; 1 run goes on by itself"


def _moment(at: float) -> str:
    return "now" if at <= time.time() else f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _upkeep(store: Store, say: _Lines) -> list[Any]:
    """What sees to assets."""
    from pathlib import Path

    from penstock.daemon.automating import Automating
    from penstock.daemon.observing import Observing
    from penstock.services import SystemClock

    clock = SystemClock()
    return [Automating(store, clock, say), Observing(store.agenda, clock, say, Path.cwd())]


def _reloading(targets: Sequence[str], say: _Lines) -> Any:
    from penstock.daemon.reloading import Reloading

    return Reloading(targets, say if say.as_json else None)


__all__ = ["up"]
