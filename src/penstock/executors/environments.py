"""Python environments of tasks, made by uv: each once for its content, for all runs and workers of a project."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import msgspec
from blake3 import blake3

from penstock.errors import CommandError
from penstock.executors.programs.children import run
from penstock.model.action import Environment
from penstock.secrets import private
from penstock.values.files import note_use

#: what penstock itself needs there
NEEDS = ("blake3>=1.0", "cloudpickle>=3.1", "msgspec>=0.19")
#: the oldest Python that penstock runs on
_OLDEST = (3, 11)
#: made last, so that an environment without it is not whole
_MARK = "penstock-ready"


class Environments:
    """The environments of a project, under a folder. In each is what penstock needs there, and `more` of the kind."""

    def __init__(self, home: Path, more: tuple[str, ...] = ()) -> None:
        self._home = home
        self._needs = (*NEEDS, *more)
        self._more = more

    def python(self, environment: Environment) -> Path:
        """The interpreter of an environment, which is made first if it is not there.

        Several processes that want the same one wait for the first to make it. What uv says goes to stderr. Raises
        CommandError where there is no uv, or it fails; then nothing is left of the environment.
        """
        folder = self._home / digest_of(environment, self._more)
        python = folder / "bin" / "python"
        if (folder / _MARK).exists() and note_use(folder):
            return python
        private.make_folder(self._home)
        with _locked(folder.with_suffix(".lock")):
            if not ((folder / _MARK).exists() and note_use(folder)):
                _make(environment, folder, self._needs)
        return python


def digest_of(environment: Environment, more: tuple[str, ...] = ()) -> str:
    """What an environment is filed under: the same for the same content and the same Python, with `more` of what penstock
    needs there."""
    version = environment.python or platform.python_version()
    content = (environment.requirements, sorted(environment.files.items()), version, sys.platform, platform.machine())
    return blake3(msgspec.msgpack.encode((content, (*NEEDS, *more)))).hexdigest()[:24]


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    # the file stays: a lock on one that another process has removed would be worth nothing
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(environment: Environment, folder: Path, needs: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _uv(["venv", "--quiet", "--python", environment.python or sys.executable, str(folder)], environment)
        _check_version(folder)
        sources = folder / "sources"
        for name, text in environment.files.items():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            (sources / name).write_text(text, encoding="utf-8")
        install = ["pip", "install", "--python", str(folder / "bin" / "python")]
        if "uv.lock" in environment.files:
            _uv(
                ["sync", "--frozen", "--no-dev", "--no-install-project", "--project", str(sources)], environment, folder
            )
            _uv([*install, *needs], environment)
        else:
            listed = [argument for name in _listings(environment) for argument in ("-r", str(sources / name))]
            # at once, so that uv finds versions that go together
            _uv([*install, *needs, *environment.requirements, *listed], environment)
        (folder / _MARK).touch()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _listings(environment: Environment) -> list[str]:
    """The files that name what is to be installed; the others are only referred to by them."""
    return [next(iter(environment.files))] if environment.files else []


def _uv(arguments: Sequence[str], environment: Environment, folder: Path | None = None) -> None:
    """Run uv, for a project's lock in the environment in a folder. Raises CommandError."""
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    if folder is not None:
        variables["UV_PROJECT_ENVIRONMENT"] = str(folder)
    ended = run([_program(), *arguments], folder=Path.cwd(), environment=variables)
    if ended.exit_code != 0:
        told = "\n  | ".join([f"the environment of the task ({_described(environment)}) cannot be made:", *ended.last])
        raise CommandError(told, exit_code=ended.exit_code)


def available_uv() -> str | None:
    """uv as it is found on PATH, beside this Python, or where it installs itself; None where it is not installed."""
    beside = [Path(sys.executable).parent, Path.home() / ".local" / "bin", Path.home() / ".cargo" / "bin"]
    return shutil.which("uv") or next((str(path) for folder in beside if (path := folder / "uv").is_file()), None)


def _program() -> str:
    found = available_uv()
    if found is None:
        raise CommandError(
            "the task has a Python environment of its own, and uv, which makes it, is not installed",
            exit_code=127,
            remedy="Install it beside penstock: pip install uv.",
        )
    return found


def _check_version(folder: Path) -> None:
    told = (folder / "pyvenv.cfg").read_text("utf-8")
    version = next((line.split("=")[1].strip() for line in told.splitlines() if line.startswith("version_info")), "")
    if version and tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise CommandError(
            f"the environment of the task has Python {version}, on which penstock does not run",
            remedy=f"Use {'.'.join(map(str, _OLDEST))} or later.",
        )


def _described(environment: Environment) -> str:
    told = [*environment.requirements, *environment.files]
    if environment.python:
        told.append(f"Python {environment.python}")
    return ", ".join(told) or "empty"


__all__ = ["NEEDS", "Environments", "digest_of"]
