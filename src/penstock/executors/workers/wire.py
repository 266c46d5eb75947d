"""Messages between the driver, the fork server and the workers: msgpack with a length in front, on stream sockets."""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec

from penstock.model.work import AnyReport, Job, Work, WorkerSettings

_LENGTH = struct.Struct("<Q")
# A larger buffer is made and thrown away for every message, however small.
_CHUNK = 1 << 16


class Settings(msgspec.Struct, frozen=True, array_like=True, tag="settings"):
    """The first message to the fork server, and to each worker."""

    settings: WorkerSettings


class Define(msgspec.Struct, frozen=True, array_like=True, tag="define"):
    """A piece of work, before the first of its jobs."""

    work: Work


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """Jobs to be done in order; `awake`, if the worker may ask for the next ones before it sleeps."""

    jobs: list[Job]
    awake: bool = False


class Reports(msgspec.Struct, frozen=True, array_like=True, tag="reports"):
    """What a worker has to report."""

    reports: list[AnyReport]


class Break(msgspec.Struct, frozen=True, array_like=True, tag="break"):
    """End attempts that are under way, by work, item and attempt of their jobs."""

    jobs: list[tuple[int, int, int]]


class Fork(msgspec.Struct, frozen=True, array_like=True, tag="fork"):
    """Ask for a worker; its two sockets come along as file descriptors. `number` is its name."""

    number: int
    #: it makes many attempts at once, not one after the other
    shared: bool = False


class Forked(msgspec.Struct, frozen=True, array_like=True, tag="forked"):
    """A worker is there."""

    number: int
    pid: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag="exited"):
    """A worker is gone; `status` as of `waitpid`."""

    number: int
    status: int


class Kill(msgspec.Struct, frozen=True, array_like=True, tag="kill"):
    """Kill a worker and all that it has started; with `begun`, only if it has begun just so many jobs by then."""

    number: int
    begun: int | None = None


class Release(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """A worker is about to leave because it is no longer needed; what it has started may stay."""

    number: int


ToWorker = Settings | Define | Batch
_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(ToWorker)


def frame(message: Any) -> bytes:
    """A message as it goes over the wire."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Incoming:
    """Cuts a stream of bytes into messages of one type."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take in bytes. Returns the messages that are complete."""
        buffer = self._buffer
        buffer += data
        messages: list[Any] = []
        position = 0
        while len(buffer) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, position)
            end = position + _LENGTH.size + length
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                messages.append(self._decoder.decode(view[position + _LENGTH.size : end]))
            position = end
        if position:
            del buffer[:position]
        return messages


def to_worker() -> Incoming:
    """For what workers receive."""
    return Incoming(_to_worker)


def receive(link: socket.socket, incoming: Incoming, flags: int = 0) -> list[Any]:
    """The next messages of a blocking socket. Returns none at its end, and where the flags forbid to wait."""
    while True:
        try:
            data = link.recv(_CHUNK, flags)
        except (BlockingIOError, ConnectionResetError):
            return []
        if not data:
            return []
        messages = incoming.feed(data)
        if messages:
            return messages
