"""What a run depends on besides its parameters: versions, machine, source, seeds. Gathered once, when it starts."""

from __future__ import annotations

import os
import platform
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.fingerprint.packages import installed
from penstock.model.run import Provenance

if TYPE_CHECKING:
    from subprocess import Popen

#: seconds that git may take, in a repository of whatever size
_GIT_PATIENCE: Final = 3.0

_SEEDS: Final = ("seed", "random_state", "random_seed")

#: Variables that can change a number that comes out. The rest of the environment is nobody's business, and may hold
#: secrets.
_ENVIRONMENT: Final = (
    "BLIS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "KMP_DETERMINISTIC_REDUCTION",
    "LANG",
    "LC_ALL",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TZ",
    "VECLIB_MAXIMUM_THREADS",
)


def capture(
    *,
    command: Sequence[str],
    folder: Path,
    source_files: Sequence[Path],
    parameters: Mapping[str, Any],
    configuration: Mapping[str, Any],
    status: Status | None = None,
) -> Provenance:
    """Note what a run depends on, as it is now.

    `folder` is where to ask git, unless it was asked before, for its `status`; `source` of the result has an entry for each of `source_files` that can be read.
    Never fails: what cannot be found out is left empty.
    """
    commit, dirty = _checked_out((status or Status(folder)).read())
    packages = installed()
    return Provenance(
        penstock=packages.get("penstock", ""),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=_platform(),
        machine=_machine(),
        packages=packages,
        configuration=dict(configuration),
        command=tuple(command),
        git_commit=commit,
        git_dirty=dirty,
        source=_source(source_files),
        seeds=_seeds(parameters),
        environment={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )


def _platform() -> str:
    """`Linux-6.1.0-x86_64-glibc2.36`. What `platform.platform()` says takes a process of its own to find out."""
    system = platform.uname()
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        libc = ""
    return "-".join(filter(None, (system.system, system.release, system.machine, libc.replace(" ", ""))))


def _machine() -> dict[str, Any]:
    """Host name, cores (of the machine, and that this process may use), memory in bytes, model of the processor."""
    return {
        "host": platform.node(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _memory(),
        "cpu": _processor(),
    }


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(models, "") or platform.machine()
    except OSError:
        return platform.processor() or platform.machine()


def _source(files: Iterable[Path]) -> dict[str, str]:
    return {str(file): text for file in files if (text := _text(file)) is not None}


def _text(file: Path) -> str | None:
    try:
        with tokenize.open(file) as stream:
            return stream.read()
    except (SyntaxError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _seeds(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in _SEEDS or name.endswith("_seed")}


def _checked_out(report: str | None) -> tuple[str | None, bool | None]:
    """The commit that is checked out and whether anything differs from it; None for what there is not."""
    if report is None:
        return None, None
    entries = [line for line in report.split("\0") if line]
    commit = next((line.removeprefix("# branch.oid ") for line in entries if line.startswith("# branch.oid ")), "")
    dirty = any(not line.startswith("# ") for line in entries)
    return (None if commit in ("", "(initial)") else commit), dirty


class Status:
    """What git says of a folder. It is asked when this is made, and waited for when that is read: meanwhile there is other
    work to do. Whoever makes one reads it or closes it."""

    def __init__(self, folder: Path) -> None:
        self._process = _asked(folder)

    def read(self) -> str | None:
        """The report; None where there is none, and from the second time."""
        process, self._process = self._process, None
        if process is None:
            return None
        from subprocess import TimeoutExpired

        with process:
            try:
                report, _ = process.communicate(timeout=_GIT_PATIENCE)
            except TimeoutExpired:
                process.kill()
                return None
        return report.decode("utf-8", "replace") if process.returncode == 0 else None

    def close(self) -> None:
        """Ask no longer."""
        if self._process is not None:
            self._process.kill()
            self.read()


def _asked(folder: Path) -> Popen[bytes] | None:
    """Git at work on its report; None where there is no repository. The folder in which penstock keeps its state does not
    count as a difference."""
    if not any((each / ".git").exists() for each in (folder, *folder.absolute().parents)):
        # as it is for most who try something out: asking git would take longer than all of their run
        return None
    from subprocess import DEVNULL, PIPE, Popen

    # A run can be started from a hook of git, whose variables point elsewhere; and a status may not lock the index,
    # nor start what the repository configures as its file system monitor.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), "status", "--porcelain=v2", "--branch", "-z"]
    scope = ["--untracked-files=normal", "--", ":/", ":(top,exclude,glob)**/.penstock/**"]
    try:
        return Popen([*command, *scope], env=environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError:
        return None
