"""What this machine has for the attempts of a run: cores, memory, GPUs."""

from __future__ import annotations

import functools
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

#: seconds to wait for a driver that may hang
_PATIENCE = 10.0
#: control groups tell "no limit" by a number near the largest there is
_NO_LIMIT = 1 << 60


class Machine:
    """What attempts may use here: `cores`, `memory` (bytes) and `gpus` (the devices' indices, looked for only when they
    are asked for). What is given stands in for what would be found.

    `root` is where the system's own files are, `environ` the environment that may narrow the GPUs down.
    """

    def __init__(
        self,
        *,
        cores: float | None = None,
        memory: int | None = None,
        gpus: int | Sequence[int] | None = None,
        root: Path = Path("/"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root
        self._environ = os.environ if environ is None else environ
        self._gpus = tuple(range(gpus)) if isinstance(gpus, int) else gpus
        self.cores = cores_of(root) if cores is None else cores
        self._memory = memory
        self.host = platform.node()

    @functools.cached_property
    def memory(self) -> int:
        return memory_of(self._root) if self._memory is None else self._memory

    @functools.cached_property
    def gpus(self) -> tuple[int, ...]:
        return gpus_of(self._root, self._environ) if self._gpus is None else tuple(self._gpus)


def cores_of(root: Path = Path("/")) -> int:
    """How many cores this process may use: those it is bound to, and no more than its control group's share."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [share for folder in _groups(root, "cpu") if (share := _share(folder)) is not None]
    return max(1, min([bound, *(math.ceil(share) for share in shares)]))


def memory_of(root: Path = Path("/")) -> int:
    """How many bytes of memory this process may use: those of the machine, and no more than its control group's."""
    limits = [_number(folder / "memory.max") for folder in _groups(root, "memory")]
    limits += [_number(folder / "memory.limit_in_bytes") for folder in _groups(root, "memory")]
    limited = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    return min([_physical_memory(root), *limited])


def _physical_memory(root: Path) -> int:
    try:
        told = re.search(r"^MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        told = None
    if told is not None:
        return 1024 * int(told[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path, controller: str) -> list[Path]:
    """Folders of the control groups that this process is in, for a controller, of either version."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    top = root / "sys/fs/cgroup"
    found: list[Path] = []
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        base = top / controller if names else top
        # in a container the path may be that of the host, and only the top be there
        inner = base / path.lstrip("/")
        found += [folder for folder in (inner, *inner.parents) if folder == base or base in folder.parents]
    return found


def _share(folder: Path) -> float | None:
    """The share of cores of a control group; None where it is not limited."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        return quota / period if quota and period and quota > 0 else None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def gpus_of(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """Indices of the GPUs that this process may use: those that CUDA_VISIBLE_DEVICES names, where it is set; else those
    that the system or `nvidia-smi` shows."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return _present(root) or tuple(index for index, _ in _told(environ))
    named: list[int] = []
    for name in (part.strip() for part in visible.split(",")):
        index = _index(name, environ)
        if index is None:
            # what follows something that is not there is not seen either
            break
        named.append(index)
    return tuple(named)


def _present(root: Path) -> tuple[int, ...]:
    try:
        names = [file.name for file in (root / "dev").iterdir()]
    except OSError:
        return ()
    return tuple(sorted(int(name[6:]) for name in names if re.fullmatch(r"nvidia\d+", name)))


def _index(name: str, environ: Mapping[str, str]) -> int | None:
    if name.isdecimal():
        return int(name)
    if not name.startswith("GPU-"):
        return None
    return next((index for index, identity in _told(environ) if identity.startswith(name)), None)


def _told(environ: Mapping[str, str]) -> list[tuple[int, str]]:
    """Index and UUID of each GPU, by `nvidia-smi`; none where there is no such program, or it fails."""
    import shutil

    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return []
    import subprocess

    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [(int(found[1]), found[2]) for found in re.finditer(r"^GPU (\d+):.*UUID: (GPU-[\w-]+)", done.stdout, re.M)]
