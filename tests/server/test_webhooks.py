"""`POST /webhooks/NAME`: signatures, repeats, and who is let in."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
from sender import Endpoint, send

from penstock.errors import DefinitionError
from penstock.server.doors import Door, doors_of, is_loopback
from penstock.server.refusals import Refusal

pytestmark = pytest.mark.slow

SECRET = b"canary-hook"


def digest(text: bytes, key: bytes = SECRET) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def test_a_body_of_any_form_becomes_an_event(endpoint: Endpoint) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert endpoint.send("/webhooks/plain", '{"n": 1}') == (202, {"accepted": 1, "duplicates": 0})
    assert endpoint.send("/webhooks/plain", "a=1&b=x+y", form).status == 202
    assert endpoint.send("/webhooks/plain", "payload=%7B%22n%22%3A2%7D", form).status == 202
    found = endpoint.recorded()
    assert [each.data for each in found] == [{"n": 1}, {"a": "1", "b": "x y"}, {"n": 2}]
    assert {(each.type, each.source) for each in found} == {("webhook.plain", "/webhooks/plain")}


def test_what_tells_one_delivery_from_others(endpoint: Endpoint) -> None:
    headers = {"Content-Type": "application/json"}
    first = endpoint.send("/webhooks/plain", "{}", headers | {"Idempotency-Key": "a"})
    again = endpoint.send("/webhooks/plain", '{"other": 1}', headers | {"Idempotency-Key": "a"})
    other = endpoint.send("/webhooks/plain", "{}", headers | {"Idempotency-Key": "b"})
    assert [each.document["accepted"] for each in (first, again, other)] == [1, 0, 1]
    token = headers | {"Authorization": "Bearer canary-hook"}
    refused = endpoint.send("/webhooks/token", "{}", token)
    assert refused == (400, {"error": "the request has no header X-Id, which tells one delivery from others"})
    assert endpoint.send("/webhooks/token", "{}", token | {"X-Id": "1"}).status == 202
    assert endpoint.recorded()[-1].id == "1"


def test_a_signed_webhook(endpoint: Endpoint) -> None:
    body = b'{"ref": "main"}'
    good = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest(body)}"}
    assert endpoint.send("/webhooks/github", body, good | {"X-GitHub-Delivery": "g-1"}).status == 202
    assert endpoint.recorded()[0].id == "g-1"
    for wrong in ("", "sha256=", digest(body, b"other"), digest(b"{}"), "é" * 10):
        headers = good | {"X-Hub-Signature-256": wrong.encode().decode("latin-1")}
        answer = endpoint.send("/webhooks/github", body, headers)
        assert answer.status == 401
        assert "canary" not in json.dumps(answer.document)
    assert endpoint.send("/webhooks/github", body).status == 401
    assert len(endpoint.recorded()) == 1
    # the owner hears of it, of the same once in a while, and at the start of what can never work
    lost, *refused = endpoint.said
    assert "/webhooks/lost refuses everything" in lost and "NOT_SET_HERE" in lost
    assert sorted("does not fit" in each for each in refused) == [False, True]
    assert all(each.startswith("/webhooks/github refused a request of 127.0.0.1") for each in refused)


def test_a_signature_with_a_time_is_good_for_a_while(endpoint: Endpoint) -> None:
    headers = {"Content-Type": "application/json"}
    for away in (0, -200, -400, 400):
        body, moment = b'{"id": "evt_%d"}' % away, str(int(time.time()) + away).encode()
        stripe = f"t={moment.decode()},v1={digest(b'old', b'old')},v1={digest(moment + b'.' + body)}"
        slack = f"v0={digest(b'v0:' + moment + b':' + body)}"
        wanted = 202 if abs(away) < 300 else 401
        assert endpoint.send("/webhooks/stripe", body, headers | {"Stripe-Signature": stripe}).status == wanted
        signed = {"X-Slack-Signature": slack, "X-Slack-Request-Timestamp": moment.decode()}
        assert endpoint.send("/webhooks/slack", body, headers | signed).status == wanted
        # the time is signed as well
        signed["X-Slack-Request-Timestamp"] = str(int(moment) + 1)
        assert endpoint.send("/webhooks/slack", body, headers | signed).status == 401
    assert endpoint.send("/webhooks/stripe", "{}", headers | {"Stripe-Signature": "t=,v1=,=,"}).status == 401
    assert [each.id for each in endpoint.recorded() if each.type == "webhook.stripe"] == ["evt_0", "evt_-200"]


def test_a_name_that_is_not_there_is_told_to_those_who_may_know(endpoint: Endpoint) -> None:
    answer = endpoint.send("/webhooks/gitub", "{}")
    assert answer.status == 404
    assert "github" in answer.document["remedy"]
    doors = doors_of({"webhooks": {"github": {}}}, "here")
    with pytest.raises(Refusal) as told:
        doors.webhook("gitub", "203.0.113.5")
    assert told.value.remedy == ""


def test_a_secret_that_cannot_be_read_closes_the_door(endpoint: Endpoint) -> None:
    answer = endpoint.send("/webhooks/lost", "{}")
    assert answer.status == 503
    assert "NOT_SET_HERE" not in json.dumps(answer.document)


def test_without_a_secret_only_this_machine_is_let_in() -> None:
    door = Door(path="/webhooks/plain")
    door.check({}, b"", "127.0.0.1", 0.0)
    door.check({"origin": "http://localhost:3000"}, b"", "::1", 0.0)
    for client, headers in (
        ("203.0.113.5", {}),
        ("", {}),
        # a page that somebody here looks at
        ("127.0.0.1", {"origin": "https://elsewhere.example"}),
        ("127.0.0.1", {"origin": "null"}),
    ):
        with pytest.raises(Refusal, match="own machine alone"):
            door.check(headers, b"", client, 0.0)
    Door(path="/webhooks/plain", public=True).check({}, b"", "203.0.113.5", 0.0)
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"webhooks": {"a b": {}}}, "cannot name a webhook"),
        ({"webhooks": {"a": 3}}, "'webhooks.a' takes a table"),
        ({"webhooks": {"a": {"sekret": "x"}}}, "no setting 'webhooks.a.sekret'"),
        ({"webhooks": {"a": {"secret": "canary-hook"}}}, "takes a reference"),
        ({"webhooks": {"a": {"scheme": "md5"}}}, "one of hmac, timestamped, slack, token"),
        ({"events": {"public": "yes"}}, "true or false"),
        ({"events": {"tolerance": "soon"}}, "'events.tolerance' takes"),
        ({"events": {"id_header": ""}}, "takes a text"),
    ],
)
def test_settings_that_are_wrong_are_said_before_anything_listens(settings: dict[str, object], what: str) -> None:
    with pytest.raises(DefinitionError, match=what) as told:
        doors_of(settings, "pyproject.toml")
    assert "canary" not in str(told.value)
    assert told.value.where == "pyproject.toml"


def test_whether_it_lives(endpoint: Endpoint) -> None:
    assert send(f"{endpoint.url}/health", b"", method="GET") == (200, {"status": "ok"})


def test_an_address_that_is_taken_is_said(endpoint: Endpoint, tmp_path: Path) -> None:
    from penstock.server.listening import listening

    port = int(endpoint.url.rpartition(":")[2])
    for host, at, what in (
        ("127.0.0.1", port, "Address already in use"),
        ("no.such.host.invalid", 1, "no address here"),
    ):
        with pytest.raises(DefinitionError, match=what), listening(endpoint.services, host, at, lambda: None, print):
            pass
