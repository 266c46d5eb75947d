"""What goes wrong in the body of a pipeline while it is composed, as an error of the definition."""

from __future__ import annotations

import re
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from penstock.authoring.pipeline import Composition
from penstock.errors import DefinitionError, PenstockError
from penstock.model.fault import user_traceback


@contextmanager
def composing(pipeline: Composition[..., Any]) -> Generator[None]:
    """What the body of a pipeline itself raises in the block becomes a DefinitionError with the user's traceback."""
    try:
        yield
    except (PenstockError, KeyboardInterrupt):
        raise
    except BaseException as error:
        body = getattr(pipeline.function, "__code__", None)
        if not any(frame.f_code is body for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        told = user_traceback(error).rstrip()
        # what takes no part in the protocols of numbers and containers, such as json.dumps, sees the ref itself
        remedy = "A ref is not the value itself: write value(ref) where a function needs that." if _REF(told) else None
        raise DefinitionError(f"the body of the pipeline {pipeline.name} failed\n{told}", remedy=remedy) from None


_REF = re.compile(r"^TypeError: .*\bRef\b", re.MULTILINE).search

__all__ = ["composing"]
