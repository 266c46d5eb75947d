"""A server in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.errors import DefinitionError
from penstock.server.doors import Doors, doors_of
from penstock.services import Services

if TYPE_CHECKING:
    import uvicorn

#: connections at once; seconds that one may be idle; seconds that those that are under way are waited for at the end
_CONNECTIONS, _IDLE, _GRACE = 500, 15, 5


@contextmanager
def listening(
    services: Services, host: str, port: int, told: Callable[[], object], say: Callable[[str], object]
) -> Generator[str]:
    """Take events over HTTP, for the block; `told` is called, in another thread, after some were recorded, and `say` with what
    the owner should know: secrets that cannot be read, requests that were turned away. Yields the address. Port 0 is any that
    is free.

    Raises DefinitionError for settings that are wrong, for an address that cannot be listened at, and where the libraries
    are not installed.
    """
    doors = doors_of(services.project.settings, str(services.project.source or ""))
    for trouble in doors.troubles():
        say(trouble)
    uvicorn = _library()
    from penstock.server.recording import Recording

    bound = _bound(host, port)
    recording = Recording(services.store, told)
    try:
        server = _server(uvicorn, doors, recording, say)
        thread = threading.Thread(target=server.run, args=([bound],), name="penstock-http", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://{_shown(host)}:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join(_GRACE + 1)
    finally:
        bound.close()
        recording.close()


def _server(uvicorn: Any, doors: Doors, recording: Any, say: Callable[[str], object]) -> uvicorn.Server:
    from penstock.server.application import application
    from penstock.server.connections import Connection

    return uvicorn.Server(
        uvicorn.Config(
            application(doors, recording, say),
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            http=Connection,
            loop="asyncio",
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=_GRACE,
        )
    )


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises DefinitionError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise DefinitionError(f"{host!r} is no address here: {error.strerror or error}") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(1024)
    except OSError as error:
        found.close()
        raise DefinitionError(
            f"nothing can listen at {_shown(host)}:{port}: {error.strerror or error}",
            remedy="Name another --port or --host, or end what listens there.",
        ) from None
    return found


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _library() -> Any:
    try:
        import starlette  # noqa: F401 # pyright: ignore[reportUnusedImport]
        import uvicorn
    except ImportError as error:
        raise DefinitionError(
            f"taking events over HTTP needs the package {error.name}, which is not installed",
            remedy="Install it: pip install 'penstock[server]'",
        ) from None
    return uvicorn


__all__ = ["listening"]
