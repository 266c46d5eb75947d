"""Parameters that come from the cause of a run: the time that it is about, and its partition."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from penstock import (
    Cause,
    DefinitionError,
    ParameterError,
    Pipeline,
    find_run,
    interval_end,
    interval_start,
    logical_time,
    partition,
    pipeline,
    repeat,
    task,
)

NOW = logical_time()
START = interval_start()
END = interval_end()
KEY = partition()
KEY_OR_NONE = partition(default="none")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "penstock.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)


@task
def shown(value: Any) -> str:
    return str(value)


@pipeline
def timed(
    at: datetime = NOW, day: date = NOW, text: str = NOW, start: datetime = START, end: datetime | None = END
) -> str:
    return shown(day)


@pipeline
def parted(key: str = KEY_OR_NONE) -> str:
    return shown(key)


@pipeline
def by_day(day: date = KEY) -> str:
    return shown(day)


@pipeline
def by_keys(keys: list[str] = KEY) -> str:
    return shown(keys)


def resolved(pipe: Pipeline[..., Any], cause: Cause | None, **given: Any) -> dict[str, Any]:
    return pipe.signature.resolve(given=given, cause=cause)


TICK = Cause(logical_time=1_772_326_800.0, interval=(1_772_240_400.0, 1_772_326_800.0), zone="Europe/Berlin")


def test_the_time_that_a_run_is_about() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert resolved(timed, TICK) == {
        "at": datetime(2026, 3, 1, 2, tzinfo=berlin),
        "day": date(2026, 3, 1),
        "text": "2026-03-01T02:00:00+01:00",
        "start": datetime(2026, 2, 28, 2, tzinfo=berlin),
        "end": datetime(2026, 3, 1, 2, tzinfo=berlin),
    }
    # what is given goes before
    assert resolved(timed, TICK, day=date(2020, 1, 1))["day"] == date(2020, 1, 1)


def test_a_run_that_begins_now_is_about_one_moment() -> None:
    before = datetime.now(UTC)
    found = resolved(timed, None)
    assert before <= found["at"] <= datetime.now(UTC)
    assert found["at"] == found["start"] == found["end"] == datetime.fromisoformat(found["text"])


def test_a_run_that_an_event_started_is_about_when_that_happened() -> None:
    found = resolved(timed, Cause(events={"event": {"at": 1_772_326_800.0}}))
    assert found["at"] == datetime(2026, 3, 1, 1, tzinfo=UTC)


def test_the_partition_of_a_run() -> None:
    assert resolved(parted, Cause(partitions=("eu",))) == {"key": "eu"}
    assert resolved(parted, Cause()) == resolved(parted, None) == {"key": "none"}
    assert resolved(by_day, Cause(partitions=("2026-03-01",))) == {"day": date(2026, 3, 1)}
    assert resolved(by_keys, Cause(partitions=("a", "b"))) == {"keys": ["a", "b"]}
    with pytest.raises(ParameterError, match=r"day: the run is about no partition; .*--partition"):
        resolved(by_day, None)
    with pytest.raises(ParameterError, match="day: expected a date"):
        resolved(by_day, Cause(partitions=("eu",)))


def test_a_person_says_what_a_run_is_about() -> None:
    ended = timed.options(executor="inline").at(datetime(2026, 3, 1, 2, tzinfo=ZoneInfo("Europe/Berlin"))).run()
    assert ended.parameters["text"] == "2026-03-01T02:00:00+01:00"
    assert ended.result == "2026-03-01"
    assert parted.options(executor="inline").at(partition="eu").run().parameters == {"key": "eu"}
    again = timed.options(executor="inline").at("2026-03-01T01:00").run()
    # the same day from the same code
    assert [each.state for each in again.tasks] == ["cached"]
    assert find_run(again.run_id).parameters["at"] == "2026-03-01T01:00:00+00:00"


def test_a_run_that_begins_anew_keeps_what_it_was_about() -> None:
    inline = timed.options(executor="inline")
    first = inline.run()
    again = inline.retry(first.run_id, "shown")
    assert again.parameters == first.parameters


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"logical_time": "tomorrow"}, "logical_time must be a moment"),
        ({"partition": 3}, "partition must be a key, or several, not 3"),
        ({"partition": ["a", ""]}, "partition must be a key, or several"),
    ],
)
def test_what_a_run_cannot_be_about(said: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        timed.at(**said)


def test_a_graph_needs_no_cause_and_says_where_values_come_from() -> None:
    assert [(port.name, port.required, port.default) for port in parted.graph().parameters] == [
        ("key", False, "partition(default='none')")
    ]
    assert timed.graph().parameters[0].default == "logical_time()"


def test_a_part_of_another_pipeline_is_given_them() -> None:
    @pipeline
    def forgets() -> str:
        return parted()

    @pipeline
    def forgets_in_a_loop() -> str:
        return repeat(parted, maximum=2)()

    @pipeline
    def hands_on(key: str = KEY_OR_NONE) -> str:
        return parted(key)

    for wrong in (forgets, forgets_in_a_loop):
        with pytest.raises(DefinitionError, match=r"key of parted\(\) comes from the cause of a run"):
            wrong.graph()
    assert hands_on.options(executor="inline").at(partition="eu").run().result == "eu"


def test_a_parameter_that_can_be_no_moment() -> None:
    @pipeline
    def wrong(day: int = NOW) -> str:
        return shown(day)

    with pytest.raises(
        DefinitionError, match=r"has the default logical_time\(\), which is a moment, and takes a whole"
    ):
        _ = wrong.signature

    @pipeline
    def also_wrong(length: timedelta = NOW) -> str:
        return shown(length)

    with pytest.raises(DefinitionError, match="takes a duration"):
        _ = also_wrong.signature
