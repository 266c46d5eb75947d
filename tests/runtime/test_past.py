"""Runs read back: the inputs of everything that ran are those that its attempts were handed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import penstock
from penstock import (
    DefinitionError,
    NotFoundError,
    Outcome,
    Skip,
    choose,
    current,
    on_exit,
    otherwise,
    pipeline,
    repeat,
    task,
    unmapped,
    when,
)
from penstock import value as value_of
from penstock.app import Services
from penstock.runtime.inputs.resolve import MissingError
from penstock.runtime.reading.nearest import nearest
from penstock.runtime.reading.past import Past

pytestmark = pytest.mark.usefixtures("home")


def note(given: dict[str, Any]) -> None:
    """Write down what the attempt at hand was called with."""
    line = [current().run_id, current().id, {name: repr(value) for name, value in given.items()}]
    with Path("handed").open("a") as file:
        file.write(json.dumps(line) + "\n")


def handed_in(run_id: str) -> dict[str, dict[str, str]]:
    """What the latest attempt at each node and item was called with: id -> input -> what it looks like."""
    lines = [json.loads(line) for line in Path("handed").read_text().splitlines()]
    return {id: given for run, id, given in lines if run == run_id}


@task
def take(a: Any = None, b: Any = None, c: Any = None) -> Any:
    note(locals())
    return a


@task
def add(a: int, b: int = 1) -> int:
    note(locals())
    return a + b


@task
def numbers(n: int) -> list[int]:
    note(locals())
    return list(range(n))


@task
def named() -> dict[str, int]:
    return {"x": 1, "y": 2}


class Halves(NamedTuple):
    left: list[int]
    right: list[int]


@task
def halve(values: list[int]) -> Halves:
    note(locals())
    return Halves(values[::2], values[1::2])


@task
def stream(n: int) -> Iterator[int]:
    note(locals())
    yield from range(n)


@task
def picky(a: int) -> int:
    note(locals())
    if a == 1:
        raise Skip("not that one")
    if a == 2:
        raise ValueError("nor that one")
    return a


@task(retries=2, retry_delay=0)
def stubborn(a: Any) -> Any:
    note(locals())
    if current().attempt < 3:
        raise OSError("not yet")
    return a


@task
def tell(how: Outcome) -> str:
    note(locals())
    return how.state


def past_of(subject: penstock.Pipeline[..., Any], **parameters: Any) -> Past:
    """A pipeline run, and read back."""
    run = subject.options(executor="inline", progress=False, cache=False).run(**parameters)
    return reread(run.run_id)


def reread(run_id: str) -> Past:
    services = Services()
    with services.store() as store:
        past = Past(store, services.values, store.find(run_id))
        # what is read when it is asked for
        _ = past.identities, past.attempts
        return past


def check(past: Past) -> int:
    """All that ran has the inputs that it was handed, and every fingerprint follows from them. Returns how many ran."""
    handed = handed_in(past.run.run_id)
    for id, given in handed.items():
        loaded = {name: repr(past.values.load(value)) for name, value in past.inputs(past.find(id)).items()}
        assert {name: given[name] for name in loaded} == loaded, id
        assert all(given[name] in ("None", "1") for name in given.keys() - loaded.keys()), id
    for cell, records in past.attempts.items():
        if recorded := [each.fingerprint for each in records if each.fingerprint is not None]:
            assert past.fingerprint(cell, past.inputs(cell)) == recorded[-1], past.name(cell)
    return len(handed)


def test_plain_calls() -> None:
    @pipeline
    def calls(x: int, name: str = "ada") -> Any:
        first = add(x, 2)
        second = take(first, [first, {"deep": x}], name)
        return take(second, 2.5, None)

    past = past_of(calls, x=4)
    assert check(past) == 3
    assert past.parameters == {"x": 4, "name": "ada"}
    assert past.name(past.find("take-2")) == "take-2"


def test_maps_zips_products_and_spreads() -> None:
    @pipeline
    def mapped(n: int) -> Any:
        many = numbers(n)
        single = add.map(many)
        fixed = add.partial(b=n).map(a=many)
        zipped = add.map(a=many, b=single)
        product = add.options(name="product").product(a=many, b=[10, 20])
        keyed = take.options(name="keyed").map(a=named(), b=unmapped([1, 2]))
        spread = add.options(name="spread").map_kwargs([{"a": 1, "b": 2}, {"a": 3}])
        return take([fixed, zipped, product, keyed, spread])

    past = past_of(mapped, n=3)
    assert check(past) == 1 + 3 + 3 + 3 + 6 + 2 + 2 + 1
    assert past.find("keyed[y]") == past.find("keyed[1]") == ("keyed", 1)


def test_a_mapped_node_as_a_whole_has_no_inputs() -> None:
    @pipeline
    def mapped(n: int) -> Any:
        return add.product(a=numbers(n), b=[10, 20])

    with pytest.raises(LookupError, match="add is mapped: its items have inputs, and not it"):
        past_of(mapped, n=2).inputs(("add", -1))
    empty = mapped.run(n=0).task("add")
    with pytest.raises(LookupError, match="add is mapped"):
        _ = empty.inputs
    with pytest.raises(DefinitionError, match="add is mapped"):
        empty.replay()


def test_generators_outputs_and_selections() -> None:
    @pipeline
    def parts() -> Any:
        streamed = add.map(stream(4))
        halves = halve(streamed)
        return take(halves.left, halves, take(halves.right[0]))

    assert check(past_of(parts)) == 1 + 4 + 1 + 2


def test_bodies_and_loops() -> None:
    @pipeline
    def step(x: int, by: int = 1) -> Any:
        return {"x": add(x, by), "note": take(by)}

    @pipeline
    def inner(x: int, y: int) -> Any:
        return add(add(x, y), y)

    @pipeline
    def looped(x: int) -> Any:
        return repeat(step, maximum=2, carry=["x"], name="turns")(x=x)

    @pipeline
    def outer(n: int) -> Any:
        loop = repeat(step, until=lambda result: result["x"] > 5, maximum=9, carry=["x"], name="grow")
        grown = loop(x=n, by=2)
        once = inner(grown["x"], n)
        every = inner.options(name="every").partial(y=once).map(x=numbers(n))
        loops = looped.options(name="loops").map(x=every)
        return take(loops)

    past = past_of(outer, n=2)
    assert check(past) > 15
    assert past.values.load(past.inputs(past.find("grow[1]/add"))["a"]) == 4
    every = past.inputs(past.find("every[1]"))
    assert {name: past.values.load(argument) for name, argument in every.items()} == {"x": 1, "y": 10}


def test_dynamic_bodies() -> None:
    @pipeline
    def dynamic(n: int) -> Any:
        x = add(0, n)
        while value_of(x) < 5:
            x = add(x, (n, [n])[0])
        each = [take(number, (number, b"bytes")) for number in value_of(numbers(2))]
        return take(each, x)

    assert check(past_of(dynamic, n=2)) == 1 + 2 + 1 + 2 + 1


def test_branches_and_joins_with_missing_inputs() -> None:
    @pipeline
    def branching(x: int) -> Any:
        first = add(x)
        with when(first > 3):
            large = take.options(name="large")(first)
        with otherwise():
            small = take.options(name="small")(first)
        picked = picky.options(failure_threshold=3).map([1, 2, 3])
        return take.options(name="lax", join="all_done")(choose(large, small), large, picked)

    past = past_of(branching, x=1)
    assert check(past) == 1 + 1 + 3 + 1
    assert past.values.load(past.inputs(past.find("lax"))["b"]) is None


def test_a_join_that_does_not_wait_for_all_is_handed_what_was_there_then() -> None:
    @pipeline
    def early() -> Any:
        first = add(1)
        late = add.options(name="late")(add.options(name="later")(first))
        one = take.options(name="one", join="one_success")(first, late)
        always = take.options(name="always", join="always")(first, late)
        return take.options(name="both", join="all_done")(one, always)

    past = past_of(early)
    assert check(past) == 6
    assert past.values.load(past.inputs(past.find("always"))["a"]) is None
    # what is cached ends in the very turn in which the others begin
    again = early.options(executor="inline", progress=False).run()
    assert {each.state for each in again.tasks} == {"cached"}
    assert check(reread(again.run_id)) == 0


def test_exit_handlers_and_repeated_attempts() -> None:
    @pipeline
    def ending(x: int) -> Any:
        with on_exit(tell):
            return stubborn(picky(x))

    assert check(past_of(ending, x=3)) == 3
    assert check(past_of(ending, x=2)) == 2


def test_a_path_counts_by_what_it_led_to(home: Path) -> None:
    @pipeline
    def reading(path: Path, others: list[Path]) -> Any:
        return take(path, take.options(name="each").map(others))

    file = home.parent / "data.csv"
    file.write_text("a,b\n1,2\n")
    past = past_of(reading, path=file, others=[file])
    before = [past.digest(past.inputs(past.find(name))["a"]) for name in ("take", "each[0]")]
    file.write_text("a,b\n1,3\n")
    again = reread(past.run.run_id)
    assert [again.digest(again.inputs(again.find(name))["a"]) for name in ("take", "each[0]")] == before
    assert check(again) == 2


def test_constants_that_json_cannot_hold_are_what_they_were(home: Path) -> None:
    file = home.parent / "data.csv"
    file.write_text("a,b\n1,2\n")

    @pipeline
    def inner(x: Any) -> Any:
        return take(x, {1: "one"})

    @pipeline
    def given() -> Any:
        first = take((1, [2.5, None]), b"\x00\xff", float("inf"))
        path = take.options(name="path")(file, Halves([1], [2]))
        mapped = take.options(name="mapped").map([(1, 2), (3, b"4")])
        return take([first, path, mapped, inner.options(name="inner")({3, 4})], 2**70)

    past = past_of(given)
    file.unlink()
    assert check(reread(past.run.run_id)) == 6


def test_a_run_that_failed_or_paused_is_read_as_far_as_it_came(home: Path) -> None:
    @pipeline
    def failing() -> Any:
        return take(add(picky(2)), numbers(1))

    past = past_of(failing)
    assert check(past) == 2
    with pytest.raises(MissingError, match="picky has no output: it failed"):
        past.inputs(past.find("add"))

    sign_off = penstock.approval("Ship it?")

    @pipeline
    def asking() -> Any:
        return take.options(after=sign_off())(add(1))

    paused = past_of(asking)
    assert (paused.run.state, check(paused)) == ("paused", 1)
    assert list(paused.inputs(paused.find("take"))) == ["a"]
    assert paused.wanted.keys() == {("add", -1)}


def test_names_that_are_not_there_have_near_ones() -> None:
    @pipeline
    def mapped() -> Any:
        return take(add.map([1, 2]))

    past = past_of(mapped)
    with pytest.raises(NotFoundError, match=r"has no task 'ad\[1\]'") as found:
        past.find("ad[1]")
    assert found.value.remedy == "Did you mean add[1] or add[0]?"
    with pytest.raises(NotFoundError) as found:
        past.find("zzzzz")
    assert found.value.remedy == "There are: add, take"


def test_names_that_are_as_near_are_told_in_order() -> None:
    assert nearest("check[999]", [f"check[{number}]" for number in range(8)]) == ["check[0]", "check[1]", "check[2]"]
    assert nearest("fit", ["fitted", "fits", "plot"]) == ["fits", "fitted"]
