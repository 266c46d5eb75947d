"""The real systems that files are compared with, each in an environment of its own, made once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.executors.environments import available_uv

#: the real systems that files are compared with, each in an environment of its own
PINS: dict[str, tuple[str, ...]] = {
    "airflow": ("apache-airflow==3.3.2",),
    # what it says of FastAPI itself leads to one that it does not work with
    "prefect": ("prefect==3.7.2", "fastapi<0.116"),
    "prefect2": ("prefect==2.20.26",),
    # its local runner wants pip in its environment, and that environment first on PATH
    "kfp": ("kfp[kubernetes]==2.17.0", "pip"),
    "hera": ("hera==7.1.0", "jsonschema>=4.23"),
    "argo_workflows": ("argo-workflows==6.7.18",),
}
#: packages of npm, each in a folder of its own
PACKAGES: dict[str, tuple[str, ...]] = {"argo_schema": ("@kubernetes-models/argo-workflows@2.0.0",)}
PEERS = Path(__file__).parents[2] / ".peers"
#: made last, so that an environment without it is not whole
READY = "penstock-ready"
#: seconds that uv may take
PATIENCE = 900


def python_of(name: str) -> Path:
    """The Python of an environment with a system in it, which is made where it is not there."""
    folder = _folder(name, (PINS[name], sys.version_info[:2]))
    python = folder / "bin" / "python"
    _once(folder, lambda: make(folder, python, PINS[name]))
    return python


def packages_of(name: str) -> Path:
    """The folder in which packages of npm are installed, which is made where it is not there."""
    folder = _folder(name, PACKAGES[name])
    _once(folder, lambda: install(folder, PACKAGES[name]))
    return folder


def _folder(name: str, pins: object) -> Path:
    return PEERS / f"{name}-{hashlib.sha256(repr(pins).encode()).hexdigest()[:12]}"


def _once(folder: Path, making: Callable[[], None]) -> None:
    if not (folder / READY).exists():
        PEERS.mkdir(exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / READY).exists():
                making()


def make(folder: Path, python: Path, pins: Sequence[str]) -> None:
    uv = available_uv()
    if uv is None:
        pytest.skip("uv is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    told(uv, "venv", "--quiet", "--python", sys.executable, str(folder)).check_returncode()
    install = (uv, "pip", "install", "--quiet", "--python", str(python))
    done = told(*install, *pins)
    if done.returncode and told(*install, "--dry-run", "--refresh", "six").returncode:
        pytest.skip(f"uv cannot install packages here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    (folder / READY).touch()


def install(folder: Path, packages: Sequence[str]) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and node are not installed")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    # their own scripts are not run
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    done = told(npm, "install", "--prefix", str(folder), *quiet, *packages)
    if done.returncode and told(npm, "ping").returncode:
        pytest.skip(f"npm cannot install packages here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    (folder / READY).touch()


def kubeflow_outputs(python: Path, *files: Path) -> dict[str, dict[str, Any]]:
    """What the pipelines of some files give on Kubeflow's own local runner, by the stems of the files."""
    done = subprocess.run(
        [python, Path(__file__).with_name("kfp_peer.py"), *files],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def told(*command: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=PATIENCE, check=False)
