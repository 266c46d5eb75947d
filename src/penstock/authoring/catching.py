"""Whether a call stands in a `try` that has `except` handlers: its failure is then for the body to deal with."""

from __future__ import annotations

import sys
from types import CodeType, FrameType

from penstock.authoring.source import is_own


def may_be_caught(outermost: CodeType) -> bool:
    """Whether the call into penstock stands, in the text of the user's function or of those that called it, in the body
    of a `try` with handlers, or of a `with suppress(...)`. Looks no further than the call that `outermost` makes."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code is not outermost:
        code = frame.f_code
        # most functions handle no exceptions at all, and their source is not looked at
        if code.co_exceptiontable and not is_own(code.co_filename) and _is_caught(code, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


def _is_caught(code: CodeType, line: int) -> bool:
    # what reads source is loaded by those who handle exceptions in a body
    from penstock.authoring.handlers import caught_lines

    return any(line in lines for lines in caught_lines(code))
