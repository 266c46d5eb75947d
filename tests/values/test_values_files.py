"""Files and folders: captured when a task returns them, referred to when it is given them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import OutputError, StoreError
from penstock.values import Values


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_text("hello")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "model"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "a.bin").write_bytes(bytes(range(256)) * 100)
    (top / "deep" / "er" / "b.txt").write_text("b")
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o755)
    return top


def test_a_file_comes_back_with_its_name_after_the_original_is_gone(values, report, tmp_path):
    artifact, _ = values.store(report, output=True)
    report.unlink()
    back = values.load(artifact)
    assert (back.name, back.read_text()) == ("report.txt", "hello")
    assert back.is_relative_to(tmp_path / "workspace")
    assert values.load(artifact) == back
    assert artifact.size >= 5


def test_a_folder_comes_back_whole(values, folder):
    artifact, _ = values.store(folder, output=True)
    back = values.load(artifact)
    found = sorted(str(path.relative_to(back)) for path in back.rglob("*"))
    assert found == sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert (back / "a.bin").read_bytes() == (folder / "a.bin").read_bytes()
    assert os.access(back / "run.sh", os.X_OK)
    assert not (back / "deep" / "er" / "b.txt").stat().st_mode & 0o111
    assert values.store(back, output=True)[0].digest == artifact.digest


def test_the_digest_is_of_the_name_and_the_content(values, folder, tmp_path):
    def digest(path: Path) -> bytes:
        return values.store(path, output=True)[0].digest

    first = digest(folder)
    os.utime(folder / "a.bin", (0, 0))
    assert digest(folder) == first
    (folder / "a.bin").write_bytes(b"other")
    second = digest(folder)
    (folder / "a.bin").rename(folder / "c.bin")
    third = digest(folder)
    folder.rename(tmp_path / "renamed")
    assert len({first, second, third, digest(tmp_path / "renamed")}) == 4


def test_what_is_missing_or_leads_out_is_refused(values, folder, tmp_path, report):
    def refused(path: Path, match: str) -> None:
        with pytest.raises(OutputError, match=match) as caught:
            values.store(path, output=True)
        assert caught.value.remedy

    refused(tmp_path / "nowhere.txt", r"nowhere\.txt")
    link = folder / "link"
    link.symlink_to(report)
    refused(folder, "leads out")
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    refused(folder, "leads nowhere")
    link.unlink()
    link.symlink_to(folder)
    refused(folder, "circle")
    link.unlink()
    os.mkfifo(folder / "pipe")
    refused(folder, "neither a file nor a folder")


def test_links_inside_the_folder_are_followed(values, folder):
    (folder / "link.txt").symlink_to(folder / "deep" / "er" / "b.txt")
    (folder / "linked").symlink_to(folder / "deep")
    back = values.load(values.store(folder, output=True)[0])
    assert (back / "link.txt").read_text() == "b"
    assert (back / "linked" / "er" / "b.txt").read_text() == "b"
    assert not (back / "link.txt").is_symlink()


def test_a_file_that_was_changed_in_the_workspace_is_made_again(values, report):
    artifact, _ = values.store(report, output=True)
    back = values.load(artifact)
    back.chmod(0o644)
    back.write_text("HELLO")
    assert values.load(artifact).read_text() == "hello"
    back.unlink()
    assert values.load(artifact).read_text() == "hello"


def test_several_processes_can_make_the_same_folder_at_once(values, folder, tmp_path):
    import msgspec

    artifact, _ = values.store(folder, output=True)
    (tmp_path / "artifact").write_bytes(msgspec.msgpack.encode(artifact))
    code = (
        "import sys, pathlib, msgspec\n"
        "from penstock.values import Values\n"
        "from penstock.model.value import Artifact\n"
        "from penstock.blobs.local import LocalBlobs\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "artifact = msgspec.msgpack.decode((root / 'artifact').read_bytes(), type=Artifact)\n"
        "back = Values(LocalBlobs(root / 'blobs'), workspace=root / 'shared').load(artifact)\n"
        "print(back, len(list(back.rglob('*'))))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {run.communicate()[0] for run in runs}
    assert len(said) == 1
    assert said.pop().split()[1] == str(len(list(folder.rglob("*"))))
    assert len(list((tmp_path / "shared").iterdir())) == 1


def test_paths_inside_what_a_task_returns_are_captured_too(values, report, folder):
    artifact, _ = values.store({"report": report, "all": [folder]}, output=True)
    report.unlink()
    back = values.load(artifact)
    assert back["report"].read_text() == "hello"
    assert (back["all"][0] / "a.bin").exists()


def test_a_path_that_is_given_is_handed_on_as_it_is(values, report, tmp_path):
    for path in (report, tmp_path / "gone", Path("some/relative"), Path("odd-\udcff")):
        artifact, _ = values.store(path)
        assert (values.load(artifact), artifact.codec) == (path, "path")
        assert values.load(values.store([path])[0]) == [path]


def test_the_digest_of_a_reference_is_the_content_it_leads_to(values, report, folder, tmp_path, blobs):
    def digest(path: object) -> bytes:
        return values.store(path)[0].digest

    first = digest(report)
    copy = tmp_path / "copy.txt"
    copy.write_text("hello")
    assert digest(copy) == first
    report.write_text("jello")
    assert digest(report) != first
    assert digest([copy]) != digest([report])
    before = digest(folder)
    (folder / "deep" / "er" / "b.txt").write_text("c")
    assert digest(folder) != before
    assert digest(tmp_path / "gone") != digest(tmp_path / "gone2")
    assert list(blobs.addresses()) == []


def test_a_file_whose_digest_is_remembered_is_hashed_again_once_it_changes(values, report):
    os.utime(report, (1_000_000, 1_000_000))
    first = values.store(report)[0].digest
    report.write_text("jello")
    os.utime(report, (2_000_000, 2_000_000))
    assert values.store(report)[0].digest != first


def test_previews_do_not_make_the_files(values, report, folder, tmp_path):
    for path, kind in ((report, "file"), (folder, "folder")):
        captured = values.preview(values.store(path, output=True)[0])
        json.dumps(captured)
        assert (captured["kind"], captured["name"]) == (kind, path.name)
        assert values.preview(values.store(path)[0])["kind"] == kind
    assert values.preview(values.store(report, output=True)[0])["head"] == "hello"
    assert values.preview(values.store(folder, output=True)[0])["count"] == 3
    assert values.preview(values.store(tmp_path / "gone")[0])["exists"] is False
    assert not (tmp_path / "workspace").exists()


def test_files_are_exported_as_they_are_and_can_be_changed(values, report, folder, tmp_path):
    target = tmp_path / "exports"
    target.mkdir()
    written = values.export(values.store(report, output=True)[0], target)
    assert written == target / "report.txt"
    written.write_text("mine")
    tree = values.export(values.store(folder, output=True)[0], target / "copy")
    assert (tree / "deep" / "er" / "b.txt").read_text() == "b"
    assert (tree / "a.bin").stat().st_mode & 0o200
    assert os.access(tree / "run.sh", os.X_OK)
    assert values.export(values.store(report)[0], target / "other.txt").read_text() == "hello"
    with pytest.raises(OutputError, match="gone"):
        values.export(values.store(tmp_path / "gone")[0], target / "x")


def test_a_place_that_cannot_be_written_is_reported(blobs, report, tmp_path):
    (tmp_path / "taken").write_text("")
    values = Values(blobs, workspace=tmp_path / "taken")
    artifact, _ = values.store(report, output=True)
    with pytest.raises(StoreError, match="taken"):
        values.load(artifact)
    with pytest.raises(StoreError, match="taken"):
        values.export(values.store(3)[0], tmp_path / "taken" / "x")
