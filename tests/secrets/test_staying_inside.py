"""No path that is stored leads out of the store, and nothing in it is for others to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock import OutputError, Pipeline, command, current, file, pipeline, task
from penstock.blobs.local import LocalBlobs
from penstock.errors import ArtifactDamagedError
from penstock.model.value import Artifact
from penstock.runtime.reading.artifacts import NamedArtifact, export
from penstock.values import Values
from penstock.values.files import Entry, Manifest


@pytest.fixture
def values(tmp_path: Path) -> Values:
    return Values(LocalBlobs(tmp_path / "state" / "blobs"), workspace=tmp_path / "state" / "files")


def artifact_of(values: Values, name: str, folder: bool, *paths: str) -> Artifact:
    """A captured file or folder as somebody could have written it into the store."""
    address = values._blobs.put(b"payload")  # pyright: ignore[reportPrivateUsage]
    entries = tuple(Entry(path, address, 7) for path in paths)
    payload = msgspec.msgpack.encode(Manifest(name, folder, entries))
    return Artifact("file", "pathlib.Path", b"d" * 32, 7, payload)


OUTSIDE = ["../out", "../../out", "/tmp/out", "a/../../out", "..", ".", "", "a//b", "a/./b", "a\0b"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_file_of_a_folder_is_laid_out_elsewhere(path: str, values: Values, tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamagedError, match="leads out of its place"):
        values.load(artifact_of(values, "model", True, path))
    assert not (tmp_path / "state" / "files").exists()


@pytest.mark.parametrize("name", ["../out", "..", ".", "", "/tmp/out", "a/b"])
@pytest.mark.parametrize("folder", [True, False])
def test_no_file_has_a_name_that_leads_elsewhere(name: str, folder: bool, values: Values, tmp_path: Path) -> None:
    artifact = artifact_of(values, name, folder, "a" if folder else "")
    for use in (values.load, values.preview, lambda each: values.export(each, tmp_path)):
        with pytest.raises(ArtifactDamagedError):
            use(artifact)


def test_a_file_takes_the_place_of_no_folder(values: Values) -> None:
    with pytest.raises(ArtifactDamagedError):
        values.load(artifact_of(values, "model", False, "../../out"))


def test_parts_are_exported_into_their_folder(values: Values, tmp_path: Path) -> None:
    made = tmp_path / "made.txt"
    made.write_text("x")
    tree = {"..": made, "../../out": made, "/tmp/abs": made, ".": made, "ok": made}
    artifact, _ = values.store(tree, output=True)
    target = tmp_path / "target"
    target.mkdir()
    path = export(NamedArtifact("made", "made", "result", artifact), values, target / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["made.txt", "penstock.toml", "state", "target"]
    assert [each.name for each in target.iterdir()] == ["out"]
    # `/tmp/abs` and the others with slashes have names of their own
    assert {"ok", "_tmp_abs", ".._.._out"} <= {each.name for each in path.iterdir()}


@pytest.mark.parametrize("link", ["../outside.txt", "/etc/hostname"])
def test_no_link_in_a_folder_takes_along_what_is_outside(link: str, values: Values, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("x")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(link)
    with pytest.raises(OutputError, match="leads out of the folder"):
        values.store(folder, output=True)


reads_elsewhere = command("touch made", inputs={"name": str}, outputs={"found": file("{name}")}, name="reads_elsewhere")


@pytest.mark.parametrize("name", ["../../../etc/hostname", "/etc/hostname"])
def test_no_output_of_a_command_is_read_elsewhere(name: str) -> None:
    @pipeline
    def reading() -> Any:
        return reads_elsewhere(name=name)

    with pytest.raises(OutputError, match="not in the folder"):
        _ = reading.options(executor="inline").run().result


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Whatever is made is for everybody, unless its maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@task
def writes_files() -> Path:
    folder = current().folder / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(os.urandom(10_000))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


@task
def reads_files(model: Path, data: Path) -> int:
    print("read")
    current().log_artifact("big", "x" * 10_000)
    return len((model / "deep" / "weights.bin").read_bytes()) + data.stat().st_size


@pipeline
def with_files(data: Path) -> int:
    return reads_files(writes_files(), data)


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize("executor", ["inline", pytest.param("processes", marks=pytest.mark.slow)])
@pytest.mark.parametrize("exists", [False, True])
def test_all_that_is_kept_is_for_its_owner_alone(executor: str, exists: bool, tmp_path: Path) -> None:
    data = tmp_path / "data.bin"
    with data.open("wb") as large:
        large.truncate(16 << 20)
    os.utime(data, (1, 1))
    home = tmp_path / ".penstock"
    if exists:
        home.mkdir(mode=0o755)
    made: Pipeline[..., Any] = with_files.options(executor=executor)
    assert made.run(data=data).state == "succeeded"
    wrong = [
        f"{path.relative_to(tmp_path)}: {stat.filemode(path.lstat().st_mode)}"
        for path in ([] if exists else [home]) + sorted(home.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    assert wrong == []
    assert len(list(home.rglob("*"))) > 10


@pytest.mark.usefixtures("open_umask")
def test_folders_above_the_state_are_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = with_files.options(executor="inline", home=tmp_path / "a" / "b" / "state")
    (tmp_path / "data").write_text("x")
    assert made.run(data=tmp_path / "data").state == "succeeded"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@pytest.mark.usefixtures("open_umask")
def test_a_database_of_before_is_taken_from_others(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with_files.options(executor="inline").run(data=tmp_path / "data")
    database = tmp_path / ".penstock" / "penstock.db"
    database.chmod(0o644)
    with_files.options(executor="inline").run(data=tmp_path / "data")
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
