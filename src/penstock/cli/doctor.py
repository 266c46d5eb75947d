"""`penstock doctor`: what this installation and this project are made of, and what is wrong with them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from typing import Any

import click

from penstock.cli.reporting import FAILED, json_option, print_json, show
from penstock.errors import StoreError

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
)


@click.command(
    epilog="""\b
Examples:
  penstock doctor
  penstock doctor --json"""
)
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, the project's settings, the store and the executors."""
    report = diagnosis()
    if as_json:
        print_json(report)
    else:
        show(_view(report))
    sys.exit(FAILED if report["problems"] else 0)


def diagnosis() -> dict[str, Any]:
    """What `doctor` found out, as JSON-able data; `problems` is empty where all is well."""
    from penstock import __version__
    from penstock.app import Services

    services = Services()
    problems: list[str] = []
    report: dict[str, Any] = {
        "penstock": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "project": str(services.project.folder),
        "settings": str(services.project.source) if services.project.source else None,
        "store": _store(services, problems),
        "executors": {"inline": "ready", "processes": _processes(services, problems)},
        "optional": {name: _version(name) for name, _, _ in _OPTIONAL},
        "problems": problems,
    }
    return report


def _store(services: Any, problems: list[str]) -> dict[str, Any]:
    home = services.project.home
    free = shutil.disk_usage(home if home.is_dir() else services.project.folder).free
    store: dict[str, Any] = {"home": str(home), "free_bytes": free}
    if not os.access(home if home.is_dir() else services.project.folder, os.W_OK):
        problems.append(f"{home} cannot be written")
    elif services.has_store:
        try:
            with services.store() as opened:
                store.update(opened.summary())
                problems += opened.check()
        except StoreError as error:
            problems.append(" ".join([error.what, *(error.remedy or "").split()]))
    if free < 1 << 30:
        problems.append(f"less than 1 GB is free on the disk of {home}")
    return store


def _processes(services: Any, problems: list[str]) -> str:
    """Whether a worker starts and answers: one is made to run a function."""
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
        return "ready"
    problems.append(f"a worker process did not answer: {reports[-1] if reports else 'nothing in 30 seconds'}")
    return "broken"


def _version(module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    return importlib.metadata.version({"sklearn": "scikit-learn"}.get(module, module))


def _view(report: dict[str, Any]) -> Any:
    from rich.console import Group

    from penstock.cli.renderables import Marked, pairs, titled
    from penstock.observe.measures import size

    store = report["store"]
    facts = {name: str(report[name]) for name in ("penstock", "python", "platform", "project")}
    facts["settings"] = report["settings"] or "none (defaults)"
    runs = f", {store['runs']} runs, schema {store['schema']}" if "runs" in store else ", empty"
    facts["store"] = f"{store['home']}{runs}, {size(store['free_bytes'])} free"
    facts["executors"] = ", ".join(f"{name} {state}" for name, state in report["executors"].items())
    optional = {
        name: report["optional"][name] or f"not installed: {use} (extra `{extra}`)" for name, use, extra in _OPTIONAL
    }
    verdict = [Marked("failed", problem) for problem in report["problems"]] or [Marked("succeeded", "all is well")]
    return Group(
        pairs(facts.items()), *titled("optional", pairs(optional.items())), *titled("verdict", Group(*verdict))
    )
