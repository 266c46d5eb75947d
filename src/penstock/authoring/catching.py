"""Whether a call stands in a `try` that has `except` handlers: its failure is then for the body to deal with."""

from __future__ import annotations

from types import CodeType, FrameType

from penstock.authoring.source import is_own


def may_be_caught(calling: FrameType, outermost: CodeType) -> bool:
    """Whether the call that a frame is at stands, in the text of its function or of those that called it, in the body of
    a `try` with handlers, or of a `with suppress(...)`. Looks no further than the call that `outermost` makes."""
    frame: FrameType | None = calling
    while frame is not None and (code := frame.f_code) is not outermost:
        # most functions handle no exceptions at all, and their source is not looked at
        if code.co_exceptiontable and not is_own(code.co_filename) and _is_caught(code, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


def _is_caught(code: CodeType, line: int) -> bool:
    # what reads source is loaded by those who handle exceptions in a body
    from penstock.authoring.handlers import caught_lines

    return any(line in lines for lines in caught_lines(code))
