"""The endpoints: `POST /events`, `POST /webhooks/NAME`, `GET /health`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.errors import StoreError
from penstock.model.occurrence import Occurrence
from penstock.server.cloudevents import occurrences_of
from penstock.server.doors import Doors
from penstock.server.recording import Recording
from penstock.server.refusals import Refusal
from penstock.server.webhooks import occurrence_of

#: bytes of a body, and seconds that it may take to come, and that it may take to record it
_LARGEST, _SLOWEST, _PATIENCE = 1 << 20, 30.0, 30.0
#: bytes of a body that is too large that are read all the same: most senders hear of it only once they have sent it all
_DRAINED = 16 << 20
#: seconds after which one who was turned away for now may come again
_AGAIN = "5"
#: statuses that the owner is told of, and the seconds between two times that the same is told
_TOLD, _QUIET = (401, 403, 503), 60.0

Say = Callable[[str], object]


def application(doors: Doors, recording: Recording, say: Say) -> Starlette:
    """What answers requests. `say` is told who was turned away at a door."""
    turned_away = TurnedAway(say)

    async def events(request: Request) -> Response:
        headers, body, client = await _taken_in(request)
        now = time.time()
        doors.events.check(headers, body, client, now)
        return await _recorded(recording, occurrences_of(headers, body, now))

    async def webhook(request: Request) -> Response:
        name: str = request.path_params["name"]
        door = doors.webhook(name, _client(request))
        headers, body, client = await _taken_in(request)
        now = time.time()
        door.check(headers, body, client, now)
        return await _recorded(recording, [occurrence_of(name, door, headers, body, now)])

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/events", events, methods=["POST"]),
            Route("/webhooks/{name}", webhook, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={
            Refusal: turned_away.answer,
            HTTPException: _no_such,
            StoreError: _busy,
            ClientDisconnect: _gone,
        },
    )


async def _taken_in(request: Request) -> tuple[Mapping[str, str], bytes, str]:
    """Headers, body and the address of the sender. Raises Refusal for a body that is too large or too slow."""
    try:
        async with asyncio.timeout(_SLOWEST):
            body = await _body(request)
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_SLOWEST:g} s") from None
    return {name.lower(): value for name, value in request.headers.items()}, body, _client(request)


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    received, size = bytearray(), 0
    if not (declared.isdecimal() and int(declared) > _DRAINED):
        async for piece in request.stream():
            size += len(piece)
            if size > _DRAINED:
                break
            if size <= _LARGEST:
                received += piece
    if size == len(received) and not (declared.isdecimal() and int(declared) > _LARGEST):
        return bytes(received)
    raise Refusal(413, f"the body is larger than {_LARGEST >> 20} MB", "Put it into a file, and send where it is.")


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


async def _recorded(recording: Recording, occurrences: Sequence[Occurrence]) -> Response:
    future = recording.record(occurrences)
    try:
        async with asyncio.timeout(_PATIENCE):
            accepted = await asyncio.wrap_future(future)
    except TimeoutError:
        raise Refusal(503, "the store is busy", "Send it again; what was recorded counts once.") from None
    return JSONResponse(accepted._asdict(), status_code=202)


def _said(status: int, what: str, remedy: str = "") -> Response:
    document: dict[str, Any] = {"error": what} | ({"remedy": remedy} if remedy else {})
    headers = {"Retry-After": _AGAIN} if status == 503 else {}
    if status in (408, 413):
        # what is left of the body is not read
        headers["Connection"] = "close"
    return JSONResponse(document, status_code=status, headers=headers)


class TurnedAway:
    """Answers requests that are refused, and tells the owner of those that had no right to come in, or could not be known:
    once a minute for each door and reason."""

    def __init__(self, say: Say) -> None:
        self._say = say
        #: what was told -> when, by the monotonic clock
        self._told: dict[str, float] = {}

    async def answer(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        if error.status in _TOLD:
            text = f"{request.url.path} refused a request of {_client(request)}: {error.what}"
            now = time.monotonic()
            if now - self._told.get(text, -_QUIET) >= _QUIET:
                # senders are many: what was told long ago is not kept
                self._told = {each: at for each, at in self._told.items() if now - at < _QUIET} | {text: now}
                self._say(text)
        return _said(error.status, error.what, error.remedy)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = "There is POST /events, POST /webhooks/NAME and GET /health."
    if error.status_code == 404:
        return _said(404, f"there is nothing at {request.url.path}", known)
    if error.status_code == 405:
        return _said(405, f"{request.method} is not for {request.url.path}", known)
    return _said(error.status_code, error.detail)


async def _busy(_: Request, __: Exception) -> Response:
    # what is wrong with the store is not for strangers; the daemon tells it
    return _said(503, "the event cannot be recorded now", "Send it again later.")


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


__all__ = ["application"]
