"""`POST /events`: CloudEvents in each of their forms, and what is none."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sender import STRUCTURED, Endpoint, event

ACCEPTED = {"accepted": 1, "duplicates": 0}


def test_an_event_is_recorded_before_it_is_answered_and_counts_once(endpoint: Endpoint) -> None:
    body = event(subject="7", time="2026-03-01T02:30:00.123456789Z", data={"price": 3.5}, comexampleother="x")
    assert endpoint.send("/events", body, STRUCTURED) == (202, ACCEPTED)
    (found,) = endpoint.recorded()
    assert (found.id, found.source, found.type, found.subject) == ("1", "/shop", "order.made", "7")
    assert found.at == pytest.approx(1772332200.123456)
    assert found.data == {"price": 3.5}
    assert endpoint.send("/events", body, STRUCTURED) == (202, {"accepted": 0, "duplicates": 1})
    assert len(endpoint.recorded()) == 1
    assert endpoint.told


def test_a_batch_and_what_is_twice_in_it(endpoint: Endpoint) -> None:
    batch = f"[{event()}, {event(id='2')}, {event()}]"
    headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    assert endpoint.send("/events", batch, headers) == (202, {"accepted": 2, "duplicates": 1})
    assert endpoint.send("/events", f"[{event(id='2')}, {event(id='3')}]", headers).document == {
        "accepted": 1,
        "duplicates": 1,
    }
    assert endpoint.send("/events", "[]", headers) == (202, {"accepted": 0, "duplicates": 0})
    # one that is wrong lets none in
    assert endpoint.send("/events", f"[{event(id='4')}, {{}}]", headers).status == 400
    assert [each.id for each in endpoint.recorded()] == ["1", "2", "3"]


def test_attributes_in_headers(endpoint: Endpoint) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b-1",
        "ce-source": "/shop",
        "ce-type": "order.made",
        "ce-subject": "Z%C3%BCrich",
    }
    assert endpoint.send("/events", '{"n": 1}', headers | {"Content-Type": "application/json"}).status == 202
    assert endpoint.send("/events", "plain", headers | {"ce-id": "b-2", "Content-Type": "text/plain"}).status == 202
    assert endpoint.send("/events", b"", headers | {"ce-id": "b-3", "Content-Type": ""}).status == 202
    assert [each.data for each in endpoint.recorded()] == [{"n": 1}, "plain", None]
    assert endpoint.recorded()[0].subject == "Zürich"
    assert endpoint.send("/events", b"\x00", headers | {"Content-Type": "image/png"}).status == 415


def test_data_in_base64(endpoint: Endpoint) -> None:
    assert endpoint.send("/events", event(data_base64="eyJuIjogMX0="), STRUCTURED).status == 202
    assert endpoint.recorded()[0].data == {"n": 1}
    assert endpoint.send("/events", event(data_base64="!", id="2"), STRUCTURED).status == 400
    assert endpoint.send("/events", event(data_base64="", data=1, id="2"), STRUCTURED).status == 400


def test_a_time_that_is_ahead_is_now(endpoint: Endpoint) -> None:
    endpoint.send("/events", event(time="2999-01-01T00:00:00Z"), STRUCTURED)
    assert endpoint.recorded()[0].at <= time.time()


WRONG: list[tuple[str | bytes, str]] = [
    ("{", "not JSON"),
    ("3", "no object"),
    (b"\xff", "not JSON"),
    ("{}", "specversion None"),
    (event(specversion="0.3"), "specversion '0.3'"),
    (event(id=""), "the id of the event is no text"),
    (event(id=None), "no id"),
    (event(source=5), "the source of the event is no text"),
    (event(type="x" * 5000), "longer than 4,096"),
    (event(subject=[1]), "the subject of the event is no text"),
    (event(time="yesterday"), "not one of RFC 3339"),
    (event(source="penstock/run/training", type="run.succeeded"), "one of penstock's own"),
    ("[" * 5000, "not JSON"),
]


def test_what_is_no_event_is_refused_with_the_reason(endpoint: Endpoint) -> None:
    for body, what in WRONG:
        answer = endpoint.send("/events", body, STRUCTURED)
        assert answer.status == 400
        assert what in answer.document["error"]
    assert endpoint.recorded() == []


def test_other_requests_are_told_what_there_is(endpoint: Endpoint) -> None:
    assert endpoint.send("/events", "{}").status == 415
    assert "ce-id" in endpoint.send("/events", "{}").document["remedy"]
    assert endpoint.send("/nothing", "{}").status == 404
    assert endpoint.send("/health", "{}").status == 405


def test_a_body_that_is_too_large_is_refused(endpoint: Endpoint) -> None:
    largest = event(data="x" * ((1 << 20) - 200))
    assert endpoint.send("/events", largest, STRUCTURED).status == 202
    answer = endpoint.send("/events", event(data="x" * (1 << 20)), STRUCTURED)
    assert answer.status == 413
    assert len(endpoint.recorded()) == 1


def test_fifty_senders_at_once_with_each_event_twice(endpoint: Endpoint) -> None:
    def sent(number: int) -> tuple[int, int]:
        answer = endpoint.send("/events", event(id=str(number % 100)), STRUCTURED)
        assert answer.status == 202
        return answer.document["accepted"], answer.document["duplicates"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(sent, range(200)))
    assert sum(accepted for accepted, _ in answers) == 100
    assert sum(duplicates for _, duplicates in answers) == 100
    assert len(endpoint.recorded()) == 100


def test_the_answer_to_an_event_as_the_specification_writes_it(endpoint: Endpoint) -> None:
    body = json.dumps(
        {
            "specversion": "1.0",
            "type": "com.github.pull_request.opened",
            "source": "https://github.com/cloudevents/spec/pull",
            "subject": "123",
            "id": "A234-1234-1234",
            "time": "2018-04-05T17:31:00Z",
            "comexampleextension1": "value",
            "comexampleothervalue": 5,
            "datacontenttype": "text/xml",
            "data": '<much wow="xml"/>',
        }
    )
    assert endpoint.send("/events", body, STRUCTURED) == (202, ACCEPTED)
    assert endpoint.recorded()[0].data == '<much wow="xml"/>'
