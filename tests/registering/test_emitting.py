from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError, emit
from penstock.stores.sqlite import SqliteStore


def test_events_are_recorded_once_for_a_source_and_an_id(tmp_path: Path) -> None:
    data = {"day": date(2026, 11, 21), "path": Path("a.csv")}
    for _ in range(2):
        assert emit("upload.done", data, subject="orders", source="uploader", id="7", home=tmp_path) == "7"
    assert emit("upload.done", home=tmp_path) != emit("upload.done", home=tmp_path)
    store = SqliteStore(tmp_path / "penstock.db")
    first, *others = [event for _, event in store.agenda.occurrences()]
    store.close()
    assert (first.source, first.subject, first.data) == ("uploader", "orders", {"day": "2026-11-21", "path": "a.csv"})
    assert len(others) == 2


@pytest.mark.parametrize("given", [{"type": ""}, {"type": 3}, {"type": "x", "id": ""}, {"type": "x", "source": " "}])
def test_an_event_needs_texts(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="is a text, not"):
        emit(**given, home=tmp_path)
    assert not list(tmp_path.iterdir())
