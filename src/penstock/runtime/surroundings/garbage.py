"""Python's search for garbage, put off for a while."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Generator[None]:
    """Do not look for garbage within the block, if it is looked for at all.

    For what makes a great deal that stays, and next to no garbage: importing, and building a graph. Looking through all of
    that again and again is a tenth of the time that a run takes to begin.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # which makes all that there is old: else the first search would be through all that is new
            gc.freeze()
            gc.unfreeze()
        gc.enable()
