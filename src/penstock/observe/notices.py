"""What penstock itself has to say about a run, such as which changes of the code it cannot see: each text once."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.graph import Graph
from penstock.model.run import RunRecord, item_id
from penstock.model.work import NOTICE, AnyReport, Line
from penstock.ports import Said, Turn


class Notices:
    """Tells which notices of a run have not been told yet."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, said: Said, line: Line) -> str | None:
        """How a line reads for people: `note | fit: values of type ...`; None for no notice, and for one of old."""
        if line.stream != NOTICE or line.text in self._told:
            return None
        self._told.add(line.text)
        # what is about the run as a whole has no node
        return f"note | {item_id(said.node, said.item)}: {line.text}" if said.node else f"note | {line.text}"


class LoggedNotices:
    """Logs the notices of a run as warnings of the logger `penstock`: an observer for runs without a display, because
    most notices are given in one run only."""

    def __init__(self) -> None:
        self._notices = Notices()

    def watch(self, run: RunRecord, graph: Graph) -> None:
        pass

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        for said in turn.said:
            for line in said.lines:
                text = self._notices.new(said, line)
                if text is not None:
                    _warn(text)

    def close(self) -> None:
        pass


def _warn(text: str) -> None:
    # most runs have nothing to log
    import logging

    logging.getLogger("penstock").warning("%s", text)


__all__ = ["LoggedNotices", "Notices"]
