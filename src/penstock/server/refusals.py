"""Requests that are refused."""

from __future__ import annotations


class Refusal(Exception):
    """A request is refused with a status; what is said goes to the sender."""

    def __init__(self, status: int, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.remedy = remedy


__all__ = ["Refusal"]
