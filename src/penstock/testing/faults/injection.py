"""Faults put into running code from outside: the methods of a place are wrapped, in this process and in the workers
that it starts. Nothing in penstock itself knows of it."""

from __future__ import annotations

import errno
import functools
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.errors import DefinitionError, StoreError
from penstock.testing.faults.points import AFTER, BEFORE, Method, Place, methods, place_of, points

#: how workers are told what is to go wrong in them
VARIABLE: Final = "PENSTOCK_TESTING_FAULTS"
_CHILD = "penstock.testing.faults.child"
#: file in the folder of counts with a line for each fault that has struck
_STRUCK = "struck"


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong: `action` at a `point`, when it is reached for the `occurrence`-th time by any process
    of a command, counted from 1; None for every time.

    Actions are `kill` (SIGKILL to the process that is there), `stop` (SIGSTOP), `delay=SECONDS`, the name of an error
    of the operating system (`ENOSPC`, `EIO`), and `count`, which does nothing.
    """

    point: str
    occurrence: int | None = 1
    action: str = "kill"

    def __str__(self) -> str:
        return f"{self.point}:{'*' if self.occurrence is None else self.occurrence}"


class _Plan(msgspec.Struct, frozen=True):
    """What is to go wrong, and the folder in which all processes count."""

    faults: tuple[Fault, ...]
    counts: str


def fault(text: str, action: str = "kill") -> Fault:
    """A fault from `POINT`, `POINT:OCCURRENCE` or `POINT:*`: `store.commit:after:7`. A point without a moment is
    `:before`. Raises DefinitionError for a point or an action that there is not."""
    name, _, last = text.rpartition(":")
    numbered = last.isdigit() or last == "*"
    point, occurrence = (name, None if last == "*" else int(last)) if numbered else (text, 1)
    if ":" not in point:
        point = f"{point}:{BEFORE}"
    if place_of(point) is None or occurrence == 0:
        raise DefinitionError(
            f"there is no fault point {text!r}", remedy="See them: python -m penstock.testing.faults --list"
        )
    if not _is_action(action):
        raise DefinitionError(
            f"there is no action {action!r}", remedy="Use kill, stop, delay=SECONDS, count, or an error such as ENOSPC."
        )
    return Fault(point, occurrence, action)


def _is_action(action: str) -> bool:
    if action.startswith("delay="):
        number = action.removeprefix("delay=")
        return number.replace(".", "", 1).isdigit()
    return action in ("kill", "stop", "count") or isinstance(getattr(errno, action, None), int)


def counted(counts: Path) -> dict[str, int]:
    """How many times each point was reached, of those that faults are about, from the folder of counts."""
    return {name: (counts / name).stat().st_size for name in points() if (counts / name).exists()}


def struck(counts: Path) -> list[str]:
    """The faults that have struck, in order."""
    path = counts / _STRUCK
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def injected(faults: Iterable[Fault], counts: Path) -> Generator[None]:
    """Have faults strike in this process and in the workers that it starts, for the block. The folder `counts` is where
    all of them count."""
    plan = _Plan(tuple(faults), str(counts))
    counts.mkdir(parents=True, exist_ok=True)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = msgspec.json.encode(plan).decode()
    restored = [*_wrapped(plan), _worker_modules_extended()]
    try:
        yield
    finally:
        for restore in reversed(restored):
            restore()
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def inject_as_told() -> None:
    """Have the faults strike in this process, for good, that its parent was told of."""
    told = os.environ.get(VARIABLE)
    if told is not None:
        _wrapped(msgspec.json.decode(told, type=_Plan))


def _wrapped(plan: _Plan) -> list[Callable[[], None]]:
    """Wrap the methods of all places that faults are about. Returns what undoes it."""
    restored: list[Callable[[], None]] = []
    places = {place.name: place for each in plan.faults if (place := place_of(each.point)) is not None}
    for place in places.values():
        for method in methods(place):
            restored.append(_replaced(method, _wrapper(getattr(method.owner, method.name), place, plan)))
    return restored


def _wrapper(original: Callable[..., Any], place: Place, plan: _Plan) -> Callable[..., Any]:
    first, last = (
        [each for each in plan.faults if each.point == f"{place.name}:{moment}"] for moment in (BEFORE, AFTER)
    )

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        _reach(first, place, plan)
        result = original(*args, **kwargs)
        _reach(last, place, plan)
        return result

    return method


def _replaced(method: Method, function: Any) -> Callable[[], None]:
    """Put a function in the place of another. Returns what undoes it."""
    original = getattr(method.owner, method.name)
    setattr(method.owner, method.name, function)
    return functools.partial(setattr, method.owner, method.name, original)


def _worker_modules_extended() -> Callable[[], None]:
    """Have all workers import what puts the faults into them."""
    from penstock.model.work import Imported
    from penstock.services import Services

    original = Services.worker_settings

    @functools.wraps(original)
    def extended(*args: Any, **kwargs: Any) -> Any:
        settings = original(*args, **kwargs)
        return msgspec.structs.replace(settings, modules=(*settings.modules, Imported(_CHILD, "")))

    return _replaced(Method(Services, "worker_settings"), extended)


def _reach(faults: Sequence[Fault], place: Place, plan: _Plan) -> None:
    if not faults:
        return
    ordinal = _append(Path(plan.counts, faults[0].point), b".")
    for each in faults:
        if each.occurrence in (None, ordinal) and each.action != "count":
            _append(Path(plan.counts, _STRUCK), f"{each.point}:{ordinal} {each.action} {os.getpid()}\n".encode())
            _strike(each.action, place)


def _append(path: Path, data: bytes) -> int:
    """Add to a file. Returns how long it is with that, whoever else adds to it."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, data)
        return os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)


def _strike(action: str, place: Place) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action.startswith("delay="):
        time.sleep(float(action.removeprefix("delay=")))
    else:
        number = getattr(errno, action)
        error = OSError(number, os.strerror(number))
        if place.records:
            raise StoreError(f"{place.name}: {error.strerror}", remedy="This is a fault that was injected.") from error
        raise error


__all__ = ["VARIABLE", "Fault", "counted", "fault", "inject_as_told", "injected", "struck"]
