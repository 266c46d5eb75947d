"""Objects in a bucket that a trigger follows, on a real server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from object_server import ObjectServer, Wire, environment

from penstock import objects
from penstock.blobs.bucket import Bucket
from penstock.daemon.watches.objects import look_at_objects, matching
from penstock.errors import StoreError
from penstock.model.occurrence import Occurrence
from penstock.triggers.templates import OWN_FIELDS


class Watch:
    """Looks again and again, with a cursor that is written down in between."""

    def __init__(self, url: str, **more: Any) -> None:
        self._source = objects(url, **more)
        self.cursor: Any = None

    def look(self) -> Sequence[Occurrence]:
        found, cursor = look_at_objects(self._source, self.cursor, 1000.0)
        self.cursor = json.loads(json.dumps(cursor))
        return found


@pytest.mark.slow
def test_objects_that_come_or_change_count_once(server: ObjectServer, tmp_path: Path) -> None:
    root = f"s3://blobs/{tmp_path.name}"
    bucket = Bucket(root)
    bucket.put("in/old.csv", b"old")
    watch, together = Watch(f"{root}/in/*.csv"), Watch(f"{root}/**/*.csv", together=True)
    assert [*watch.look(), *together.look()] == []
    for key in ("in/a.csv", "in/a.txt", "in/deep/b.csv", "inner.csv"):
        bucket.put(key, b"one")
    (found,) = watch.look()
    assert found.type == "object.arrived"
    assert set(found.data) == set(OWN_FIELDS["object.arrived"])
    assert (found.data["url"], found.data["bucket"]) == (f"{root}/in/a.csv", "blobs")
    assert (found.data["key"], found.data["size"]) == (f"{tmp_path.name}/in/a.csv", 3)
    (several,) = together.look()
    assert several.type == "objects.arrived"
    assert set(several.data) == set(OWN_FIELDS["objects.arrived"])
    assert sorted(several.data["urls"]) == [f"{root}/{key}" for key in ("in/a.csv", "in/deep/b.csv", "inner.csv")]
    assert [*watch.look(), *together.look()] == []
    bucket.put("in/a.csv", b"two")
    (changed,) = watch.look()
    assert changed.id != found.id
    bucket.delete(["in/old.csv", "in/a.csv"])
    assert watch.look() == []


@pytest.mark.slow
def test_a_bucket_that_is_not_there_and_a_server_that_is_gone(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="the bucket 'nowhere' of s3://nowhere does not exist") as told:
        Watch("s3://nowhere/in/*").look()
    assert "URL of the trigger" in (told.value.remedy or "")
    root = f"s3://blobs/{tmp_path.name}"
    wire = Wire(server.port)
    for name, value in environment(wire.endpoint).items():
        monkeypatch.setenv(name, value)
    watch = Watch(f"{root}/*")
    watch.look()
    wire.cut()
    with pytest.raises(StoreError, match="cannot be reached"):
        watch.look()
    wire.mend()
    Bucket(root).put("a", b"x")
    assert [each.data["key"] for each in watch.look()] == [f"{tmp_path.name}/a"]
    wire.cut()


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("in/*.csv", ["in/a.csv", "in/.csv"], ["in/b/a.csv", "in/a.csv2", "xin/a.csv"]),
        ("in/**/*.csv", ["in/a.csv", "in/b/c/a.csv"], ["a.csv", "in/a.txt"]),
        ("in/**", ["in/a", "in/b/c"], ["in", "inner/a"]),
        ("a?[0-9][!x]", ["ab1y", "a.0."], ["a/1y", "ab1x", "abcy"]),
        ("plain+(1).csv", ["plain+(1).csv"], ["plainn(1).csv"]),
    ],
)
def test_patterns_for_objects(pattern: str, fits: list[str], others: list[str]) -> None:
    assert [each for each in (*fits, *others) if matching(pattern).fullmatch(each)] == fits
