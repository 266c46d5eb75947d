"""The graph of assets, and selections of it."""

from __future__ import annotations

import pytest

from penstock import DefinitionError
from penstock.model.asset import AssetInput, AssetSpec
from penstock.runtime.assets.graph import AssetGraph
from penstock.runtime.assets.selecting import select


def spec(name: str, *inputs: str, **more: object) -> AssetSpec:
    return AssetSpec(name=name, inputs=tuple(AssetInput(each, each) for each in inputs), **more)  # pyright: ignore[reportArgumentType]


GRAPH = AssetGraph(
    [
        spec("report", "model", "data_b"),
        spec("model", "features", tags=("daily",), owners=("ada",)),
        spec("features", "data_a", group="features"),
        spec("data_a", group="raw", tags=("daily", "slow")),
        spec("data_b", group="raw", owners=("bob",)),
        spec("orders", external=True),
    ]
)
STATES = {"stale": lambda: ["model", "report"], "missing": lambda: ["data_b"]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("model", "model"),
        ("+model", "data_a features model"),
        ("1+model", "features model"),
        ("features+", "features model report"),
        ("features+1", "features model"),
        ("+features+", "data_a features model report"),
        ("data_*", "data_a data_b"),
        ("*", "data_a data_b orders features model report"),
        ("group:raw", "data_a data_b"),
        ("tag:daily", "data_a model"),
        ("owner:ada, owner:bob", "data_b model"),
        ("kind:external", "orders"),
        ("group:raw & tag:slow", "data_a"),
        ("+model -group:raw", "features model"),
        ("* - group:raw -orders", "features model report"),
        ("-+model", "data_b orders report"),
        ("not group:raw & not orders", "features model report"),
        ("stale()", "model report"),
        ("stale() & tag:daily", "model"),
        ("missing()+", "data_b report"),
        ("(model data_b) & owner:bob", "data_b"),
        ("(features)+1", "features model"),
        ("+(model)", "data_a features model"),
        ("model,features", "features model"),
    ],
)
def test_what_a_selection_means(text: str, names: str) -> None:
    assert sorted(select(text, GRAPH, STATES)) == sorted(names.split())


def test_a_selection_comes_in_the_order_in_which_it_is_made() -> None:
    found = select("*", GRAPH)
    assert found.index("data_a") < found.index("features") < found.index("model") < found.index("report")


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("modle", "there is no asset 'modle'; did you mean model?", 0),
        ("model &", "an asset is missing here", 7),
        ("model,", "a name is missing after the comma", 6),
        (", model", "a name is missing before the comma", 0),
        ("group:raww", "no asset has the group 'raww'; did you mean raw?", 0),
        ("model grup:raw", "there is no grup:; did you mean group:?", 6),
        ("stal()", "there is no stal(); did you mean stale()?", 0),
        ("late()", "late() cannot be asked here", 0),
        ("(model", "a closing parenthesis is missing", 6),
        ("model)", "this closes nothing", 5),
        ("zz*", "no asset is called like 'zz*'", 0),
        ("", "an asset is missing here", 0),
    ],
)
def test_what_is_no_selection_is_pointed_at(text: str, message: str, at: int) -> None:
    with pytest.raises(DefinitionError) as refused:
        select(text, GRAPH, STATES)
    what, shown, mark = refused.value.what.split("\n")
    assert what == f"in the selection: {message}"
    assert shown == f"    {text}"
    assert mark == " " * (4 + at) + "^"


def test_an_input_that_is_no_asset() -> None:
    with pytest.raises(DefinitionError, match="model takes 'featurs', and there is no asset of that name") as refused:
        AssetGraph([spec("features"), spec("model", "featurs")])
    assert "Did you mean features?" in str(refused.value.remedy)


def test_two_assets_of_a_name() -> None:
    with pytest.raises(DefinitionError, match="two assets are called 'model'"):
        AssetGraph([spec("model"), spec("model")])


def test_a_circle_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"in a circle: .*a -> .*b"):
        AssetGraph([spec("a", "b"), spec("b", "a")])


def test_the_value_of_what_is_made_elsewhere_cannot_be_taken() -> None:
    with pytest.raises(DefinitionError, match="which is made elsewhere and has none here"):
        AssetGraph([spec("orders", external=True), spec("model", "orders")])
