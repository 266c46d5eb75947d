"""Files loaded each in a process of its own, so that none is in the way of another: not by a module of the same name, nor by
what it does while it is loaded."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import msgspec

from penstock.model.options import RunOptions
from penstock.registering.collecting import Collected, Fault, collect
from penstock.registering.places import Place
from penstock.services import Services


def collect_apart(place: Place, options: RunOptions) -> Collected:
    """What there is in a place, loaded by a process that is gone afterwards. Never raises for what is wrong in it."""
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(place, options, write)
    os.close(write)
    try:
        with os.fdopen(read, "rb") as answer:
            document = answer.read()
    finally:
        _, status = os.waitpid(child, 0)
    if not document:
        code = os.waitstatus_to_exitcode(status)
        what = f"the process that loaded {place.origin} has ended without a word"
        what += f", by the signal {-code}" if code < 0 else ""
        return Collected(faults=[Fault(place=place.origin, what=what)])
    return msgspec.msgpack.decode(document, type=Collected)


def _answer(place: Place, options: RunOptions, descriptor: int) -> NoReturn:
    """In the new process: say what there is, and end without anything that belongs to the one that it comes from."""
    try:
        # what was there before is left alone, so that it need not be copied
        gc.freeze()
        services = Services(options)
        with services.looking() as looking:
            collected = collect(place, looking.values, services.project.folder)
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(msgspec.msgpack.encode(collected, enc_hook=str))
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # nothing of the process that this one comes from is to be done twice
        os._exit(0)


__all__ = ["collect_apart"]
