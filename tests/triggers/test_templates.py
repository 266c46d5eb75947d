"""Templates of parameters: what they give, and what is wrong with them before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import (
    DefinitionError,
    any_of,
    asset_updated,
    count_of,
    cron,
    event,
    files,
    metric_crosses,
    model_promoted,
    rows,
    run_ends,
)
from penstock.model.occurrence import Condition
from penstock.model.trigger import Cause, EventSource, SensorSource, Source
from penstock.triggers.templates import check, filled, known_of, places_of, render

EVENT = {
    "id": "e1",
    "source": "shop",
    "type": "order.paid",
    "subject": "42",
    "at": 1_772_323_200.0,
    "data": {"path": "in/a.csv", "size": 7, "rate": 0.5, "tags": ["x", "y"], "a.b": {"c": None}, "ok": True},
}
CAUSE = Cause(
    trigger="nightly",
    key="2026-03-01T01:00:00Z",
    logical_time=1_772_326_800.0,
    interval=(1_772_240_400.0, 1_772_326_800.0),
    zone="Europe/Berlin",
    partitions=("2026-03-01",),
    events={"event": EVENT, "events": [EVENT, EVENT]},
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{event.data.path}", "in/a.csv"),
        ("{event.data.size}", 7),
        ("{event.data.rate}", 0.5),
        ("{event.data.ok}", True),
        ("{event.data.tags}", ["x", "y"]),
        ("{event.data.tags.1}", "y"),
        ("{event.data.tags.-1}", "y"),
        ("{event.data[a.b].c}", None),
        ("{event.data.size:05d}", "00007"),
        ("{ event.subject }", "42"),
        (" {event.subject}", " 42"),
        ("{event}", EVENT),
        ("{event.time:%H:%M}", "01:00"),
        ("{events.1.id}", "e1"),
        ("{events}", [EVENT, EVENT]),
        ("{logical_time}", "2026-03-01T02:00:00+01:00"),
        ("day={logical_time:%Y-%m-%d}", "day=2026-03-01"),
        ("{interval.start:%d.%m.} - {interval.end:%d.%m.}", "28.02. - 01.03."),
        ("{partition}/{trigger}/{key}", "2026-03-01/nightly/2026-03-01T01:00:00Z"),
        ("{partitions}", ["2026-03-01"]),
        ("{{{trigger}}} {{}}", "{nightly} {}"),
        ("of {event.data.ok} {event.data.tags}", 'of true ["x","y"]'),
        ({"a": ["{trigger}", 1, {"b": "{event.data.size}"}]}, {"a": ["nightly", 1, {"b": 7}]}),
        (3, 3),
    ],
)
def test_what_a_template_gives(template: Any, value: Any) -> None:
    assert render(template, CAUSE) == value


@given(st.text())
def test_a_text_whose_braces_are_doubled_stays_what_it_is(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), Cause()) == text


def test_the_time_of_a_run_that_an_event_started() -> None:
    assert render("{logical_time:%Y-%m-%d %H}", Cause(events={"event": EVENT})) == "2026-03-01 00"


@pytest.mark.parametrize(
    ("template", "cause", "told"),
    [
        ("{event.data.pth}", CAUSE, r"\{event.data.pth\}: there is no 'pth' in what is there \(path, size, .*\)"),
        ("{event.data.tags.5}", CAUSE, "there is no '5'"),
        ("{event.data.path.x}", CAUSE, "there is no 'x' in 'in/a.csv'"),
        ("{other.id}", CAUSE, r"started by no event 'other' \(events: event, events\)"),
        ("{event.id}", Cause(), r"started by no event 'event' \(events: none\)"),
        ("{interval.start}", Cause(), "about no such time"),
        ("{partition}", Cause(), "about no partition"),
        ("{partition}", Cause(partitions=("a", "b")), "about 2 partitions"),
        ("{event.data.path:d}", CAUSE, "the format does not fit 'in/a.csv'"),
    ],
)
def test_what_a_cause_does_not_have(template: str, cause: Cause, told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        filled({"x": template}, cause)


@pytest.mark.parametrize(
    "text", ["{", "}", "a {b", "a b}", "{a {b}}", "{}", "{a..b}", "{a.}", "{:x}", "{a[}", "{a b.[c]d}"]
)
def test_texts_that_are_no_templates(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"brace|is no place"):
        places_of(text)


TICKS = cron("0 2 * * *").timetable


def of(condition: Condition) -> Source:
    return EventSource(condition)


@pytest.mark.parametrize(
    ("source", "template"),
    [
        (TICKS, "{logical_time:%Y} {interval.start} {trigger} {key}"),
        (TICKS, "{logical_time:%-d. %B 100%% %H:%M:%S.%f %z %s}"),
        (of(event("a")), "{event.data.anything.at.all} {logical_time}"),
        (
            of(event("a", fields={"size": int, "more": dict})),
            "{event.data.size:05d} {event.data.more.x} {event.time:%H}",
        ),
        (of(run_ends("p", "any")), "{event.data.run_id} {event.data.metrics.loss}"),
        (of(metric_crosses("loss", above=1)), "{event.data.metrics.loss:.2f}"),
        (of(model_promoted("m")), "{event.data.version}"),
        (of(asset_updated("a")), "{event.data.version:03d} {event.data.digest}"),
        (of(count_of(event("a"), 3)), "{events.0.data.x}"),
        (files("*.csv"), "{event.data.path} {event.data.size}"),
        (files("*.csv", together=True), "{event.data.paths}"),
        (rows("sqlite:///x.db", "select * from t where id > :cursor", "id"), "{event.data.any_column}"),
        (SensorSource("f"), "{partition} {key}"),
    ],
)
def test_templates_that_fit_their_source(source: Source, template: str) -> None:
    assert check({"x": [template]}, known_of(source)) == []


@pytest.mark.parametrize(
    ("source", "template", "told"),
    [
        (TICKS, "{logical_tme}", "there is no 'logical_tme'; did you mean 'logical_time'?"),
        (TICKS, "{event.id}", "no event starts these runs"),
        (TICKS, "{interval}", "an interval has start and end"),
        (TICKS, "{logical_time.year}", "logical_time has no fields; to write it another way, give a format"),
        (TICKS, "{trigger:d}", "the format 'd' does not fit"),
        (TICKS, "{logical_time:%Y-%Q}", "there is no '%Q' in a format of moments"),
        (TICKS, "{", "a brace is opened and not closed"),
        (of(event("a")), "{interval.start}", "only a schedule has data intervals"),
        (of(event("a")), "{event.datta.x}", "an event has no 'datta'; did you mean 'data'?"),
        (of(event("a")), "{event.id.x}", "id of an event has no fields"),
        (of(event("a")), "{events.0}", "only count_of() gives several events"),
        (
            of(event("a", fields={"path": str})),
            "{event.data.pth}",
            "no field 'pth'; did you mean 'path'? (it has: path)",
        ),
        (of(event("a", fields={"path": str})), "{event.path}", "fields of the data are below `.data`"),
        (of(event("a", fields={"path": str})), "{event.data.path.x}", "is str, and has no fields itself"),
        (of(event("a", fields={"path": str})), "{event.data.path:d}", "the format 'd' does not fit"),
        (of(event("a", fields={"more": dict})), "{event.data.more:x}", "a dict has no formats"),
        (of(any_of(event("a", fields={"x": int}), event("b", fields={"y": int}))), "{event.data.x}", "no field 'x'"),
        (of(run_ends("p")), "{event.data.metric.loss}", "did you mean 'metrics'?"),
        (files("*.csv"), "{event.data.paths}", "did you mean 'path'?"),
        (SensorSource("f"), "{logical_time}", "a sensor tells no time"),
    ],
)
def test_templates_that_do_not_fit_their_source(source: Source, template: str, told: str) -> None:
    (fault,) = check({"x": {"y": template}}, known_of(source))
    assert told in fault
