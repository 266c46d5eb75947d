"""Numbers as people read them."""

from __future__ import annotations

from penstock.model.amounts import size


def duration(seconds: float) -> str:
    """A duration: `12 ms`, `0.31 s`, `8.2 s`, `42 s`, `3 min 02 s`, `2 h 05 min`, `3 d 04 h`."""
    if seconds < 0.0995:
        milliseconds = round(max(seconds, 0.0) * 1000)
        return f"{milliseconds} ms" if milliseconds else "<1 ms"
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 task`, `12 tasks`, `12,000 tasks`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def number(value: float) -> str:
    """A metric: whole numbers as they are, others to four significant digits or four places."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e9):
        return f"{int(value):,}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10_000 else f"{value:.4g}"


__all__ = ["counted", "duration", "number", "size"]
