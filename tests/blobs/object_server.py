"""An S3 server in a process of its own, and a wire to it that can be cut."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from penstock.blobs.bucket import Bucket
from penstock.blobs.cache import Cache
from penstock.blobs.cached import CachedBlobs
from penstock.blobs.objects import Objects

#: what a server process runs; it ends when its standard input does
_SERVE = """
import logging, sys
from moto.s3.models import FakeKey
from moto.server import ThreadedMotoServer

class Part:
    # so that a range of a large object is read, and not the whole of it for each
    def __init__(self, key):
        self.key = key
    def __len__(self):
        return self.key.contentsize
    def __getitem__(self, part):
        with self.key.lock:
            self.key._value_buffer.seek(part.start)
            return self.key._value_buffer.read(part.stop - part.start)

whole = FakeKey.value
large = lambda key: key.contentsize > (32 << 20) and key.name.endswith("bytes")
FakeKey.value = property(lambda key: Part(key) if large(key) else whole.fget(key), whole.fset)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False).start()
print("ready", flush=True)
sys.stdin.read()
"""


class ObjectServer:
    """An S3 server on a port of its own, in memory. Anybody may do anything there, unless `admit` says otherwise."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """End it at once; what it had is lost."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        self.ask("PUT", name)

    def admit(self, *, everybody: bool) -> None:
        """Let everybody in, or nobody."""
        self.ask("POST", "moto-api/reset-auth", b"inf" if everybody else b"0")

    def ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """A request without credentials."""
        request = urllib.request.Request(f"{self.endpoint}/{path}", data, {"Content-Type": "text/plain"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()


class Wire:
    """A port that hands everything on to another one, until it is cut; what is under way then is lost."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = free_port()
        #: bytes that still pass, counted in both directions; None for any number
        self.budget: int | None = None
        #: how often a connection was lost on the way
        self.losses = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.mend()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Lose all connections, and take no more."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _close(listener)
        with self._lock:
            for each in self._open:
                _close(each)
            self._open.clear()

    def mend(self) -> None:
        self._listener = listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    if self.budget is not None:
                        self.budget -= len(data)
                        if self.budget < 0:
                            self.budget = None
                            self.losses += 1
                            break
                sink.sendall(data)
        with self._lock:
            self._open -= {source, sink}
        _close(source)
        _close(sink)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(endpoint: str) -> dict[str, str]:
    """The variables with which a server is reached."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_REGION": "us-east-1",
    }


def prefix(folder: Path) -> str:
    """The part of the bucket `blobs` that belongs to a test."""
    return f"blobs/{folder.name}"


def blobs_at(folder: Path, cache: str = "cache", limit: int = 1 << 30) -> CachedBlobs:
    """The blobs of a test, through a cache with a name: one for each machine."""
    return CachedBlobs(Objects(Bucket(f"s3://{prefix(folder)}")), Cache(folder / cache, limit))
