"""The processes that a process has started, and those that they have: found, measured and ended through /proc.

Where there is no /proc (macOS), a process seems to have started none.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Iterable
from pathlib import Path

#: a process with this in its environment is left alone: it is there to clean up behind the others, and ends by itself
SPARED = "PENSTOCK_GUARD"
_KILOBYTE = 1024


def children(pid: int) -> list[int]:
    """The processes that a process has started or adopted, zombies included."""
    if not _are_listed():
        return [child for child, parent in _parents() if parent == pid]
    found: list[int] = []
    with contextlib.suppress(OSError):
        # each thread has those it has started itself
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, _read(thread / "children").split())
    return found


def tree(root: int) -> list[int]:
    """A process and all that it has started, parents before their children."""
    found = [root]
    for pid in found:
        found += children(pid)
    return found


def end_trees(roots: Iterable[int]) -> None:
    """Kill processes and all that they have started, but for what is `SPARED`.

    Each is stopped before its children are looked up, so that none can start another one unseen.
    """
    stopped: dict[int, None] = {}
    waiting = set(roots)
    while waiting:
        for pid in waiting:
            _signal(pid, signal.SIGSTOP)
            stopped[pid] = None
        # those stopped before are asked again: one may have been starting another just then
        found = {child for pid in stopped for child in children(pid)} - stopped.keys()
        waiting = {child for child in found if not is_spared(child)}
    for pid in stopped:
        _signal(pid, signal.SIGKILL)


def is_spared(pid: int) -> bool:
    """Whether a process is to be left alone."""
    try:
        return f"{SPARED}=" in _read(Path(f"/proc/{pid}/environ"))
    except OSError:
        return False


def memory_of(root: int, enough: int) -> int:
    """How many bytes of memory a process and all that it has started hold. Pages of files do not count, since they can
    be taken back at any time. What several of them share counts once, if it makes a difference to being above
    `enough`: finding that out takes longer."""
    pids = tree(root)
    held = sum(map(_held, pids))
    return held if held <= enough else sum(map(_share, pids))


def own_memory() -> int:
    """How many bytes of memory this process holds by itself."""
    return _held(os.getpid())


def _held(pid: int) -> int:
    """The memory of a process, with all that it shares."""
    told = _fields("status", pid)
    return sum(told.get(name, 0) for name in ("RssAnon", "RssShmem", "VmSwap"))


def _share(pid: int) -> int:
    """The memory of a process, of what it shares only its part."""
    told = _fields("smaps_rollup", pid)
    if "Pss_Anon" not in told:
        return _held(pid)
    return sum(told.get(name, 0) for name in ("Pss_Anon", "Pss_Shmem", "SwapPss"))


def _fields(name: str, pid: int) -> dict[str, int]:
    """The sizes in a file of /proc, in bytes; none for a process that is gone or another user's."""
    try:
        lines = _read(Path(f"/proc/{pid}/{name}")).splitlines()
    except OSError:
        return {}
    return {line.partition(":")[0]: int(line.split()[1]) * _KILOBYTE for line in lines if line.endswith(" kB")}


@functools.cache
def _are_listed() -> bool:
    """Whether the kernel lists the children of each thread."""
    return Path("/proc/thread-self/children").exists()


def _parents() -> list[tuple[int, int]]:
    """Every process with its parent."""
    found: list[tuple[int, int]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # the name of the program stands in parentheses, and may hold anything
            found.append((int(folder.name), int(_read(folder / "stat").rpartition(")")[2].split()[1])))
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
