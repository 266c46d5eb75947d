"""What the identities of commands and containers tell."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.fingerprint.actions import identity as identity_of
from penstock.fingerprint.actions import task_identity
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.place import Location


def test_a_command_shows_what_it_runs_and_reads(tmp_path: Path) -> None:
    (tmp_path / "data" / "more").mkdir(parents=True)
    (tmp_path / "data" / "rows.csv").write_text("1")
    (tmp_path / "data" / "more" / "rows.csv").write_text("2")
    (tmp_path / "run.sh").write_text("echo")
    action = CommandAction(
        Location("pipeline.py", 7),
        ("sh", "run.sh", "a b"),
        environment={"MODE": "fast", "API_TOKEN": "hush"},
        reads={"data": str(tmp_path / "data"), "run.sh": str(tmp_path / "run.sh"), "gone": str(tmp_path / "gone")},
    )
    identity = task_identity(action, "prepare", lambda file: os.path.relpath(file, tmp_path))
    assert identity.kind == "command"
    assert identity.digest == identity_of(action)
    program, *files = identity.parts
    assert (program.name, program.file, program.first) == ("command:prepare", "pipeline.py", 7)
    assert program.shown == "sh run.sh 'a b'\nAPI_TOKEN=(hidden)\nMODE=fast"
    assert [(file.name, file.file) for file in files] == [
        ("file:data/more/rows.csv", str(Path("data/more/rows.csv"))),
        ("file:data/rows.csv", str(Path("data/rows.csv"))),
        ("file:gone", "gone"),
        ("file:run.sh", "run.sh"),
    ]
    (tmp_path / "data" / "rows.csv").write_text("3")
    again = task_identity(action, "prepare")
    changed = [b.name for a, b in zip(identity.parts, again.parts, strict=True) if a.digest != b.digest]
    assert changed == ["file:data/rows.csv"]
    assert again.digest != identity.digest


def test_a_container_shows_its_image_and_settings() -> None:
    command = CommandAction(Location("pipeline.py", 1), shell="set -e\ntrain", success=(0, 3), folder="/data")
    (part,) = task_identity(ContainerAction("python:3.12", command, network="none"), "fit").parts
    assert part.name == "container:fit"
    assert part.shown == 'set -e\ntrain\nimage: python:3.12\nnetwork: "none"\nfolder: "/data"\nsuccess: [0,3]'
