"""Sensors that misbehave: what they do is an answer like any other, and harms nobody else."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from penstock.daemon.inquiries import Answer, Inquiry
from penstock.daemon.isolation import Isolated
from penstock.model.occurrence import Occurrence
from penstock.model.trigger import Cause, WatchSource

pytestmark = pytest.mark.slow

SENSORS = """
import os, sys, time
from penstock import RunRequest, SensorResult, Skip, every, pipeline, sensor, trigger

@pipeline
def noting(what: str = ""):
    return None

@sensor(noting)
def counting(cursor):
    print("on stdout")
    print("on stderr", file=sys.stderr)
    start = cursor or 0
    return SensorResult([RunRequest(f"row-{start}", {"what": "x"}, tags=["a"])], start + 1)

@sensor(noting)
def idle():
    return Skip("nothing new")

@sensor(noting)
def raising():
    return 1 / 0

@sensor(noting)
def hanging():
    os.system("sleep 60 &")
    time.sleep(60)

@sensor(noting)
def ending():
    print("goodbye")
    os._exit(7)

@sensor(noting)
def eating():
    return bytearray(1 << 45)

@sensor(noting)
def babbling():
    return "what?"

def only_on_mondays(cause):
    return cause.key == "monday"

asked = trigger(noting, every("1h"), condition=only_on_mondays)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "sensors.py"
    path.write_text(SENSORS)
    return path


@pytest.fixture
def isolated(tmp_path: Path) -> Generator[Isolated]:
    def look(source: WatchSource, cursor: object, now: float) -> tuple[list[Occurrence], object]:
        if source.place == "hangs":
            time.sleep(3.0)
        if source.place == "fails":
            raise PermissionError("not for you")
        return [Occurrence(id="a.csv", source="files", type="file", at=now)], "after a.csv"

    asker = Isolated(tmp_path, {"files": look})
    yield asker
    asker.close()


def answers(isolated: Isolated, count: int, seconds: float = 30.0) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        isolated.wait(0.2)
        found |= {answer.id: answer for answer in isolated.answers()}
    return found


def test_what_sensors_do_is_their_answer(place: Path, isolated: Isolated) -> None:
    names = ["counting", "idle", "raising", "hanging", "ending", "eating", "babbling"]
    assert isolated.room() >= len(names)
    for name in names:
        timeout = 2.5 if name == "hanging" else 60.0
        cursor = 5 if name == "counting" else None
        isolated.ask(
            Inquiry(id=name, kind="sensor", target=f"{place}:{name}", function=name, cursor=cursor, timeout=timeout)
        )
    found = answers(isolated, len(names))
    counted = found["counting"]
    assert [(each.key, each.parameters, each.tags) for each in counted.requests] == [("row-5", {"what": "x"}, ("a",))]
    assert (counted.cursor, counted.moved, counted.error) == (6, True, "")
    assert (counted.printed, found["ending"].printed) == ("on stdout\non stderr", "")
    assert (found["idle"].why, found["idle"].requests, found["idle"].error) == ("nothing new", (), "")
    assert "ZeroDivisionError" in found["raising"].error
    assert 'sensors.py", line' in found["raising"].error
    assert found["hanging"].error == "it gave no answer within 2.5 s"
    assert "exit code 7" in found["ending"].error
    assert "goodbye" in found["ending"].error
    assert "MemoryError" in found["eating"].error
    assert "'what?'" in found["babbling"].error
    assert isolated.answers() == []


def test_a_condition_is_told_the_cause(place: Path, isolated: Isolated) -> None:
    for key in ("monday", "sunday"):
        cause = Cause(trigger="asked", key=key)
        isolated.ask(
            Inquiry(id=key, kind="condition", target=f"{place}:asked", function="only_on_mondays", cause=cause)
        )
    isolated.ask(Inquiry(id="gone", kind="condition", target=f"{place}:nothing", function="f"))
    found = answers(isolated, 3)
    assert found["monday"].holds
    assert (found["sunday"].holds, found["sunday"].why) == (False, "only_on_mondays() returned False")
    assert "there is no 'nothing'" in found["gone"].error


def test_a_watch_that_hangs_or_fails_keeps_nobody(isolated: Isolated) -> None:
    for name in ("fine", "fails", "hangs"):
        isolated.ask(Inquiry(id=name, kind="watch", watch=WatchSource("files", name), timeout=0.3))
    found = answers(isolated, 3)
    assert ([each.id for each in found["fine"].occurrences], found["fine"].cursor) == (["a.csv"], "after a.csv")
    assert found["fails"].error == "PermissionError: not for you"
    assert found["hangs"].error == "it gave no answer within 0.3 s"
    assert isolated.room() == 8
