"""`penstock doctor`: what this installation and this project are made of, and what is wrong with them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.reporting import FAILED, json_option, print_json, show
from penstock.errors import PenstockError, StoreError

if TYPE_CHECKING:
    from penstock.runtime.examining.finding import Finding

#: what is optional: module, what it is for, the extra that brings it
_OPTIONAL = (
    ("pandas", "frames", "frames"),
    ("polars", "frames", "frames"),
    ("pyarrow", "frames", "frames"),
    ("numpy", "arrays", "ml"),
    ("sklearn", "estimators; the demo", "ml"),
    ("matplotlib", "figures", "ml"),
    ("torch", "tensors and modules", "torch"),
    ("pydantic", "models as parameters and values", "pydantic"),
    ("psycopg", "a store in PostgreSQL", "postgres"),
    ("obstore", "stored values in S3, Google Cloud Storage, Azure", "objects"),
    ("keyring", "secrets from the keyring", "keyring"),
)
#: modules that are called something else where they are installed from
_INSTALLED_AS = {"sklearn": "scikit-learn"}
#: the first version of SQLite that knows all that the store asks of it
_SQLITE = (3, 35)


@click.command(
    epilog="""\b
Examples:
  penstock doctor
  penstock doctor --full       go through all that is recorded and stored, which takes its time
  penstock doctor --fix        mend what can be mended without losing anything of use
  penstock doctor --json

\b
Exit codes:
  0  all is well, or nothing but warnings
  1  something is wrong"""
)
@click.option("--full", is_flag=True, help="Check every index, replay every journal, read every stored value.")
@click.option("--fix", is_flag=True, help="Mend what is safe to mend.")
@json_option
def doctor(full: bool, fix: bool, as_json: bool) -> None:
    """Check the installation, the project's settings, the store, what is stored and the executors."""
    report = diagnosis(full=full, fix=fix)
    if as_json:
        print_json(report)
    else:
        show(_view(report))
    sys.exit(FAILED if report["problems"] else 0)


def diagnosis(*, full: bool = False, fix: bool = False) -> dict[str, Any]:
    """What `doctor` found out, as JSON-able data; `problems` is empty where all is well."""
    import sqlite3

    from penstock import __version__
    from penstock.app import Services

    services = Services()
    store: dict[str, Any] = {
        "place": None,
        "home": str(services.project.home),
        "blobs": services.project.blobs_url,
        "free_bytes": shutil.disk_usage(_there(services)).free,
        "sqlite": sqlite3.sqlite_version,
    }
    findings = list(_findings(services, store, full=full, fix=fix))
    return {
        "penstock": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "project": str(services.project.folder),
        "settings": str(services.project.source) if services.project.source else None,
        "store": store,
        "executors": {"inline": "ready", "processes": "broken" if _told(findings, _WORKER) else "ready"},
        "optional": {name: _version(name) for name, _, _ in _OPTIONAL},
        "problems": [finding["text"] for finding in findings if finding["level"] == "problem"],
        "findings": findings,
    }


def _there(services: Any) -> Any:
    home = services.project.home
    return home if home.is_dir() else services.project.folder


def _told(findings: list[dict[str, Any]], start: str) -> bool:
    return any(finding["text"].startswith(start) for finding in findings)


def _findings(services: Any, store: dict[str, Any], *, full: bool, fix: bool) -> Iterator[dict[str, Any]]:
    """What was found, as JSON-able data; with `fix`, what can be is mended."""
    # one by one: a finding can only be mended while the store is open
    for finding in chain(_of_state(services, store, full=full), _of_installation(services)):
        level, text = ("problem" if finding.is_problem else "warning"), finding.text
        fixable = finding.mend is not None
        if fix and finding.mend is not None:
            try:
                finding.mend()
                level, text = "mended", finding.what
            except (PenstockError, OSError) as error:
                text += f" It could not be mended: {error}"
        yield {"level": level, "text": text, "what": finding.what, "remedy": finding.remedy or None, "fixable": fixable}


def _of_state(services: Any, told: dict[str, Any], *, full: bool) -> Iterator[Finding]:
    from penstock.runtime.examining import records, surroundings

    home = services.project.home
    yield from surroundings.of_folder(home)
    if services.project.store_url is None:
        yield from surroundings.of_network(services.project.database)
    told["blobs_usable"] = told["usable"] = False
    try:
        yield from _of_place_of_blobs(services)
        told["blobs_usable"] = True
    except StoreError as error:
        yield _of_error(error)
    try:
        told["place"] = services.store_place
        with services.store_as_it_is() as store:
            if store is not None:
                yield from _of_records(services, store, with_blobs=told["blobs_usable"], full=full)
                told.update(store.summary())
                yield from _of_registered(services, store, told)
            elif services.project.blobs_url is None:
                yield from records.of_orphaned(services.project.blobs)
        told["usable"] = True
    except StoreError as error:
        yield _of_error(error)


def _of_registered(services: Any, store: Any, told: dict[str, Any]) -> Iterator[Finding]:
    from penstock.cli.registered_files import of_files, of_triggers
    from penstock.model.run import shown_driver
    from penstock.registering.daemons import serving, standing

    told["daemons"] = [shown_driver(each.process) for each in serving(standing(store.agenda), time.time())]
    yield from of_triggers(store, told["daemons"])
    yield from of_files(services, store)


def _of_error(error: StoreError) -> Finding:
    from penstock.runtime.examining.finding import Finding

    return Finding(what=error.what, remedy=" ".join((error.remedy or "").split()))


def _of_place_of_blobs(services: Any) -> Iterator[Finding]:
    """Where blobs are kept in a place of their own, whether that can be used. Raises StoreError for an object store that
    cannot."""
    from penstock.blobs.urls import folder_of
    from penstock.runtime.examining import surroundings

    services.check_blobs()
    shared = None if services.project.blobs_url is None else folder_of(services.project.blobs_url)
    if shared is not None:
        yield from surroundings.of_shared(shared)


def _of_records(services: Any, store: Any, *, with_blobs: bool, full: bool) -> Iterator[Finding]:
    from penstock.runtime.examining import records, surroundings
    from penstock.services import open_blobs

    wrong = store.check(full=full)
    yield from records.of_store(wrong)
    if wrong:
        # nothing else could be relied upon
        return
    yield from records.of_clock(store)
    yield from records.of_drivers(store)
    if full:
        yield from records.of_journals(store)
    if with_blobs:
        on_server = services.project.store_url is not None and services.project.blobs_url is None
        yield from records.of_blobs(store, open_blobs(services.storage, looking=True), full=full, shared=on_server)
    if services.project.blobs_url is None:
        yield from records.of_emptiness(store, services.project.blobs)
    if services.project.store_url is None:
        database = services.project.database
        yield from surroundings.of_log(database.with_name(f"{database.name}-wal"), store.settle)
    yield from surroundings.of_leftovers(services.project.home, services.collector(store))


_WORKER = "a worker process did not answer"


def _of_installation(services: Any) -> Iterator[Finding]:
    import sqlite3

    from penstock.runtime.examining.finding import Finding

    if sqlite3.sqlite_version_info < _SQLITE:
        least = ".".join(map(str, _SQLITE))
        yield Finding(
            what=f"this Python has SQLite {sqlite3.sqlite_version}; penstock needs {least}",
            remedy="Use a newer Python.",
        )
    answer = _worker_answer(services)
    if answer:
        yield Finding(what=f"{_WORKER}: {answer}", remedy="Use --executor inline until it does.")


def _worker_answer(services: Any) -> str:
    """What a worker says that is made to run a function; empty if it does."""
    import tempfile

    from penstock.app import open_values
    from penstock.executors.processes import ProcessExecutor
    from penstock.model.graph import Port
    from penstock.model.work import Done, Imported, Job, Work

    with tempfile.TemporaryDirectory(prefix="penstock-doctor-") as folder:
        storage = {**services.storage, "blobs": f"{folder}/blobs", "workspace": f"{folder}/files"}
        open_values(storage)
        executor = ProcessExecutor(services.worker_settings((), {}, storage), 1)
        try:
            executor.define(Work(0, "", "doctor", "doctor", Imported("os", "getpid"), (), (Port("result"),), None, {}))
            executor.submit([Job(0, -1, 1, {})])
            reports = executor.poll(30.0)
        finally:
            executor.close(kill=True)
    if reports and isinstance(reports[-1], Done):
        return ""
    return str(reports[-1]) if reports else "nothing in 30 seconds"


def _version(module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    return importlib.metadata.version(_INSTALLED_AS.get(module, module))


def _kept(store: dict[str, Any]) -> dict[str, str]:
    """Where records and stored values are, for people."""
    from penstock.observe.measures import counted, size

    if "runs" in store:
        state = f"{counted(store['runs'], 'run')}, {size(store['size'])}, schema {store['schema']}"
    else:
        state = "empty" if store["usable"] else "cannot be used"
    free = f"{size(store['free_bytes'])} free"
    # an address that cannot be read has none
    place = store["place"] or "postgresql://"
    if place.startswith("postgresql://"):
        # what was looked at there
        checked = "reachable, with all rights, " if "runs" in store else ""
        facts = {"store": f"{place}, {checked}{state}", "home": f"{store['home']}, {free}"}
    else:
        facts = {"store": f"{store['home']}, {state}, {free}", "sqlite": store["sqlite"]}
    if store["blobs"] is not None:
        facts["blobs"] = f"{store['blobs']}, {'reachable' if store['blobs_usable'] else 'cannot be used'}"
    return facts


#: level of a finding -> the state whose symbol it has
_MARKS = {"problem": "failed", "warning": "skipped", "mended": "succeeded"}


def _view(report: dict[str, Any]) -> Any:
    from rich.console import Group

    from penstock.cli.renderables import Marked, pairs, titled

    facts = {name: str(report[name]) for name in ("penstock", "python", "platform", "project")}
    facts["settings"] = report["settings"] or "none (defaults)"
    facts |= _kept(report["store"])
    facts["daemon"] = "; ".join(report["store"].get("daemons", ())) or "none is running (penstock up)"
    facts["executors"] = ", ".join(f"{name} {state}" for name, state in report["executors"].items())
    optional = {
        name: report["optional"][name] or f"not installed: {use} (extra `{extra}`)" for name, use, extra in _OPTIONAL
    }
    verdict = [
        Marked(_MARKS[each["level"]], f"{'mended: ' if each['level'] == 'mended' else ''}{each['text']}")
        for each in report["findings"]
    ] or [Marked("succeeded", "all is well")]
    return Group(
        pairs(facts.items()), *titled("optional", pairs(optional.items())), *titled("verdict", Group(*verdict))
    )


__all__ = ["diagnosis", "doctor"]
