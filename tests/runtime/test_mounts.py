"""Which file systems are reached over a network, by what real machines say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import pipeline, task
from penstock.runtime.surroundings import mounts
from penstock.runtime.surroundings.mounts import mounts_here, mounts_in_list, mounts_in_table, network_mount

LINUX = r"""
21 96 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw
96 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,discard
310 96 0:55 / /data rw,relatime shared:160 - nfs4 filer:/export/data rw,vers=4.2,rsize=1048576
311 96 0:56 / /mnt/old rw,relatime - nfs filer:/vol rw,vers=3
312 96 0:57 / /mnt/win\040share rw,relatime shared:161 - cifs //server/share\040one rw,vers=3.1.1
313 96 0:58 / /scratch rw,relatime - lustre 10.0.0.1@o2ib:/scratch rw
314 96 0:59 / /gpfs rw,relatime - gpfs gpfs0 rw
315 96 0:60 / /data/me/remote rw,nosuid,nodev,relatime - fuse.sshfs me@host:/data rw,user_id=1000
316 96 0:61 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs
317 96 0:62 / /ceph rw - ceph 10.0.0.2:6789:/ rw
318 96 0:63 / /jfs rw - fuse.juicefs JuiceFS:jfs rw
319 310 259:3 / /data/me/local rw,relatime - xfs /dev/nvme1n1p1 rw
320 96 0:64 / /media/usb rw,relatime - fuseblk /dev/sda1 rw
321 96 0:65 / /tmp rw - tmpfs tmpfs rw
322 96 0:66 / /over rw - nfs4 filer:/hidden rw
323 96 259:4 / /over rw - ext4 /dev/sdb1 rw
324 96 0:40 / /var/lib/docker/overlay2/abc/merged rw,relatime - overlay overlay rw,lowerdir=/x
"""

MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
//me@server._smb._tcp.local/My%20Share on /Volumes/My Share (smbfs, nodev, nosuid, mounted by me)
server:/export/home on /System/Volumes/Data/net/home (nfs, nodev, nosuid, automounted)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/me/project/.penstock", "nfs4"),
        ("/mnt/old/x", "nfs"),
        ("/mnt/win share/project", "cifs"),
        ("/scratch/x", "lustre"),
        ("/gpfs", "gpfs"),
        ("/data/me/remote/x", "fuse.sshfs"),
        ("/mnt/c/Users", "9p"),
        ("/ceph/x", "ceph"),
        ("/jfs/x", "fuse.juicefs"),
        ("/data/me/local/project", None),
        ("/database/x", None),
        ("/media/usb/x", None),
        ("/tmp/x", None),
        ("/over/x", None),
        ("/var/lib/docker/overlay2/abc/merged/x", None),
        ("/srv/x", None),
    ],
)
def test_network_file_systems_of_linux_are_known(path: str, kind: str | None) -> None:
    found = network_mount(Path(path), mounts_in_table(LINUX))
    assert (found and found.kind) == kind


def test_a_mount_is_told_with_its_server() -> None:
    found = network_mount(Path("/mnt/win share/x"), mounts_in_table(LINUX))
    assert str(found) == "cifs, //server/share one at /mnt/win share"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/Volumes/My Share/x", "smbfs"), ("/System/Volumes/Data/net/home/me", "nfs"), ("/Library/me", None)],
)
def test_network_file_systems_of_macos_are_known(path: str, kind: str | None) -> None:
    found = network_mount(Path(path), mounts_in_list(MACOS))
    assert (found and found.kind) == kind


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="needs Linux")
def test_the_mounts_of_this_machine_are_told(tmp_path: Path) -> None:
    points = {mount.point: mount.kind for mount in mounts_here()}
    assert points["/proc"] == "proc"
    assert "/" in points
    # tests run on a disk of this machine
    assert network_mount(tmp_path / "not" / "there" / "yet") is None


def test_a_run_on_a_network_file_system_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @task
    def one(i: int) -> int:
        return i

    @pipeline
    def several() -> int:
        return one(one(1))

    here = mounts.Mount(str(tmp_path), "nfs4", "filer:/export")
    monkeypatch.setattr(mounts, "mounts_here", lambda: [*mounts_in_table(LINUX), here])
    run = several.options(executor="inline", home=tmp_path / "state", progress=False).run()
    assert run.result == 1
    [said] = [record.getMessage() for record in caplog.records if "network file system" in record.getMessage()]
    assert f"(nfs4, filer:/export at {tmp_path})" in said
    assert "PENSTOCK_HOME" in said and "postgresql://" in said
