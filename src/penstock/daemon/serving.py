"""A daemon in this process: its adapters, its loop, and its end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from penstock.daemon.children import Children
from penstock.daemon.heart import Heart
from penstock.daemon.inquiries import Poll
from penstock.daemon.isolation import Isolated
from penstock.daemon.loop import Daemon, Part, Settings
from penstock.daemon.notices import Tell
from penstock.ports import Store
from penstock.services import Services, SystemClock

#: the file that a daemon holds, so that another one can say that it is not alone
_LOCK = "daemon.lock"


class Stopped(BaseException):
    """Somebody wants this process to end."""


class Serving:
    """A daemon that serves a project from this process."""

    def __init__(
        self,
        services: Services,
        store: Store,
        tell: Tell,
        *,
        settings: Settings | None = None,
        polls: Mapping[str, Poll] = {},
        parts: Sequence[Part] = (),
    ) -> None:
        folder = Path.cwd()
        self._children = Children(services.log_folder(), folder)
        self._isolated = Isolated(folder, polls)
        clock = SystemClock()
        self._heart = Heart(store.agenda, clock, self._children.name)
        every = [self._heart, *parts]
        self.daemon = Daemon(
            store, clock, self._children, self._isolated, tell, settings=settings or Settings(), parts=every
        )
        #: how many processes that were started here went on when it ended
        self.left = 0

    def serve(self, *, once: bool = False, until: Callable[[], bool] | None = None) -> bool:
        """Serve until a signal comes; with `once`, until everything has been looked at, all that was due is recorded, and
        what may start has been started; with `until`, until that holds, which is asked whenever nothing need be done.
        Whether no signal came. Raises StoreError for a store that is of a newer penstock, and with `once` for one that
        cannot be reached."""
        try:
            with suppress(Stopped), _stoppable():
                for seconds in self.daemon.turns():
                    if not seconds:
                        continue
                    if once and self.daemon.trouble is not None:
                        raise self.daemon.trouble
                    if (once and self.daemon.settled) or (until is not None and until()):
                        return True
                    self._isolated.wait(seconds)
        finally:
            self._isolated.close()
            self.daemon.give_back()
            self._heart.stop()
            self.left = self._children.leave()
        return False

    def wake(self) -> None:
        """Look at what has happened now; from another thread."""
        self._isolated.wake()


@contextmanager
def _stoppable() -> Generator[None]:
    """SIGTERM and Ctrl-C end the block by Stopped, wherever it is: nothing that is not recorded is lost by that."""

    def stop(*_: object) -> None:
        raise Stopped

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def alone(home: Path) -> Generator[bool]:
    """Whether no other daemon on this machine serves the same project, for the block. Others are welcome; it is only said."""
    import fcntl

    with (home / _LOCK).open("a+") as lock:
        yield _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _locked(lock: IO[str], how: int) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, how)
    except OSError:
        return False
    return True


__all__ = ["Serving", "Stopped", "alone"]
