"""Triggers and sensors as they are written in Python: what they amount to, what is refused, and what would come of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import penstock
from penstock import (
    Cause,
    DefinitionError,
    RunRequest,
    Schedule,
    Sensor,
    SensorResult,
    Skip,
    all_of,
    artifact_made,
    asset_updated,
    calendar,
    count_of,
    cron,
    debounce,
    event,
    files,
    metric_crosses,
    model_promoted,
    objects,
    once,
    partition,
    pipeline,
    recurring,
    rows,
    run_ends,
    sensor,
    task,
    together,
    trigger,
)
from penstock.model.occurrence import Occurrence, Pattern, Where
from penstock.model.schedule import Calendar, Cron, Every, Once, Recurrence, Timetable, Together
from penstock.model.trigger import EventSource, Limits, SensorSource, WatchSource

every = penstock.every


@task
def loaded(path: str) -> str:
    return path


@pipeline
def ingest(path: str, day: datetime | None = None, limit: int = 10, only: date | None = None) -> str:
    return loaded(path)


@pipeline
def by_partition(key: str = partition()) -> str:
    return loaded(key)


# Schedules.


@pytest.mark.parametrize(
    ("schedule", "timetable"),
    [
        (cron("0 2 * * *", zone="Europe/Berlin"), Timetable(Cron("0 2 * * *", "Europe/Berlin"))),
        (every("1h 30m"), Timetable(Every(5400))),
        (every(timedelta(minutes=1), anchor="2026-01-01T00:00:30"), Timetable(Every(60, 1767225630))),
        (every(5, jitter="1s", logical="start"), Timetable(Every(5), jitter=1, logical="start")),
        (
            recurring("FREQ=MONTHLY;BYDAY=-1FR", start=datetime(2026, 1, 1, 9), zone="Europe/Berlin"),
            Timetable(Recurrence("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-01T09:00:00", "Europe/Berlin")),
        ),
        (once("2026-03-01T02:00", date(2026, 1, 1)), Timetable(Once((1767225600, 1772330400)))),
        (once("2026-03-01", zone="Europe/Berlin"), Timetable(Once((1772319600,)))),
        (
            cron("@daily", zone="Europe/Berlin", start="2026-03-01", end=datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC"))),
            Timetable(Cron("@daily", "Europe/Berlin"), start=1772319600, end=1772409600),
        ),
        (
            cron("0 9 * * *") | every("6h") | cron("0 9 * * *"),
            Timetable(Together((Cron("0 9 * * *"), Every(21600)))),
        ),
        (
            together(
                cron("0 9 * * *", zone="Europe/Berlin"),
                calendar=calendar(weekdays="mon-wed, sat", exclude=["2026-12-24"], holidays="DE", otherwise="next"),
            ),
            Timetable(
                Cron("0 9 * * *", "Europe/Berlin"),
                Calendar((0, 1, 2, 5), ("2026-12-24",), ("DE",), "Europe/Berlin", "next"),
            ),
        ),
    ],
)
def test_schedules(schedule: Schedule, timetable: Timetable) -> None:
    assert schedule.timetable == timetable


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [("fri-mon", (0, 4, 5, 6)), ([0, "sunday"], (0, 6)), (3, (3,)), ("tu th", (1, 3))],
)
def test_weekdays(weekdays: Any, days: tuple[int, ...]) -> None:
    assert calendar(weekdays=weekdays).weekdays == days


# Conditions.


@pytest.mark.parametrize(
    ("made", "noun"),
    [
        (event("a"), Pattern("a")),
        (
            event("a", where={"x.0 >=": 3, "y in": ("a",), "z": None}, fields={"x": list, "y": "str"}),
            Pattern(
                "a",
                where=(Where(("x", 0), ">=", 3), Where(("y",), "in", ["a"]), Where(("z",), "==", None)),
                fields={"x": "list", "y": "str"},
            ),
        ),
        (run_ends(ingest, "failed"), Pattern("run.failed", "penstock/run/*", "ingest")),
        (run_ends("train*", "any", name="run"), Pattern("run.*", "penstock/run/*", "train*", name="run")),
        (
            artifact_made("model.bin", pipeline=ingest),
            Pattern("run.succeeded", "penstock/run/*", "ingest", (Where(("artifacts",), "matches", "model.bin"),)),
        ),
        (
            model_promoted("churn", stage="production"),
            Pattern("model.promoted", "*", "churn", (Where(("stage",), "matches", "production"),)),
        ),
        (
            asset_updated("features", partition="2026-*"),
            Pattern(
                "asset.materialized", "penstock/asset/*", "features", (Where(("partition",), "matches", "2026-*"),)
            ),
        ),
    ],
)
def test_patterns(made: Pattern, noun: Pattern) -> None:
    assert made == noun


# Triggers.


def has_new_data() -> bool:
    return True


def test_a_trigger_as_data() -> None:
    made = trigger(
        ingest,
        cron("0 2 * * *"),
        parameters={"path": "in/{logical_time:%Y}", "day": date(2026, 1, 1)},
        missed="all",
        at_most=2,
        overlap="skip",
        after_success=True,
        condition=has_new_data,
        priority=3,
        tags=["nightly"],
        enabled=False,
        description="Every night.",
    ).named("nightly")
    noun = made.noun
    assert (noun.name, noun.pipeline, noun.assets) == ("nightly", "ingest", "")
    assert noun.source == Timetable(Cron("0 2 * * *"))
    assert noun.parameters == {"path": "in/{logical_time:%Y}", "day": "2026-01-01"}
    assert noun.limits == Limits("all", 2, "skip", True)
    assert (noun.condition, noun.priority, noun.tags, noun.enabled) == ("has_new_data", 3, ("nightly",), False)
    assert made.functions == {"has_new_data": has_new_data}
    assert made.composition is ingest
    assert made.module == __name__
    assert noun.location is not None and noun.location.file.endswith("test_trigger_authoring.py")
    assert repr(made) == f"<trigger nightly at {noun.location}>"
    # the first name that it has stays
    assert made.named("other").noun.name == "nightly"
    assert trigger(ingest, every(5), name="own").named("variable").noun.name == "own"


def test_what_a_trigger_may_follow() -> None:
    assert trigger(ingest, event("a")).noun.source == EventSource(event("a"))
    assert trigger(ingest, files("in/*.csv", settle=0, every="1m")).noun.source == WatchSource(
        "files", "in/*.csv", 60, 0
    )
    assert trigger(ingest, objects("s3://b/in/*", together=True)).noun.source == WatchSource(
        "objects", "s3://b/in/*", 30, 0, together=True
    )
    query = "select * from t where id > :cursor"
    assert trigger(ingest, rows("sqlite:///x.db", query, "id")).noun.source == WatchSource(
        "rows", "sqlite:///x.db", 30, 0, query, "id"
    )


def test_a_trigger_for_assets() -> None:
    assert trigger("+report", every(5)).noun.assets == "+report"
    assert trigger(["+report", "group:raw"], every(5)).noun.assets == "+report, group:raw"


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: cron("0 2 * *"), "has 4 fields"),
    (lambda: cron("0 0 30 2 *"), "is never due"),
    (lambda: cron("* * * * *", zone="Europe/Berln"), "did you mean 'Europe/Berlin'"),
    (lambda: cron("* * * * *", jiter=3), "there is no option 'jiter' of a schedule; did you mean 'jitter'"),  # type: ignore[call-arg]
    (lambda: cron("* * * * *", start="2026-02-01", end="2026-01-01"), "ends before it starts"),
    (lambda: cron("* * * * *", calendar="mon"), "calendar must be a calendar"),  # type: ignore[arg-type]
    (lambda: every("1 fortnight"), "every must be a length of time above 0"),
    (lambda: every(5, end="tomorrow"), "end must be a moment"),
    (once, "needs a moment"),
    (together, "needs schedules"),
    (lambda: cron("* * * * *", jitter=3) | every(5), "cannot be narrowed by itself"),
    (lambda: calendar(weekdays="mon-foo"), "weekdays must be weekdays"),
    (lambda: calendar(exclude=["24.12.2026"]), "exclude must be dates"),
    (lambda: calendar(otherwise="never"), 'otherwise must be "skip" or "next" or "previous"'),  # type: ignore[arg-type]
    (lambda: every(5, calendar=calendar(holidays="XX")), "holidays of 'XX' are not known"),
    (lambda: event(""), "type must be a text"),
    (lambda: event("a", where={"x =": 1}), "where has no operator '='"),
    (lambda: event("a", where={"x..y": 1}), "a key of where must be a path"),
    (lambda: event("a", where={"x in": "abc"}), "must be a list of values"),
    (lambda: event("a", where={"x": object()}), "must be what JSON can hold"),
    (lambda: event("a", fields={"x": bytes}), "is no type of a field"),
    (lambda: event("a", name="events"), "name must be an identifier"),
    (all_of, "needs a condition"),
    (lambda: all_of(event("a"), every(5)), "takes conditions over events"),  # type: ignore[arg-type]
    (lambda: all_of(event("a"), event("b")), "two of the events of all_of() go by the name 'event'"),
    (lambda: count_of(event("a"), 0), "count must be a whole number from 1 up"),
    (lambda: debounce(event("a"), 10, longest=5), "longest (5 s) is less than quiet (10 s)"),
    (lambda: metric_crosses("loss"), "needs one line"),
    (lambda: metric_crosses("loss", above=float("nan")), "above must be a number"),
    (lambda: run_ends(ingest, "succeded"), 'state must be "succeeded", "failed"'),  # type: ignore[arg-type]
    (lambda: files(""), "files must be a glob pattern"),
    (lambda: objects("bucket/x"), "objects must be a URL"),
    (lambda: rows("sqlite:///x", "select 1", "id"), "does not say where to go on"),
    (lambda: trigger(ingest, "0 2 * * *"), 'Write cron("0 2 * * *")'),
    (lambda: trigger(loaded, every(5)), "a trigger starts a pipeline or materialises assets"),
    (lambda: trigger(ingest, every(5), at_mots=1), "there is no option 'at_mots'; did you mean 'at_most'"),  # type: ignore[call-arg]
    (lambda: trigger(ingest, every(5), at_most=0), "at_most must be a whole number from 1 up, or None"),
    (lambda: trigger(ingest, every(5), overlap="skip"), "Add at_most=1"),
    (lambda: trigger(ingest, every(5), missed="some"), 'missed must be "all" or "latest" or "none"'),  # type: ignore[arg-type]
    (lambda: trigger(ingest, event("a"), missed="all"), "this trigger has no schedule"),
    (lambda: trigger(ingest, event("a"), condition=lambda cause, more: True), "asks for cause, more"),
    (lambda: trigger(ingest, event("a"), condition=event("b")), "condition must be a function"),  # type: ignore[arg-type]
    (lambda: trigger(ingest, event("a", name="key")), "cannot go by the name 'key'"),
    (lambda: trigger(ingest, every(5), parameters={1: 2}), "parameters must be a dict"),  # type: ignore[dict-item]
    (lambda: sensor(ingest, every=0), "every must be a length of time above 0"),
    (lambda: sensor(ingest, missed="all"), "there is no option 'missed'"),
    (lambda: sensor(ingest)(loaded), "@sensor needs a plain function"),
    (lambda: sensor(ingest)(lambda one, two: None), "is given its cursor, and asks for one, two"),
]


@pytest.mark.parametrize(("write", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_refused_with_the_line_of_the_user(write: Callable[[], Any], told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        write()
    assert told in str(caught.value)
    assert str(caught.value).partition(": ")[0].rpartition(":")[0].endswith("test_trigger_authoring.py")


# Parameters, held to the pipeline's.


def test_all_that_is_wrong_with_the_parameters_is_said_at_once() -> None:
    made = trigger(
        ingest,
        event("upload", fields={"size": int, "path": str}),
        name="arrivals",
        parameters={
            "pth": "{event.data.path}",
            "day": "{event.data.size}",
            "limit": "{event.data.path}",
            "only": "{event.time}",
        },
    )
    with pytest.raises(DefinitionError) as caught:
        made.check()
    told = str(caught.value)
    assert "5 problems with the trigger arrivals" in told
    assert "pth: ingest has no such parameter; did you mean 'path'?" in told
    assert "day: {event.data.size} is int, and it takes a date and time" in told
    assert "limit: {event.data.path} is str, and it takes a whole number" in told
    assert "write {event.time:%Y-%m-%d}" in told
    assert "path: missing; ingest takes text" in told


def test_parameters_that_fit() -> None:
    parameters = {
        "path": "{event.data.path}",
        "day": "{event.time}",
        "limit": "{event.data.size}",
        "only": "{event.time:%Y-%m-%d}",
    }
    trigger(ingest, event("upload", fields={"size": int, "path": str}), parameters=parameters).check()
    trigger(ingest, event("upload"), parameters={"path": "{{x}}", "limit": "{event.data.x}"}).check()
    with pytest.raises(DefinitionError, match="limit: expected a whole number"):
        trigger(ingest, event("upload"), parameters={"path": "x", "limit": "many"}).check()


def test_a_partition_that_no_run_would_have() -> None:
    with pytest.raises(DefinitionError, match="key: it is the partition of the run"):
        trigger(by_partition, every(5)).check()
    trigger(by_partition, every(5), parameters={"key": "x"}).check()


# What would come of a trigger.


def test_a_tick_is_tried_out() -> None:
    nightly = trigger(
        ingest,
        cron("0 2 * * *", zone="Europe/Berlin"),
        name="nightly",
        parameters={"path": "in/{interval.start:%Y-%m-%d}", "day": "{logical_time}"},
        tags=["night"],
    )
    (firing,) = nightly.test(at="2026-03-01T02:00")
    assert (firing.trigger, firing.key, firing.tags) == ("nightly", "2026-03-01T01:00:00Z", ("night",))
    assert firing.parameters == {"path": "in/2026-02-28", "day": "2026-03-01T02:00:00+01:00"}
    assert firing.cause.zone == "Europe/Berlin"
    assert nightly.test(at="2026-03-01T02:00:01")[0].key == "2026-03-02T01:00:00Z"
    with pytest.raises(DefinitionError, match="follows a schedule, and no events"):
        nightly.test({"type": "x"})


def test_events_are_tried_out() -> None:
    both = trigger(
        ingest,
        all_of(event("upload.done", name="upload"), run_ends("training", name="run"), within="1h"),
        name="both",
        parameters={"path": "{upload.data.path}-{run.data.run_id}"},
    )
    upload = {"type": "upload.done", "data": {"path": "a"}, "at": "2026-03-01T10:00"}
    ended = {"type": "run.succeeded", "data": {"run_id": "r1"}, "at": datetime(2026, 3, 1, 10, 30)}
    (firing,) = both.test([upload, ended])
    assert firing.parameters == {"path": "a-r1"}
    assert firing.cause.logical_time == 1772361000
    assert both.test([upload]) == []
    assert both.test([{**upload, "at": "2026-03-01T09:00"}, ended]) == []
    with pytest.raises(DefinitionError, match="there is no 'path'"):
        both.test([{**upload, "data": {}}, ended])
    with pytest.raises(DefinitionError, match="no attribute 'dat'; did you mean 'data'"):
        both.test({"type": "upload.done", "dat": {}})


def test_a_burst_is_tried_out() -> None:
    settled = trigger(ingest, debounce(event("a"), "1m"), parameters={"path": "{event.data.n}"}, name="settled")
    with pytest.raises(DefinitionError, match="path: expected text; got the number 2"):
        settled.test([{"data": {"n": 1}}, {"data": {"n": 2}}])
    (firing,) = settled.test([{"data": {"n": "1"}}, {"data": {"n": "2"}}])
    assert firing.parameters == {"path": "2"}


def test_a_file_is_tried_out() -> None:
    arrivals = trigger(ingest, files("in/*.csv"), parameters={"path": "{event.data.path}"}, name="arrivals")
    (firing,) = arrivals.test({"data": {"path": "in/a.csv"}})
    assert firing.parameters == {"path": "in/a.csv"}
    whole = Occurrence(id="i", source="s", type="file.arrived", at=1, data={"path": "b"})
    assert arrivals.test(whole)[0].key == "i"


def test_a_condition_is_asked() -> None:
    def only_large(cause: Cause) -> object:
        size = cause.events["event"]["data"]["size"]
        return Skip("too small") if size < 10 else size < 100

    made = trigger(ingest, event("a"), parameters={"path": "x"}, condition=only_large, name="t")
    told = [(each.state, each.reason) for size in (5, 50, 500) for each in made.test({"data": {"size": size}})]
    assert told == [("skipped", "too small"), ("queued", ""), ("skipped", "only_large() returned False")]


# Sensors.


@sensor(ingest, every="1m", timeout=5, tags=["s"])
def new_rows(cursor: int | None) -> SensorResult:
    """Rows that are new."""
    seen = cursor or 0
    return SensorResult([RunRequest(f"row-{seen}", {"path": f"{seen}", "only": date(2026, 1, 1)})], seen + 1)


def test_a_sensor_as_data() -> None:
    assert new_rows.noun.source == SensorSource("new_rows", 60, 5, 3600)
    assert (new_rows.noun.name, new_rows.noun.pipeline, new_rows.noun.tags) == ("new_rows", "ingest", ("s",))
    assert new_rows.noun.description == "Rows that are new."
    assert new_rows.functions["new_rows"] is new_rows.function
    assert new_rows.named("other").noun.name == "new_rows"
    assert copy.copy(new_rows).noun == new_rows.noun
    assert pickle.loads(pickle.dumps(new_rows)) is new_rows
    new_rows.check()


def test_a_sensor_is_its_function() -> None:
    assert new_rows(None).cursor == 1


def test_a_sensor_is_asked() -> None:
    found = new_rows.evaluate(4)
    assert found.cursor == 5
    assert found.requests == (RunRequest("row-4", {"path": "4", "only": "2026-01-01"}, ()),)


def asked(answer: Any) -> Sensor[..., Any]:
    @sensor(ingest)
    def asks() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return asks


ONE, TWO = RunRequest("one"), RunRequest("two", tags=["t"], partition="p")


def several() -> Iterator[RunRequest]:
    yield ONE
    yield TWO


@pytest.mark.parametrize(
    ("answer", "requests", "skipped"),
    [
        (None, [], ""),
        (Skip("why"), [], "why"),
        (ONE, ["one"], ""),
        ([ONE, TWO], ["one", "two"], ""),
        (several(), ["one", "two"], ""),
        (SensorResult(TWO), ["two"], ""),  # type: ignore[arg-type]
        (SensorResult(skipped="nothing new"), [], "nothing new"),
    ],
)
def test_what_a_sensor_may_return(answer: Any, requests: list[str], skipped: str) -> None:
    found = asked(answer).evaluate("cursor")
    assert ([each.key for each in found.requests], found.skipped, found.cursor) == (requests, skipped, "cursor")


def test_a_sensor_may_raise_skip_and_what_else_it_raises_is_its_own() -> None:
    @sensor(ingest)
    def skips(cursor: Any) -> None:
        raise Skip("not now")

    assert skips.evaluate().skipped == "not now"

    @sensor(ingest)
    def fails() -> None:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        fails.evaluate()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (3, "it returned 3"),
        (["a"], "among its requests is 'a'"),
        (SensorResult(cursor=object()), "which JSON cannot hold as it is"),
        (SensorResult(cursor=(1, 2)), "which JSON cannot hold as it is"),
        ([ONE, ONE], "it asks for two runs with the key 'one'"),
        (RunRequest(""), "has to be a text"),
        (RunRequest("a", partition=3), "the partition of the request 'a' is 3"),  # type: ignore[arg-type]
        (RunRequest("a", tags="t"), "have to be a list of texts"),
        (RunRequest("a", {"pth": 1}), "there is no such parameter; did you mean 'path'?"),
        (RunRequest("a", {"limit": "x"}), "limit: expected a whole number"),
    ],
)
def test_what_a_sensor_may_not_return(answer: Any, told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        asked(answer).evaluate()
    assert told in str(caught.value)
    assert "test_trigger_authoring.py" in str(caught.value)
