"""Whatever an event holds, the journal gives it back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.stores.events import ANY_EVENT, Maker

from penstock.model.event import AnyEvent
from penstock.model.graph import Graph, from_json, to_json
from penstock.stores.rows import decode_events, events_document, graph_document, graph_of

_QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])


@pytest.mark.parametrize("kind", ANY_EVENT, ids=lambda kind: kind.__name__)
def test_every_event_comes_back(kind: type[AnyEvent]) -> None:
    @_QUIET
    @given(st.lists(ANY_EVENT[kind], min_size=1, max_size=3))
    def check(events: list[Any]) -> None:
        assert decode_events(events_document(events)) == events

    check()


@_QUIET
@given(Maker().of(Graph, 4))
def test_every_graph_comes_back(graph: Graph) -> None:
    graph = msgspec.structs.replace(graph, version=2)
    assert from_json(to_json(graph)) == graph
    assert from_json(graph_of(graph_document(graph))) == graph
