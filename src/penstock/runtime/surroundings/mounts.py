"""Whether a folder is on a disk of this machine, or on one that machines share over a network.

SQLite relies on locks and on memory that processes share, neither of which holds across machines, and on many network
file systems not even on one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

#: what Linux and macOS call the file systems that are reached over a network
_NETWORK = frozenset(
    [
        "9p",
        "acfs",
        "afp",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fhgfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "webdav",
        "wekafs",
    ]
)
#: those that a program of its own serves; its name may be in capitals, and more may follow it: `fuse.JuiceFS:home`
_SERVED = (
    r"fuse\.(afp|beegfs|ceph|curlftp|dav|gcsfuse|geese|gluster|goofys|juice|lizard|mfs|moose|mount-s3|rclone|s3|s3ql|seaweed|"
    r"smbnet|ssh|weed)(fs)?(-fuse)?(:.*)?"
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_BSD = re.compile(r"(?P<source>.+) on (?P<point>/.*?) \((?P<kind>[\w.-]+)[,)].*")


class Mount(NamedTuple):
    """A file system in its place."""

    point: str
    #: `ext4`, `nfs4`, `fuse.sshfs`
    kind: str
    #: a device, or a server and its folder
    source: str

    @property
    def is_network(self) -> bool:
        kind = self.kind.lower()
        if not kind.startswith("fuse."):
            return kind in _NETWORK
        # compiled only here: few have any of these
        return bool(re.fullmatch(_SERVED, kind))

    def __str__(self) -> str:
        return f"{self.kind}, {self.source} at {self.point}"


def network_mount(path: Path, mounts: Iterable[Mount] | None = None) -> Mount | None:
    """The network file system that a path is on, or would be made on; None for one of this machine, and where it cannot
    be told. `mounts` are those of this machine, in their order, unless they are given."""
    there = path.resolve()
    found: Mount | None = None
    for mount in mounts_here() if mounts is None else mounts:
        # of two in one place the later one hides the other
        if there.is_relative_to(mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found if found is not None and found.is_network else None


def on_network(mount: Mount) -> str:
    """That the file of the store is where it should not be."""
    return f"the store is on a network file system ({mount}), where SQLite may lose what several processes write"


#: what to do about it
OFF_NETWORK = (
    'Name a folder on a local disk with PENSTOCK_HOME, or keep the store in PostgreSQL: store = "postgresql://..."'
)


def mounts_here() -> list[Mount]:
    """What is mounted on this machine; empty where that cannot be told."""
    if sys.platform == "darwin":
        return _mounts_told()
    try:
        return list(mounts_in_table(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")))
    except OSError:
        return []


def _mounts_told() -> list[Mount]:
    """What the program for it says."""
    import subprocess

    try:
        told = subprocess.run(["/sbin/mount"], check=False, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(mounts_in_list(told.stdout))


def mounts_in_table(text: str) -> Iterator[Mount]:
    """The mounts in a text such as `/proc/self/mountinfo`."""
    for line in text.splitlines():
        place, _, what = line.partition(" - ")
        fields, described = place.split(" "), what.split(" ")
        if len(fields) > 4 and len(described) > 1:
            yield Mount(_plain(fields[4]), described[0], _plain(described[1]))


def mounts_in_list(text: str) -> Iterator[Mount]:
    """The mounts in a text such as `mount` prints on macOS."""
    for line in text.splitlines():
        if found := _BSD.fullmatch(line):
            yield Mount(found["point"], found["kind"], found["source"])


def _plain(text: str) -> str:
    r"""A field as it was before spaces and the like in it became `\040`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


__all__ = [
    "OFF_NETWORK",
    "Mount",
    "mounts_here",
    "mounts_in_list",
    "mounts_in_table",
    "network_mount",
    "on_network",
]
