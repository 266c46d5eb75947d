"""What a mapped node runs over, what its items are called, and what becomes of them together."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import Bench, body, graph, node

from penstock.model.expression import Apply, Choose, Constant, Get, Input, Item, Output, Parameter
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Each
from penstock.model.run import RunState


def double(x: int) -> int:
    return 2 * x


def add(x: int, y: int) -> int:
    return x + y


def picky(x: int) -> int:
    if x == 2:
        raise ValueError("2 will not do")
    return x


def named(count: int) -> dict[str, int]:
    return {f"k{number}": number for number in range(count)}


def numbers(count: int) -> list[int]:
    return list(range(count))


TASKS: dict[str, Any] = {"double": double, "add": add, "picky": picky, "named": named, "numbers": numbers}


def each(over: dict[str, Any], **details: Any) -> Each:
    return Each(
        {k: v if isinstance(v, Output | MappingExpression) else Constant(v) for k, v in over.items()}, **details
    )


def test_over_a_dict_the_results_are_a_dict(bench: Bench) -> None:
    mapped = node("fit", "double", {"x": Item("x")}, each=each({"x": {"rf": 1, "gb": 2}}))
    ended = bench.run(graph(mapped, result=Output("fit")), TASKS)
    assert ended.result == {"rf": 2, "gb": 4}
    assert ended.states == {"fit[rf]": "succeeded", "fit[gb]": "succeeded"}


@pytest.mark.parametrize("count", [0, 3])
def test_over_a_dict_that_is_not_known_yet(bench: Bench, count: int) -> None:
    made = node("named", "named", {"count": count})
    mapped = node("fit", "double", {"x": Item("x")}, each=each({"x": Output("named")}))
    again = node("again", "double", {"x": Item("x")}, each=each({"x": Output("fit")}))
    ended = bench.run(graph(made, mapped, again, result=Output("again")), TASKS)
    assert ended.result == {f"k{number}": 4 * number for number in range(count)}
    assert "again[k1]" in ended.states or not count


def test_dicts_in_step_go_by_their_keys_in_any_order(bench: Bench) -> None:
    over = each({"x": {"a": 1, "b": 2}, "y": {"b": 20, "a": 10}})
    mapped = node("sum", "add", {"x": Item("x"), "y": Item("y")}, each=over)
    assert bench.run(graph(mapped, result=Output("sum")), TASKS).result == {"a": 11, "b": 22}


def test_dicts_with_different_keys_are_refused(bench: Bench) -> None:
    over = each({"x": {"a": 1, "b": 2}, "y": {"a": 1, "c": 2}})
    mapped = node("sum", "add", {"x": Item("x"), "y": Item("y")}, each=over)
    ended = bench.run(graph(mapped, result=Output("sum")), TASKS)
    assert ended.state is RunState.FAILED
    assert "only one of x and y has b, c (pipeline.py:7)" in ended.fault("sum")


def test_a_product_varies_the_last_fastest(bench: Bench) -> None:
    over = each({"x": [10, 20], "y": range(3)}, mode="product")
    mapped = node("sum", "add", {"x": Item("x"), "y": Item("y")}, each=over)
    assert bench.run(graph(mapped, result=Output("sum")), TASKS).result == [10, 11, 12, 20, 21, 22]


def test_a_product_over_a_dict_joins_keys_and_numbers(bench: Bench) -> None:
    over = each({"x": {"a": 10, "b": 20}, "y": [1, 2]}, mode="product")
    mapped = node("sum", "add", {"x": Item("x"), "y": Item("y")}, each=over)
    assert bench.run(graph(mapped, result=Output("sum")), TASKS).result == {"a,0": 11, "a,1": 12, "b,0": 21, "b,1": 22}


def test_keys_of_the_users_choice_name_the_items_of_a_list(bench: Bench) -> None:
    over = each({"x": [1, 5]}, key=Apply("add", (Constant("n"), Get(Constant(["0", "1", "2", "3", "4", "5"]), 1))))
    named_by = Each(over.over, key=Apply("mul", (Item("x"), Constant(10))))
    mapped = node("fit", "double", {"x": Item("x")}, each=named_by)
    ended = bench.run(graph(mapped, result=Output("fit")), TASKS)
    assert ended.result == [2, 10]
    assert list(ended.states) == ["fit[10]", "fit[50]"]


@pytest.mark.parametrize(
    ("elements", "key", "told"),
    [
        (["a", "b", "a"], Item("x"), "items 0 and 2 are both called 'a'"),
        (["a", ""], Item("x"), "that of item 1 is"),
        ([{"n": "a"}, {}], Get(Item("x"), "n"), "KeyError"),
    ],
)
def test_keys_that_will_not_do(bench: Bench, elements: Any, key: Any, told: str) -> None:
    mapped = node("fit", "double", {"x": Item("x")}, each=each({"x": elements}, key=key))
    ended = bench.run(graph(mapped), TASKS)
    assert ended.states == {"fit": "failed"}
    assert told in ended.fault("fit")


def test_elements_spread_over_the_inputs(bench: Bench) -> None:
    over = each({"*": [{"x": 1, "y": 2}, {"y": 20, "x": 10}]}, spread="*")
    mapped = node("sum", "add", each=over)
    assert bench.run(graph(mapped, result=Output("sum")), TASKS).result == [3, 30]


def test_elements_spread_beside_what_is_fixed(bench: Bench) -> None:
    mapped = node("sum", "add", {"y": 5}, each=each({"*": [{"x": 1}, {"x": 2}]}, spread="*"))
    assert bench.run(graph(mapped, result=Output("sum")), TASKS).result == [6, 7]


@pytest.mark.parametrize(
    ("element", "told"),
    [
        ({"x": 1, "z": 2}, "z unknown; y missing"),
        ({"x": 1}, "y missing"),
        ({"x": 1, "y": 2, "w": 3}, "w unknown"),
        (7, "takes dicts of inputs, not int"),
    ],
)
def test_elements_that_do_not_fit_the_inputs(bench: Bench, element: Any, told: str) -> None:
    mapped = node("sum", "add", each=each({"*": [{"x": 1, "y": 2}, element]}, spread="*"))
    ended = bench.run(graph(mapped), TASKS)
    assert ended.states == {"sum[0]": "succeeded", "sum[1]": "failed"}
    assert told in ended.fault("sum[1]")


def test_unknown_inputs_go_where_the_task_takes_any(bench: Bench) -> None:
    def open_to_all(x: int, **rest: int) -> int:
        return x + sum(rest.values())

    mapped = node("sum", "open", each=each({"*": [{"x": 1, "y": 2}, {"x": 10, "z": 20}]}, spread="*"))
    assert bench.run(graph(mapped, result=Output("sum")), {"open": open_to_all}).result == [3, 30]


def test_the_same_item_with_other_input_names_is_not_taken_for_it(bench: Bench) -> None:
    def either(x: int = 0, y: int = 0) -> list[int]:
        return [x, y]

    mapped = node("pair", "either", each=each({"*": [{"x": 1}, {"y": 1}]}, spread="*"))
    assert bench.run(graph(mapped, result=Output("pair")), {"either": either}).result == [[1, 0], [0, 1]]


def test_failures_that_are_tolerated_are_left_out(bench: Bench) -> None:
    mapped = node("fit", "picky", {"x": Item("x")}, each=each({"x": [1, 2, 3]}, failure_threshold=1))
    ended = bench.run(graph(mapped, result=Output("fit")), TASKS)
    assert (ended.state, ended.result) == (RunState.SUCCEEDED, [1, 3])
    keyed = node("fit", "picky", {"x": Item("x")}, each=each({"x": {"a": 1, "b": 2, "c": 3}}, failure_threshold=0.5))
    assert bench.run(graph(keyed, result=Output("fit")), TASKS).result == {"a": 1, "c": 3}


def test_text_is_not_taken_apart(bench: Bench) -> None:
    mapped = node("fit", "double", {"x": Item("x")}, each=Each({"x": Parameter("text")}))
    ended = bench.run(graph(mapped), TASKS, parameters={"text": "abc"})
    assert "fit cannot be mapped over x, which is str, not a list" in ended.fault("fit")


def test_a_set_is_taken_in_the_same_order_every_time(bench: Bench) -> None:
    mapped = node("fit", "double", {"x": Item("x")}, each=Each({"x": Parameter("some")}))
    first = bench.run(graph(mapped, result=Output("fit")), TASKS, parameters={"some": {"b", "a", "c"}})
    again = bench.run(graph(mapped, result=Output("fit")), TASKS, parameters={"some": {"c", "a", "b"}})
    assert first.result == again.result
    assert sorted(first.result) == ["aa", "bb", "cc"]
    assert [record.state.value for record in again.attempts] == ["cached"] * 3


# Streams.


def test_items_go_through_one_by_one(bench: Bench) -> None:
    order: list[str] = []

    def first(x: int) -> int:
        order.append(f"first {x}")
        return x

    def second(x: int) -> int:
        order.append(f"second {x}")
        return 10 * x

    once = node("once", "first", {"x": Item("x")}, each=each({"x": range(40)}, max_parallel=2))
    twice = node("twice", "second", {"x": Item("x")}, each=each({"x": Output("once")}))
    ended = bench.run(graph(once, twice, result=Output("twice")), {"first": first, "second": second})
    assert ended.result == [10 * number for number in range(40)]
    assert order.index("second 0") < order.index("first 39")


def test_a_failed_item_takes_its_own_successors_with_it_and_no_others(bench: Bench) -> None:
    once = node("once", "picky", {"x": Item("x")}, each=each({"x": {"a": 1, "b": 2, "c": 3}}))
    twice = node("twice", "double", {"x": Item("x")}, each=each({"x": Output("once")}))
    ended = bench.run(graph(once, twice), TASKS)
    assert ended.states["twice[a]"] == ended.states["twice[c]"] == "succeeded"
    assert ended.states["twice[b]"] == "upstream_failed"


def test_the_successor_of_a_failed_item_may_do_without_it(bench: Bench) -> None:
    def show(x: int | None) -> str:
        return f"got {x}"

    once = node("once", "picky", {"x": Item("x")}, each=each({"x": [1, 2]}))
    twice = node("twice", "show", {"x": Item("x")}, each=each({"x": Output("once")}), join="all_done")
    ended = bench.run(graph(once, twice, result=Output("twice")), {**TASKS, "show": show})
    assert ended.states["twice[0]"] == ended.states["twice[1]"] == "succeeded"


def test_a_generator_streams_into_a_map(bench: Bench) -> None:
    def count(upto: int) -> Any:
        yield from range(upto)

    made = node("count", "count", {"upto": 5})
    mapped = node("fit", "double", {"x": Item("x")}, each=each({"x": Output("count")}))
    after = node("after", "double", {"x": Item("x")}, each=each({"x": Output("fit")}))
    ended = bench.run(graph(made, mapped, after, result=[Output("count"), 0][0:1][0]), {**TASKS, "count": count})
    assert ended.result == [0, 1, 2, 3, 4]
    assert ended.states["fit[4]"] == ended.states["after[4]"] == "succeeded"
    again = bench.run(graph(made, mapped, after, result=Output("after")), {**TASKS, "count": count})
    assert again.result == [0, 4, 8, 12, 16]


# In the places of nodes.


def test_what_is_missing_is_none_where_the_join_is_lax(bench: Bench) -> None:
    def show(x: Any, both: Any, part: Any) -> str:
        return repr((x, both, part))

    bad = node("bad", "picky", {"x": 2})
    good = node("good", "picky", {"x": 1})
    lax = node(
        "lax",
        "show",
        {"x": Output("bad"), "both": _both(Output("bad"), Output("good")), "part": Get(Output("bad"), "deep")},
        join="all_done",
    )
    chosen = node("chosen", "picky", {"x": Choose((Output("bad"), Output("good")))}, join="all_done")
    ended = bench.run(graph(bad, good, lax, chosen, result=Output("lax")), {**TASKS, "show": show})
    # what is chosen is what `good` was given
    assert (ended.states["lax"], ended.states["chosen"]) == ("succeeded", "cached")
    (made,) = [record for record in ended.attempts if record.node == "lax"]
    assert bench.values.load(made.outputs[0]) == "(None, [None, 1], None)"


def _both(*expressions: Any) -> Any:
    from penstock.model.expression import Sequence

    return Sequence(expressions)


def test_a_map_of_bodies(bench: Bench) -> None:
    inner = body(
        node("twice", "double", {"x": Input("x")}),
        node("sum", "add", {"x": Output("twice"), "y": Input("y")}),
        result=MappingExpression({"sum": Output("sum"), "x": Input("x")}),
    )
    outer = node("fold", "inner", {"x": Item("x"), "y": 100}, each=each({"x": {"a": 1, "b": 2}}))
    ended = bench.run(graph(outer, result=Output("fold")), {**TASKS, "inner": inner})
    assert ended.result == {"a": {"sum": 102, "x": 1}, "b": {"sum": 104, "x": 2}}
    assert ended.states == {
        "fold[a]/twice": "succeeded",
        "fold[a]/sum": "succeeded",
        "fold[b]/twice": "succeeded",
        "fold[b]/sum": "succeeded",
        "fold[a]": "succeeded",
        "fold[b]": "succeeded",
    }


def test_maps_of_bodies_in_maps_of_bodies(bench: Bench) -> None:
    inmost = body(node("sum", "add", {"x": Input("x"), "y": Input("y")}), result=Output("sum"))
    inner = body(
        node("each", "inmost", {"x": Item("x"), "y": Input("y")}, each=Each({"x": Input("xs")})),
        result=Output("each"),
    )
    outer = node("fold", "inner", {"xs": [1, 2], "y": Item("y")}, each=each({"y": [10, 20]}))
    ended = bench.run(graph(outer, result=Output("fold")), {**TASKS, "inner": inner, "inmost": inmost})
    assert ended.result == [[11, 12], [21, 22]]
    assert ended.states["fold[1]/each[0]/sum"] == "succeeded"


def test_a_body_that_fails_says_so_and_its_siblings_go_on(bench: Bench) -> None:
    inner = body(node("try", "picky", {"x": Input("x")}), result=Output("try"))
    outer = node("fold", "inner", {"x": Item("x")}, each=each({"x": [1, 2, 3]}, failure_threshold=1))
    ended = bench.run(graph(outer, result=Output("fold")), {**TASKS, "inner": inner})
    assert ended.result == [1, 3]
    assert ended.states["fold[1]"] == ended.states["fold[1]/try"] == "failed"
    (failed,) = [record for record in ended.attempts if record.node == "fold" and record.item == 1]
    assert failed.reason == "fold[1]/try failed"
