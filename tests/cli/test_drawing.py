from __future__ import annotations

import json
import re
from html import unescape
from xml.etree import ElementTree

import msgspec
import pytest
import sample_graphs

from penstock.cli import drawing
from penstock.model.graph import Graph, to_json
from penstock.model.policy import Caching, Policy
from penstock.observe.outline import policy_words

SVG = "{http://www.w3.org/2000/svg}"
GRAPHS = [
    sample_graphs.linear(),
    sample_graphs.training(),
    sample_graphs.nested(),
    sample_graphs.large(),
    sample_graphs.hostile(),
]
every_graph = pytest.mark.parametrize("graph", GRAPHS, ids=["linear", "training", "nested", "large", "hostile"])


def svg_of(graph: Graph, states: dict[str, str] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.as_svg(graph, states))


def boxes(root: ElementTree.Element, kind: str) -> dict[str, tuple[float, float, float, float]]:
    """name -> (left, top, right, bottom) of every node or group."""
    found: dict[str, tuple[float, float, float, float]] = {}
    for number, element in enumerate(root.iter(f"{SVG}g")):
        if (element.get("class") or "").split()[0] == kind:
            rect = element.find(f"{SVG}rect")
            assert rect is not None
            x, y, width, height = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
            found[element.get("data-node") or str(number)] = (x, y, x + width, y + height)
    return found


def test_text_of_a_training_pipeline_says_what_each_task_reads() -> None:
    assert drawing.as_text(sample_graphs.training()) == (
        """\
training: Train, gate and register a classifier.

parameters
  source: Path  (required)
  threshold: float = 0.95
  seed: int = 7

tasks
  ingest                  source
  validate                data ← ingest
  split                   data ← validate, seed
  candidates              algorithms = ['forest', 'logistic']
  fit[*] over candidates  train ← split.train, folds = 5
  best                    results ← fit
  train                   train ← split.train, params ← best.params
  evaluate                model ← train, test ← split.test
  register                model ← train
                          when evaluate.accuracy >= threshold
  explain                 accuracy ← evaluate.accuracy
                          when not (evaluate.accuracy >= threshold)
  report                  metrics ← evaluate
                          after validate

returns  report
"""
    )


def test_text_indents_groups_below_their_names() -> None:
    lines = drawing.as_text(sample_graphs.nested()).splitlines()
    assert lines[lines.index("  features/") + 1].startswith("    scale")
    assert lines[lines.index("    text/") + 1].startswith("      tokenize")


@every_graph
def test_text_keeps_to_the_width_and_to_ascii(graph: Graph) -> None:
    text = drawing.as_text(graph, width=60, ascii_only=True)
    assert text.isascii()
    assert [line for line in text.splitlines()[1:] if len(line) > 60] == []


def test_text_of_an_empty_graph() -> None:
    assert drawing.as_text(sample_graphs.graph("nothing", [])) == "nothing\n\nno tasks\n"


@every_graph
def test_a_graph_that_was_json_is_drawn_the_same(graph: Graph) -> None:
    again = msgspec.json.decode(to_json(graph), type=Graph)
    assert drawing.as_text(again) == drawing.as_text(graph)
    assert drawing.as_svg(again) == drawing.as_svg(graph)
    assert drawing.as_mermaid(again) == drawing.as_mermaid(graph)


def test_mermaid_has_subgraphs_and_labelled_conditions() -> None:
    nested = drawing.as_mermaid(sample_graphs.nested())
    assert nested.startswith("flowchart TD\n")
    assert '  subgraph g0["features"]\n    n1["scale"]\n    subgraph g1["text"]\n' in nested
    assert nested.count("subgraph ") == nested.count("end\n") == 3
    training = drawing.as_mermaid(sample_graphs.training())
    assert '  n7 -.->|"when evaluate.accuracy #62;= threshold"| n8\n' in training
    assert 'n4[["fit[*]<br/>over candidates"]]' in training


@every_graph
def test_mermaid_is_made_of_nothing_but_known_lines(graph: Graph) -> None:
    label = r'"(?:[^\W]|[ .,:=+/()\[\]*\'-]|#\d+;|<br/>)*"'
    line = re.compile(
        rf"flowchart TD|\s+n\d+(\[{label}\]|\[\[{label}\]\])|\s+subgraph g\d+\[{label}\]|\s+end"
        rf"|  n\d+ (-->|-\.->)(\|{label}\|)? n\d+"
    )
    assert [text for text in drawing.as_mermaid(graph).splitlines() if not line.fullmatch(text)] == []


@every_graph
def test_svg_shows_every_node_once_and_no_two_on_top_of_each_other(graph: Graph) -> None:
    found = boxes(svg_of(graph), "node")
    assert set(found) == {node.id for node in graph.nodes}
    names = list(found)
    for place, name in enumerate(names):
        left, top, right, bottom = found[name]
        for other in names[place + 1 :]:
            x0, y0, x1, y1 = found[other]
            assert right <= x0 or x1 <= left or bottom <= y0 or y1 <= top, (name, other)


@every_graph
def test_svg_draws_every_node_below_what_it_waits_for(graph: Graph) -> None:
    found = boxes(svg_of(graph), "node")
    for node in graph.nodes:
        for name in node.upstream():
            assert found[name][3] <= found[node.id][1], (name, node.id)


def test_svg_puts_groups_around_their_members_only() -> None:
    root = svg_of(sample_graphs.nested())
    outer, inner, _evaluate = boxes(root, "group").values()
    nodes = boxes(root, "node")

    def inside(node: str, group: tuple[float, float, float, float]) -> bool:
        box = nodes[node]
        return group[0] <= box[0] and group[1] <= box[1] and box[2] <= group[2] and box[3] <= group[3]

    assert [name for name in nodes if inside(name, outer)] == [
        "features/scale",
        "features/text/tokenize",
        "features/text/embed",
        "features/join",
    ]
    assert [name for name in nodes if inside(name, inner)] == ["features/text/tokenize", "features/text/embed"]


def test_svg_tells_states_by_colour_shape_and_word() -> None:
    root = svg_of(sample_graphs.training(), {"ingest": "cached", "fit": "failed", "best": "upstream_failed"})
    node = next(element for element in root.iter(f"{SVG}g") if element.get("data-node") == "best")
    assert "upstream_failed" in (node.get("class") or "")
    assert [text.text for text in node.iter(f"{SVG}text")] == ["best", "upstream failed"]
    badges = [element.get("d") for element in root.iter(f"{SVG}path") if element.get("class") == "badge"]
    assert len(badges) == len(set(badges)) == 3


def test_svg_takes_a_state_it_does_not_know() -> None:
    root = svg_of(sample_graphs.linear(), {"ingest": "<odd>"})
    assert any(text.text == "<odd>" for text in root.iter(f"{SVG}text"))


def test_svg_tooltips_tell_place_and_inputs() -> None:
    root = svg_of(sample_graphs.training())
    node = next(element for element in root.iter(f"{SVG}g") if element.get("data-node") == "register")
    title = node.findtext(f"{SVG}title")
    assert title == (
        "register\nregister at examples/training/pipeline.py:70\nmodel = train\nwhen evaluate.accuracy >= threshold"
    )


def test_svg_of_an_empty_graph_is_well_formed() -> None:
    assert boxes(svg_of(sample_graphs.graph("nothing", [])), "node") == {}


@every_graph
def test_page_loads_nothing_and_carries_the_details(graph: Graph) -> None:
    page = drawing.as_html(graph, {graph.nodes[0].id: "succeeded"})
    assert not re.search(r"(?:src|href)\s*=|url\((?!#)|@import", page)
    found = re.findall(r'<script id="details" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    details = json.loads(found[0])
    assert details["name"] == graph.name
    assert list(details["nodes"]) == [node.id for node in graph.nodes]
    assert page.count("<script") == page.count("</script>") == 2
    title = re.search(r"<title>(.*?)</title>", page)
    assert title is not None
    assert unescape(title[1]) == graph.name


def test_page_details_of_a_mapped_node() -> None:
    page = drawing.as_html(sample_graphs.training(), {"fit": "failed"})
    details = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])
    facts, inputs, outputs = (dict(rows) for _, rows in details["nodes"]["fit"]["sections"])
    assert facts == {
        "state": "failed",
        "task": "pipeline.fit",
        "defined at": "examples/training/pipeline.py:14",
        "called at": "examples/training/pipeline.py:65",
        "mapped over": "candidates",
        "policy": "2 retries, 1.5 s apart",
    }
    assert inputs == {"candidate": "each of candidates", "train": "split.train", "folds": "5"}
    assert outputs == {"result": "DataFrame"}


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(), []),
        (Policy(cache=False), ["never cached"]),
        (Policy(cache=False, caching=Caching(effects=True)), ["has side effects"]),
        (Policy(caching=Caching(lifetime=43_200.0)), ["cached for 12 h"]),
        (Policy(caching=Caching(lifetime=90.0), tags=("slow",)), ["cached for 90 s", "tags: slow"]),
    ],
)
def test_a_policy_says_how_results_are_used_again(policy: Policy, words: list[str]) -> None:
    assert policy_words(policy) == words
