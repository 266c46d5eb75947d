"""Drawings of graphs with bodies, loops, join rules and dynamic parts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import sample_graphs
from msgspec.structs import replace

from penstock.cli.drawing import as_html, as_mermaid, as_svg, as_text
from penstock.model.place import Location
from penstock.observe.bodies import opened
from penstock.observe.outline import edges


def test_bodies_are_laid_open_with_what_they_read_of_each_other() -> None:
    graph = opened(sample_graphs.bodies())
    assert [node.id for node in graph.nodes] == [
        "load",
        "fold",
        "fold/fit",
        "fold/folds",
        "fold/folds/score",
        "tune",
        "tune/step",
        "clean",
        "alarm",
        "sign_off",
    ]
    found = {(edge.source, edge.target): (edge.kind, edge.label) for edge in edges(graph)}
    assert found == {
        ("load", "fold"): ("data", ""),
        ("fold", "fold/fit"): ("body", ""),
        ("fold/fit", "fold/folds"): ("data", ""),
        ("fold/folds", "fold/folds/score"): ("body", ""),
        ("tune", "tune/step"): ("body", ""),
        ("fold/folds/score", "clean"): ("data", "if all done"),
        ("fold/folds/score", "alarm"): ("join", "failed"),
        ("tune/step", "alarm"): ("join", "failed or skipped"),
        ("tune/step", "sign_off"): ("data", ""),
    }


def test_a_graph_without_bodies_stays_as_it_is() -> None:
    graph = sample_graphs.training()
    assert opened(graph) is graph


def test_text_has_bodies_below_their_nodes() -> None:
    lines = as_text(sample_graphs.bodies()).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  fold[*] over load"))
    assert [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "][:2] == ["fit", "folds[*]"]
    assert lines[start].endswith("2 at a time")
    text = "\n".join(lines)
    for words in ("until result >= 3, at most 9 times", "if all done", "decides nothing", "approval"):
        assert words in text


def test_mermaid_has_a_subgraph_for_each_body() -> None:
    text = as_mermaid(sample_graphs.bodies())
    assert re.findall(r'subgraph \w+\["(\w+)"\]', text) == ["fold", "folds", "tune"]
    assert text.count("  end\n") == 3
    assert '-.->|"failed or skipped"|' in text


def test_svg_has_boxes_around_bodies_and_states_in_them() -> None:
    states = {"fold": "failed", "fold/fit": "succeeded", "fold/folds/score": "failed"}
    drawn = as_svg(sample_graphs.bodies(), states)
    root = ElementTree.fromstring(drawn)
    nodes = {element.get("data-node"): element.get("class") for element in root.iter() if element.get("data-node")}
    assert nodes["fold/folds/score"] == "node failed"
    assert nodes["fold/fit"] == "node succeeded"
    assert len(nodes) == 10
    assert sum(element.get("class") == "group" for element in root.iter()) == 3
    assert any(element.get("class") == "edge join" for element in root.iter())


def test_where_a_graph_turns_dynamic_is_said() -> None:
    graph = replace(sample_graphs.linear(), dynamic_at=Location("pipeline.py", 12))
    for drawn in (as_text(graph), as_mermaid(graph), as_svg(graph), as_html(graph)):
        assert "dynamic from pipeline.py:12 on" in drawn
    assert "dynamic" not in as_text(sample_graphs.linear())
