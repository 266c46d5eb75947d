"""What is to be said once of where a run keeps its state."""

from __future__ import annotations

from pathlib import Path

from penstock.runtime.hooks.line import Complaint
from penstock.runtime.surroundings.mounts import OFF_NETWORK, network_mount, on_network


class PlaceNotices:
    """Says, the first time it is asked, that the file of the store (None: there is none) is on a network file system."""

    def __init__(self, database: Path | None) -> None:
        self._database = database

    def take_complaints(self) -> list[Complaint]:
        database, self._database = self._database, None
        mount = None if database is None else network_mount(database)
        return [] if mount is None else [Complaint("", -1, 0, f"{on_network(mount)}. {OFF_NETWORK}")]


__all__ = ["PlaceNotices"]
