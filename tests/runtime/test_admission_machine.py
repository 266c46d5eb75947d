"""What a machine is taken to have: bound cores, limits of control groups, devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.runtime.capacity.machine import Machine, cores_of, gpus_of, memory_of

GB = 1 << 30


class System:
    """A root folder with the files in which a system tells about itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", f"MemFree: 1 kB\nMemTotal:       {16 * GB // 1024} kB\nCached: 2 kB\n")
        self.write("dev/null", "")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_without_limits_the_machine_has_what_is_there(system: System) -> None:
    assert memory_of(system.root) == 16 * GB
    assert cores_of(system.root) == len(os.sched_getaffinity(0))


def test_the_tightest_limit_of_nested_control_groups_counts(system: System) -> None:
    system.write("proc/self/cgroup", "0::/user/job\n")
    system.write("sys/fs/cgroup/user/memory.max", f"{4 * GB}\n")
    system.write("sys/fs/cgroup/user/job/memory.max", "max\n")
    system.write("sys/fs/cgroup/user/job/cpu.max", "50000 100000\n")
    assert memory_of(system.root) == 4 * GB
    assert cores_of(system.root) == 1


def test_limits_of_the_older_control_groups_count_as_well(system: System) -> None:
    system.write("proc/self/cgroup", "4:memory:/job\n3:cpu,cpuacct:/job\n")
    system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{(1 << 63) - 4096}\n")
    system.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", f"{2 * GB}\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "100000\n")
    system.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n")
    system.write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n")
    assert memory_of(system.root) == 2 * GB
    assert cores_of(system.root) == 1


def test_in_a_container_the_path_may_be_that_of_the_host(system: System) -> None:
    system.write("proc/self/cgroup", "0::/docker/abc\n")
    system.write("sys/fs/cgroup/memory.max", f"{GB}\n")
    assert memory_of(system.root) == GB


def test_devices_are_those_of_the_system(system: System) -> None:
    assert gpus_of(system.root, {"PATH": ""}) == ()
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm"):
        system.write(f"dev/{name}", "")
    assert gpus_of(system.root, {"PATH": ""}) == (0, 1, 10)


@pytest.mark.parametrize(
    ("visible", "seen"), [("", ()), ("-1", ()), ("2", (2,)), ("3, 1", (3, 1)), ("1,-1,2", (1,)), ("GPU-bb", (1,))]
)
def test_the_environment_narrows_the_devices_down(system: System, visible: str, seen: tuple[int, ...]) -> None:
    program = system.root / "bin" / "nvidia-smi"
    system.write("bin/nvidia-smi", "#!/bin/sh\necho 'GPU 0: T4 (UUID: GPU-aa-1)'\necho 'GPU 1: T4 (UUID: GPU-bb-2)'\n")
    program.chmod(0o755)
    system.write("dev/nvidia0", "")
    assert gpus_of(system.root, {"CUDA_VISIBLE_DEVICES": visible, "PATH": str(program.parent)}) == seen


def test_where_no_device_shows_the_driver_is_asked(system: System) -> None:
    system.write("bin/nvidia-smi", "#!/bin/sh\necho 'GPU 0: T4 (UUID: GPU-aa-1)'\n")
    (system.root / "bin/nvidia-smi").chmod(0o755)
    path = {"PATH": str(system.root / "bin")}
    assert gpus_of(system.root, path) == (0,)
    system.write("bin/nvidia-smi", "#!/bin/sh\necho 'GPU 0: T4 (UUID: GPU-aa-1)'\nexit 9\n")
    assert gpus_of(system.root, path) == ()


def test_what_is_given_stands_in_for_what_there_is(system: System) -> None:
    machine = Machine(cores=3, memory=5, gpus=2, root=system.root)
    assert (machine.cores, machine.memory, machine.gpus) == (3, 5, (0, 1))
    assert Machine(gpus=[4, 7], root=system.root).gpus == (4, 7)
