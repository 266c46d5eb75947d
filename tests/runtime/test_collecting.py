"""The collection: what stays, what goes, and what is told of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from collected import DAY, NOTHING, Yard

from penstock.errors import StoreError
from penstock.executors.environments import digest_of
from penstock.model.action import Environment
from penstock.model.expression import Stored
from penstock.model.policy import Caching, Policy
from penstock.model.run import RunRecord, RunState
from penstock.model.value import Artifact
from penstock.runtime.collecting.collection import Kind
from penstock.runtime.collecting.retention import PINNED, Retention, age, retention
from penstock.runtime.collecting.selection import outdated
from penstock.runtime.reading.origins import logged_in
from penstock.runtime.surroundings.processes import this_process
from penstock.testing.records import fingerprint, graph, run_record
from penstock.values import hashes
from penstock.values.hashes import FileState, Hashes

KEEP_CACHE = msgspec.structs.replace(NOTHING, cache_of_removed=True)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yield yard
    yard.store.close()


def array(seed: int) -> Any:
    """A value of some 16 KB, another one for each seed."""
    return np.random.default_rng(seed).random(2000)


# Which runs go.


def old_runs(*days: float, **changes: Any) -> list[RunRecord]:
    now = 1_800_000_000.0
    return [
        run_record(
            f"run-{number}",
            started_at=now - age * DAY,
            finished_at=now - age * DAY,
            **{"state": RunState.FAILED, **changes},
        )
        for number, age in enumerate(days)
    ]


def names_of(runs: list[RunRecord]) -> list[str]:
    return [run.run_id for run in runs]


@pytest.mark.parametrize(
    ("kept", "going"),
    [
        ({"keep": 2}, ["run-2", "run-3"]),
        ({"keep": 0}, ["run-0", "run-1", "run-2", "run-3"]),
        ({"older_than": "3d"}, ["run-2", "run-3"]),
        ({"older_than": "30d"}, []),
        # of both, each keeps
        ({"keep": 3, "older_than": "3d"}, ["run-3"]),
        ({"keep": 1, "older_than": "3d"}, ["run-2", "run-3"]),
        ({}, []),
    ],
)
def test_runs_are_kept_by_number_and_by_age(kept: dict[str, Any], going: list[str]) -> None:
    runs = old_runs(1, 2, 5, 10)
    assert names_of(outdated(runs[::-1], {}, retention(kept), 1_800_000_000.0)) == going


def test_the_number_is_of_each_pipeline() -> None:
    runs = [*old_runs(1, 2, 3), msgspec.structs.replace(old_runs(9)[0], run_id="other", pipeline="other")]
    assert names_of(outdated(runs, {}, retention({"keep": 1}), 1_800_000_000.0)) == ["run-1", "run-2"]


def test_tags_keep_runs() -> None:
    tags = {"run-0": (PINNED,), "run-1": ("release", "x"), "run-2": ("x",)}
    runs = old_runs(1, 2, 3, 4)
    assert names_of(outdated(runs, tags, retention({"keep": 0}), 1_800_000_000.0)) == ["run-1", "run-2", "run-3"]
    keep = retention({"keep": 0, "keep_tags": ["release", "other"]})
    assert names_of(outdated(runs, tags, keep, 1_800_000_000.0)) == ["run-2", "run-3"]


def test_a_run_that_has_just_ended_stays() -> None:
    runs = old_runs(0.01, 0.1)
    assert names_of(outdated(runs, {}, retention({"keep": 0, "grace": "1h"}), 1_800_000_000.0)) == ["run-1"]
    assert names_of(outdated(runs, {}, retention({"keep": 0, "grace": 0}), 1_800_000_000.0)) == ["run-0", "run-1"]


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
def test_what_has_not_ended_stays(state: RunState) -> None:
    assert outdated(old_runs(100, state=state), {}, retention({"keep": 0}), 1_800_000_000.0) == []


def test_without_a_word_a_hundred_runs_and_a_month_are_kept() -> None:
    assert retention({}) == Retention(keep=100, older_than=30 * DAY, cache_older_than=30 * DAY, grace=3600.0)
    assert retention({"keep": 5}).older_than is None
    assert retention({"older_than": "1h"}).keep is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1.5h", 5400), ("30 min", 1800), ("5m", 300), ("2d", 2 * DAY), ("1w", 7 * DAY), ("0", 0), (3, 3)],
)
def test_lengths_of_time(text: str | float, seconds: float) -> None:
    assert age(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1 year", "1d2h", None, True, float("nan"), -1])
def test_what_is_no_length_of_time(text: object) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        age(text)


# What goes with them.


def test_what_a_run_alone_needs_goes_with_it(yard: Yard) -> None:
    mine, shared = yard.put([array(1), {"inner": (array(2), 3)}]), yard.put(array(3))
    yard.record("old", {"fit": mine, "load": shared}, days=2)
    yard.record("new", {"load": shared}, days=1)
    collected = yard.collect(retention({"keep": 1, "grace": 0}))
    assert yard.runs == {"new"}
    assert yard.addresses == yard.needed([shared])
    assert collected.runs == ["old"]
    assert collected.kept == 1
    assert collected.kinds["runs"] == Kind(1, None)
    assert collected.kinds["blobs"].count == 2
    assert [thing.name for thing in collected.largest] == ["list of fit, run old"] * 2
    assert 32_000 < collected.size < 40_000


def test_everything_that_a_run_refers_to_stays(yard: Yard) -> None:
    given, logged, returned = (yard.put({"a": [array(number)]}) for number in range(3))
    yard.record("run", {"fit": returned}, logs={"fit": logged}, parameters={"data": given})
    yard.store.tag("run", add=[PINNED])
    assert yard.collect().empty
    for number, argument in enumerate((given, logged, returned)):
        assert np.array_equal(yard.new_values().load(argument)["a"][0], array(number))


def test_values_in_a_graph_stay(yard: Yard) -> None:
    value, shape = yard.put(array(1)), graph(1)
    node = msgspec.structs.replace(shape.nodes[0], bindings={"data": Stored(value)})
    yard.record("run", shape=msgspec.structs.replace(shape, nodes=(node,)))
    yard.store.tag("run", add=[PINNED])
    for dry in (True, False):
        assert yard.collect(dry=dry).empty
    assert len(yard.addresses) == 1


def test_what_nothing_refers_to_goes(yard: Yard) -> None:
    yard.put(array(1))
    assert yard.collect(dry=True).kinds["blobs"].count == 1
    assert len(yard.addresses) == 1
    assert yard.collect().kinds["blobs"].count == 1
    assert yard.addresses == set()
    assert yard.collect().empty


def test_what_was_used_within_the_grace_time_stays(yard: Yard) -> None:
    yard.put(array(1))
    assert yard.collect(retention({"grace": "1h"})).empty
    assert len(yard.addresses) == 1


def test_what_was_used_since_a_run_under_way_began_stays(yard: Yard) -> None:
    yard.put(array(1))
    time.sleep(0.02)
    yard.record("now", state=None, driver=this_process())
    time.sleep(0.02)
    stays = yard.put(array(2))
    collected = yard.collect()
    assert collected.beside == "now"
    assert yard.addresses == yard.needed([stays])


def test_a_run_whose_process_is_gone_holds_nothing_back(yard: Yard) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    yard.record("gone", {"fit": yard.put(array(1))}, state=None, driver=f"{socket.gethostname()}:{process.pid}")
    yard.put(array(2))
    collected = yard.collect()
    # it could still be resumed
    assert yard.runs == {"gone"}
    assert collected.beside is None
    assert len(yard.addresses) == 1


def test_a_list_whose_own_bytes_are_gone_does_not_stop_it(yard: Yard) -> None:
    lost, other = yard.put([array(number) for number in range(60)]), yard.put([array(100)])
    yard.record("run", {"fit": lost, "load": other})
    yard.store.tag("run", add=[PINNED])
    assert lost.blob is not None
    yard.blobs.delete(lost.blob)
    yard.collect()
    # nobody can tell any more what it consisted of
    assert yard.addresses == yard.needed([other])


# The cache.


def test_results_outlive_their_run(yard: Yard) -> None:
    value, key = yard.put(array(1)), fingerprint(1)
    yard.record("old", {"fit": value}, results={"fit": key}, days=2)
    yard.collect(KEEP_CACHE)
    assert yard.runs == set()
    assert yard.fingerprints == {key}
    assert yard.addresses == yard.needed([value])
    yard.collect(NOTHING)
    assert yard.fingerprints == set()
    assert yard.addresses == set()


def test_results_go_with_their_run_if_they_are_told_to(yard: Yard) -> None:
    yard.record("old", {"fit": yard.put(array(1))}, results={"fit": fingerprint(1)}, days=2)
    yard.record("new", {"fit": yard.put(array(2))}, results={"fit": fingerprint(2)}, days=1)
    collected = yard.collect(retention({"keep": 1, "cache_of_removed": False, "grace": 0}))
    assert yard.fingerprints == {fingerprint(2)}
    assert collected.kinds["results"] == Kind(1, None)


def test_results_that_nobody_uses_go(yard: Yard) -> None:
    value = yard.put(array(1))
    for number, days in enumerate([50, 40, 2]):
        yard.record(f"made-{number}", {"fit": value}, results={"fit": fingerprint(number)}, days=days)
    # the first one was used of late
    yard.record("used", {"fit": value}, cached={"fit": fingerprint(0)}, days=1)
    yard.collect(retention({"keep": 100, "cache_older_than": "30d", "grace": 0}))
    assert yard.fingerprints == {fingerprint(0), fingerprint(2)}
    assert len(yard.runs) == 4


def test_results_past_their_lifetime_go(yard: Yard) -> None:
    limited = Policy(caching=Caching(lifetime=3 * DAY))
    shape = graph(2)
    nodes = (msgspec.structs.replace(shape.nodes[0], policy=limited), shape.nodes[1])
    shape = msgspec.structs.replace(shape, nodes=nodes)
    value = yard.put(array(1))
    for number, days in enumerate([5, 2]):
        keys = {"n0": fingerprint(number), "n1": fingerprint(10 + number)}
        yard.record(f"run-{number}", {"n0": value, "n1": value}, results=keys, days=days, shape=shape)
    yard.collect(retention({"keep": 100, "grace": 0}))
    assert yard.fingerprints == {fingerprint(1), fingerprint(10), fingerprint(11)}


def test_a_run_stays_while_another_shows_what_it_logged(yard: Yard) -> None:
    value, plot, key = yard.put(array(1)), yard.put(array(2)), fingerprint(1)
    yard.record("first", {"fit": value}, results={"fit": key}, logs={"fit": plot}, days=100)
    yard.record("silent", {"fit": yard.put(array(3))}, results={"fit": fingerprint(2)}, days=90)
    yard.record("last", {"fit": value}, cached={"fit": key}, days=80)
    before = logged_in(yard.store, "last", yard.store.attempts("last"))
    assert len(before.metrics) == 1
    yard.collect(retention({"keep": 1, "cache_of_removed": False, "grace": 0}))
    assert yard.runs == {"first", "last"}
    assert logged_in(yard.store, "last", yard.store.attempts("last")) == before
    assert np.array_equal(yard.new_values().load(before.attachments[0].attachment.artifact), array(2))


# Files, environments, and what was left behind.


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_laid_out_files_go_unless_a_run_has_them(yard: Yard, tmp_path: Path) -> None:
    artifacts: list[Artifact] = []
    for name in ("kept", "gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name * 3000)
        (tmp_path / name / "empty").mkdir()
        artifacts.append(yard.put([tmp_path / name]))
        yard.values.load(artifacts[-1])
    yard.record("old", {"fit": artifacts[1]}, days=2)
    yard.record("new", {"fit": artifacts[0]}, days=1)
    assert yard.collect(retention({"keep": 1}), dry=True).kinds["files"].count == 0
    collected = yard.collect(retention({"keep": 1, "grace": 0}))
    assert collected.kinds["files"] == Kind(1, 12_000)
    assert files_of(yard.project.workspace) == {"kept.txt"}
    assert len(list(yard.project.workspace.iterdir())) == 1


def test_what_dead_processes_have_left_goes(yard: Yard) -> None:
    yard.put(array(1))
    code = (
        "import os, pathlib, sys; from penstock.blobs.local import LocalBlobs\n"
        "with LocalBlobs(pathlib.Path(sys.argv[1])).writer() as writer:\n"
        "    writer.write(b'x' * 1_000_000)\n"
        "    os._exit(9)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(yard.project.blobs)]) as process:
        process.wait()
    for pid in (process.pid, os.getpid()):
        draft = yard.project.workspace / f".{'ab' * 16}-{pid}-12345678"
        draft.mkdir(parents=True)
        (draft / "half.bin").write_bytes(b"x" * 500)
    with yard.blobs.writer() as writer:
        writer.write(b"y" * 200_000)
        assert yard.collect(retention({"grace": "1h"})).kinds["unfinished"].count == 0
        collected = yard.collect(retention({"grace": 0}))
        assert collected.kinds["unfinished"] == Kind(2, 1_000_500)
        address = writer.commit()
    assert bytes(yard.blobs.read(address)) == b"y" * 200_000
    assert [path.name.split("-")[1] for path in yard.project.workspace.iterdir()] == [str(os.getpid())]


def test_environments_that_no_run_uses_go(yard: Yard) -> None:
    used, unused = (Environment(requirements=(name,)) for name in ("used", "unused"))
    shape = graph()
    task = msgspec.structs.replace(shape.tasks["fit"], environment=used)
    yard.record("run", days=2, shape=msgspec.structs.replace(shape, tasks={"fit": task}))
    for environment in (used, unused):
        folder = yard.project.environments / digest_of(environment)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text("x" * 100)
        made = time.time() - 5 * DAY
        os.utime(folder, (made, made))
    month = retention({"keep": 100, "grace": 0})
    assert yard.collect(month).empty
    three_days = msgspec.structs.replace(month, cache_older_than=3 * DAY)
    assert yard.collect(three_days).kinds["environments"] == Kind(1, 100)
    left = {path.name for path in yard.project.environments.iterdir() if path.is_dir()}
    assert left == {digest_of(used)}
    one_day = msgspec.structs.replace(month, cache_older_than=DAY)
    assert yard.collect(one_day).kinds["environments"].count == 1


def test_hashes_of_files_that_are_gone_or_not_asked_for_go(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "LARGE", 1000)
    home, now = yard.project.hashes, time.time()
    files: dict[str, Path] = {}
    for name in ("old", "asked", "gone", "just_gone"):
        file = files[name] = tmp_path / f"{name}.bin"
        file.write_bytes(bytes(2000))
        os.utime(file, (0, 0))
        state = FileState.of(file)._replace(changed=0)
        Hashes(home).add(os.fsencode(file), state, name.encode())
        (made,) = [place for place in home.iterdir() if name.encode() in place.read_bytes()]
        if name != "just_gone":
            os.utime(made, (now - 5 * DAY, now - 5 * DAY))
    made.with_name("torn").write_bytes(b"\x93")
    os.utime(made.with_name("torn"), (now - 2 * DAY, now - 2 * DAY))
    asked = files["asked"]
    assert Hashes(home).find(os.fsencode(asked), FileState.of(asked)._replace(changed=0)) == b"asked"
    files["gone"].unlink()
    files["just_gone"].unlink()
    rule = retention({"cache_older_than": "3d", "grace": "1h"})
    assert yard.collect(rule, dry=True).kinds["hashes"].count == 3
    assert len(list(home.iterdir())) == 5
    assert yard.collect(rule).kinds["hashes"].count == 3
    left = {name for name in files for place in home.iterdir() if f"/{name}.bin".encode() in place.read_bytes()}
    assert left == {"asked", "just_gone"}
    assert yard.collect(rule).kinds["hashes"].count == 0


# Together, and broken off.


def test_only_one_collection_at_a_time(yard: Yard) -> None:
    fcntl = pytest.importorskip("fcntl")
    yard.put(array(1))
    with (yard.project.home / "gc.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="a collection, a backup or a restore is under way here"):
            yard.collect()
        assert yard.collect(dry=True).kinds["blobs"].count == 1
    assert yard.collect().kinds["blobs"].count == 1


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_collection_that_is_broken_off_is_finished_by_the_next(
    yard: Yard, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = yard.put([array(0)])
    yard.record("new", {"fit": kept}, days=0)
    yard.record("old", {"fit": yard.put([array(number) for number in range(1, 6)])}, days=1)
    rename, count = Path.rename, 0

    def interrupted(path: Path, target: Path) -> Path:
        nonlocal count
        moved, count = rename(path, target), count + 1
        if count > after:
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yard.collect(retention({"keep": 1, "grace": 0}))
    assert yard.runs == {"new"}
    assert np.array_equal(yard.new_values().load(kept)[0], array(0))
    # what was aside belongs to this process, which is alive; to the next one it is that of a dead one
    [aside] = (yard.project.blobs / "trash").iterdir()
    aside.rename(str(aside).replace(f"-{os.getpid()}-", "-99999999-"))
    yard.collect(retention({"keep": 1, "grace": 0}))
    assert yard.addresses == yard.needed([kept])
    assert list((yard.project.blobs / "trash").iterdir()) == []
