"""What starts processes that drive runs: the seam."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from penstock.model.run import RunRecord


class Ended(NamedTuple):
    """A process that was started here and has ended."""

    run_id: str
    #: its exit code; negative for the signal that ended it
    code: int
    #: the last lines that it printed
    said: str


class Launcher(Protocol):
    """Starts processes that drive runs, and that do not end with this one."""

    @property
    def name(self) -> str:
        """What this process is recorded as."""
        ...

    def fire(self, run_id: str) -> None:
        """Start the process that makes the run of a firing. Raises OSError."""
        ...

    def resume(self, run: RunRecord) -> None:
        """Start a process that goes on with a run, in the place of the driver that its record names. Raises OSError."""
        ...

    def drives(self, run_id: str) -> bool:
        """Whether a process that was started here for a run goes on."""
        ...

    def ended(self) -> list[Ended]:
        """The processes that have ended since the last time."""
        ...


__all__ = ["Ended", "Launcher"]
