"""An exception of the user's code in a form that survives its process, without a trace of penstock's own frames."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

from penstock.errors import Fail, PenstockError, Retry, SecretError, StoreError, UntrustedError
from penstock.model.event import Fault
from penstock.secrets import masking
from penstock.secrets.signing import NO_KEYS

#: bytes of a pickled exception that are worth keeping in the journal
_LARGEST_PICKLE = 1 << 18

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"
_LIBRARY = f"{Path(os.__file__).parent}{os.sep}"
#: what is installed lies in the folder of the standard library
_INSTALLED = tuple(f"{_LIBRARY}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def fault_of(error: BaseException) -> Fault:
    """What is recorded of an exception: its type, message, the user's traceback, and itself if it can be pickled.

    Its class and those it inherits from are named in `kinds`. `Fail` and `Retry` settle whether the attempt is to be
    repeated, as do a SecretError and an UntrustedError, and a MemoryError tells that it was for want of memory. Secrets that this process has
    read are masked in all of it.
    """
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    return Fault(
        type=name,
        message=_message(error),
        traceback=user_traceback(error),
        pickled=_pickled(error),
        cause="memory" if isinstance(error, MemoryError) else "error",
        kinds=kinds_of(kind),
        retry=False
        if isinstance(error, (Fail, SecretError, UntrustedError))
        else True
        if isinstance(error, Retry)
        else None,
        retry_after=error.after if isinstance(error, Retry) else None,
    )


def fault_as(
    kind: type[PenstockError],
    message: str,
    *,
    traceback: str = "",
    infrastructure: bool = False,
    cause: Literal["error", "timeout", "memory"] = "error",
) -> Fault:
    """What is recorded where nothing was raised: the attempt was ended, or its process is gone."""
    return Fault(
        f"penstock.{kind.__name__}",
        message,
        traceback,
        infrastructure=infrastructure,
        cause=cause,
        kinds=kinds_of(kind),
    )


def kinds_of(kind: type[BaseException]) -> tuple[str, ...]:
    """The names of an exception's class and of those it inherits from: `builtins.OSError`."""
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__ if each is not object)


def _message(error: BaseException) -> str:
    """What the exception says; its `__str__` is the user's code too, and may raise."""
    try:
        return masking.mask(_text(str(error)))
    except Exception as failure:
        return f"(its message cannot be shown: {type(failure).__name__})"


def _text(text: str) -> str:
    """The same text, with what UTF-8 cannot hold (the odd bytes of a file name) written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without penstock's own frames, in the exception and its causes."""
    told = traceback.TracebackException.from_exception(error)
    _strip(told, set())
    if isinstance(error, StoreError) and told.__cause__ is not None:
        # it says what its cause was
        told.__cause__ = None
        told.__suppress_context__ = True
    return masking.mask(_text("".join(told.format())))


def _strip(told: traceback.TracebackException | None, seen: set[int]) -> None:
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    told.stack = traceback.StackSummary.from_list(list(_users(told.stack)))
    _strip(told.__cause__, seen)
    _strip(told.__context__, seen)
    for inner in told.exceptions or ():
        _strip(inner, seen)


def _users(stack: traceback.StackSummary) -> Iterator[traceback.FrameSummary]:
    """The frames without penstock's own, and without those of the standard library that only pass on to these."""
    passed: list[traceback.FrameSummary] = []
    for frame in stack:
        if frame.filename.startswith(_PACKAGE):
            passed.clear()
        elif frame.filename.startswith(_LIBRARY) and not frame.filename.startswith(_INSTALLED):
            passed.append(frame)
        else:
            yield from passed
            passed.clear()
            yield frame
    yield from passed


def _pickled(error: BaseException) -> bytes | None:
    """The exception by cloudpickle; None where it does not come back whole, or drags too much along."""
    import pickle

    import cloudpickle

    try:
        data = cast(Any, cloudpickle).dumps(error)
        again = pickle.loads(data)
        whole = isinstance(again, BaseException)
        if whole and masking.gives_away(data):
            data = cast(Any, cloudpickle).dumps(_masked(again))
            whole = not masking.gives_away(data)
    except Exception:
        return None
    return data if whole and len(data) <= _LARGEST_PICKLE else None


def _masked(error: BaseException) -> BaseException:
    """The exception with secrets masked in the texts that it was made with and that it holds; those deeper in it stay."""
    error.args = tuple(map(masking.masked, error.args))
    for name, value in vars(error).items():
        setattr(error, name, masking.masked(value))
    return error


def exception_of(fault: Fault, opened: Callable[[bytes], bytes] = NO_KEYS.open) -> BaseException | None:
    """The exception itself, with the user's traceback as a note; None if it could not be pickled, or must not be loaded.

    `opened` gives the pickle without its signature, and raises UntrustedError for one that is not trusted.
    """
    import pickle

    if fault.pickled is None:
        return None
    try:
        error = pickle.loads(opened(fault.pickled))
    except Exception:
        return None
    if not isinstance(error, BaseException):
        return None
    if fault.traceback:
        error.add_note(f"\nIn the task:\n{fault.traceback.rstrip()}")
    return error
