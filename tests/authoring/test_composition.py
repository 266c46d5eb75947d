from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NotRequired, TypedDict

import pytest

from penstock import DefinitionError, Pipeline, Run, choose, otherwise, pipeline, task, unmapped, when


class Pair(NamedTuple):
    left: int
    right: str

    @property
    def both(self) -> str:
        return f"{self.left}{self.right}"


@dataclass
class Fit:
    slope: float
    errors: list[float]

    @property
    def worst(self) -> float:
        return max(self.errors)


class Quality(TypedDict):
    accuracy: float
    loss: float


class Partial(TypedDict):
    accuracy: float
    loss: NotRequired[float]


@dataclass
class Odd:
    kind: ClassVar[str] = "odd"
    size: int = 1


@dataclass
class Summary:
    best: Any
    count: Any
    label: str = "usual"
    ratio: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.ratio = self.best / self.count


@task
def number(x: int = 1) -> int:
    return x


@task
def increment(x: int, by: int = 1) -> int:
    return x + by


@task
def add(left: int, right: int) -> int:
    return left + right


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def shown(value: Any) -> str:
    return repr(value)


@task
def up_to(n: int) -> list[int]:
    return list(range(n))


@task
def two() -> tuple[int, str]:
    return 1, "a"


@task
def pair() -> Pair:
    return Pair(2, "b")


@task
def fit() -> Fit:
    return Fit(0.5, [1.0, 3.0])


@task
def quality() -> Quality:
    return {"accuracy": 0.9, "loss": 0.1}


@task
def partial() -> Partial:
    return {"accuracy": 0.9}


@task
def odd() -> Odd:
    return Odd(3)


@dataclass
class Single:
    value: int


@task
def single() -> Single:
    return Single(5)


@task
def everything(*items: int, **named: int) -> str:
    return f"{items} {named}"


def run(pipe: Pipeline[..., Any], **parameters: Any) -> Run:
    return pipe.options(executor="inline").run(**parameters)


def result(body: Callable[..., Any], **parameters: Any) -> Any:
    """What a pipeline with this body returns."""
    return run(pipeline(body), **parameters).result


def ids(body: Callable[..., Any], **parameters: Any) -> list[str]:
    return [node.id for node in pipeline(body).graph(**parameters).nodes]


def states(body: Callable[..., Any], **parameters: Any) -> dict[str, str]:
    return {node.id: node.state for node in run(pipeline(body), **parameters).tasks}


# Refs and outputs.


def test_a_ref_carries_a_value_from_task_to_task() -> None:
    assert result(lambda: increment(increment(number(3)), by=10)) == 14


def test_several_outputs_are_unpacked_taken_by_position_and_passed_whole() -> None:
    def body() -> Any:
        first, second = two()
        whole = two()
        return increment(first), shown(second), shown(whole), whole[0], whole[-1], len(whole)

    assert result(body) == (2, "'a'", "(1, 'a')", 1, "a", 2)


def test_the_outputs_of_a_named_tuple() -> None:
    def body() -> Any:
        whole = pair()
        left, right = whole
        return left, right, whole.left, whole[1], shown(whole), whole.both

    assert result(body) == (2, "b", 2, "b", "Pair(left=2, right='b')", "2b")


def test_the_outputs_of_a_dataclass() -> None:
    def body() -> Any:
        whole = fit()
        return whole.slope, whole.errors[1], whole.worst, shown(whole), whole

    assert result(body) == (0.5, 3.0, 3.0, "Fit(slope=0.5, errors=[1.0, 3.0])", Fit(0.5, [1.0, 3.0]))


def test_the_outputs_of_a_typed_dict() -> None:
    def body() -> Any:
        whole = quality()
        return whole["accuracy"], list(whole), shown(whole), whole["loss"] < 0.5

    assert result(body) == (0.9, ["accuracy", "loss"], "{'accuracy': 0.9, 'loss': 0.1}", True)


def test_each_of_several_outputs_is_kept_apart() -> None:
    ended = run(pipeline(lambda: (two(), quality())))
    assert ended.task("two").outputs == {"0": 1, "1": "a"}
    assert ended.task("quality").outputs == {"accuracy": 0.9, "loss": 0.1}
    with pytest.raises(LookupError, match=r"two has 2 outputs: 0, 1"):
        _ = ended.task("two").output


def test_what_has_no_fixed_parts_is_one_output() -> None:
    def body() -> Any:
        return partial()["accuracy"], shown(partial()), odd().size, shown(odd()), single().value, shown(single())

    ended = run(pipeline(body))
    assert ended.result == (0.9, "{'accuracy': 0.9}", 3, "Odd(size=3)", 5, "Single(value=5)")
    assert [list(ended.task(name).outputs) for name in ("partial", "odd", "single")] == [["result"]] * 3


def test_parts_of_a_single_output() -> None:
    def body() -> Any:
        whole = up_to(3)
        return whole[1], increment(whole[-1])

    assert result(body) == (1, 3)


def test_refs_in_lists_tuples_and_dicts() -> None:
    def body(n: int = 5) -> Any:
        one = number()
        return shown([one, 2, n]), shown((one, [n])), shown({"one": one, "more": {"n": n, "x": (1,)}}), total([one, 2])

    assert result(body) == ("[1, 2, 5]", "(1, [5])", "{'one': 1, 'more': {'n': 5, 'x': (1,)}}", 3)


def test_arguments_in_every_manner() -> None:
    def body() -> Any:
        return everything(number(), 2, three=number(3)), increment(by=4, x=1), number()

    assert result(body) == ("(1, 2) {'three': 3}", 5, 1)


# Order.


def test_order_without_data() -> None:
    def body() -> Any:
        late = increment(1)
        first, second = number(1), number(2)
        also = increment.options(after=[first, second])(2)
        return late.after(first, also), also  # pyright: ignore[reportAttributeAccessIssue]

    graph = pipeline(body).graph()
    assert [node.id for node in graph.nodes] == ["number", "number-2", "increment-2", "increment"]
    assert [node.upstream() for node in graph.nodes] == [(), (), ("number", "number-2"), ("number", "increment-2")]
    assert result(body) == (2, 3)


def test_a_task_waits_for_every_item_of_a_fan_out() -> None:
    def body() -> Any:
        scores = increment.map(range(3))
        return number.options(after=scores)(9)

    assert pipeline(body).graph().nodes[-1].after == ("increment",)
    assert result(body) == 9


# Names.


def test_nodes_are_named_after_their_tasks_and_numbered_from_the_second() -> None:
    assert ids(lambda: [number(), number(), number()]) == ["number", "number-2", "number-3"]


def test_a_chosen_name_and_the_task_behind_it() -> None:
    def body() -> Any:
        return number.options(name="start")(), number(), number.options(name="number-2")(), number()

    graph = pipeline(body).graph()
    assert [(node.id, graph.task_of(node).name) for node in graph.nodes] == [
        ("start", "number"),
        ("number", "number"),
        ("number-2", "number"),
        ("number-3", "number"),
    ]
    assert run(pipeline(body)).tasks[0].id == "start"


def test_two_functions_of_one_name_are_two_tasks() -> None:
    def another() -> Any:
        @task(name="number")
        def other() -> str:
            return "other"

        return other

    other = another()
    assert result(lambda: (number(), other())) == (1, "other")


# Pipelines in pipelines.


@pipeline
def evaluate(x: int, by: int = 1, label: str = "plain") -> int:
    with when(by > 0):
        return increment(x, by)


@pipeline
def ladder(x: int) -> int:
    return evaluate(evaluate(x))


def test_a_pipeline_inside_another_is_a_group_of_nodes() -> None:
    assert ids(lambda: evaluate(number())) == ["number", "evaluate/increment"]
    assert result(lambda: evaluate(number(), by=5)) == 6


def test_a_pipeline_called_twice_makes_two_groups() -> None:
    assert ids(lambda: [ladder(1), evaluate(2)]) == [
        "ladder/evaluate/increment",
        "ladder/evaluate-2/increment",
        "evaluate/increment",
    ]
    assert result(lambda n=1: [ladder(n), ladder(10)]) == [3, 12]


def test_a_group_and_a_node_have_different_names() -> None:
    assert ids(lambda: [evaluate(1), number.options(name="evaluation")(), task(name="evaluate")(repr)(2)]) == [
        "evaluate/increment",
        "evaluation",
        "evaluate-2",
    ]


def test_what_a_part_is_given_is_held_to_the_types_of_its_parameters() -> None:
    @pipeline
    def part(file: Path, n: int = 2) -> str:
        assert isinstance(file, Path)
        return shown(file.name)

    assert result(lambda: part("a/b.csv")) == "'b.csv'"  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match=r"part\(n=\.\.\.\)"):
        result(lambda: part("a", "many"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match="missing a required argument: 'file'"):
        result(lambda: [part()])  # pyright: ignore[reportCallIssue]


# Fan-outs.


def test_a_fan_out_over_a_known_list() -> None:
    def body() -> Any:
        return total(increment.map([1, 2, 3]))

    ended = run(pipeline(body))
    assert ended.result == 9
    assert [node.id for node in ended.tasks] == ["increment[0]", "increment[1]", "increment[2]", "total"]
    assert ended.task("increment[2]").output == 4


def test_a_fan_out_over_a_list_that_is_not_known_yet() -> None:
    def body(n: int = 4) -> Any:
        items = up_to(n)
        mapped = increment.map(items, by=unmapped(number(10)))
        return total(mapped), mapped, mapped[1]

    assert result(body) == (46, [10, 11, 12, 13], 11)


def test_a_fan_out_over_nothing() -> None:
    assert result(lambda: total(increment.map(up_to(0)))) == 0
    assert result(lambda: increment.map([])) == []


def test_a_fan_out_over_lists_in_step() -> None:
    assert result(lambda: add.map([1, 2], up_to(2))) == [1, 3]


def test_a_fan_out_over_refs_and_parameters() -> None:
    def body(items: list[int] = [5, 6]) -> Any:  # noqa: B006
        return increment.map([number(1), 7]), increment.map(items), increment.map(x for x in items)

    assert result(body) == ([2, 8], [6, 7], [6, 7])


def test_a_list_that_is_held_fixed() -> None:
    def body() -> Any:
        return add_all.map([1, 2], unmapped([10, 20]))

    assert result(body) == [31, 32]


@task
def add_all(x: int, others: list[int]) -> int:
    return x + sum(others)


def test_a_fan_out_after_a_fan_out() -> None:
    assert result(lambda: total(increment.map(increment.map(up_to(3))))) == 9


# Branches.


def test_a_branch_that_is_taken_and_one_that_is_not() -> None:
    def body(threshold: float = 0.5) -> Any:
        scores = quality()
        with when(scores["accuracy"] >= threshold):
            good = number.options(name="good")(1)
        with otherwise():
            bad = number.options(name="bad")(2)
        return choose(good, bad)

    assert result(body) == 1
    assert result(body, threshold=0.95) == 2
    assert states(body, threshold=0.95) == {"quality": "cached", "good": "skipped", "bad": "cached"}


def test_branches_in_branches() -> None:
    def body(a: bool, b: bool) -> Any:
        with when(a):
            with when(b):
                one = number(1)
            with otherwise():
                two = number(2)
            both = choose(one, two)
        with otherwise():
            with when(b):
                three = number(3)
            with otherwise():
                four = number(4)
            neither = choose(three, four)
        return choose(both, neither)

    chosen = {(a, b): result(body, a=a, b=b) for a in (True, False) for b in (True, False)}
    assert chosen == {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}


def test_conditions_are_expressions() -> None:
    def body(n: int = 4) -> Any:
        x, y = number(3), number(5)
        with when((x + y > n * 2 - 1) & ~(x == 2) & ((y % 2 == 1) | (x / y < 0.1))):
            hit = shown("hit")
        with otherwise():
            miss = shown("miss")
        return choose(hit, miss), x - 1, 2 * y, -x, x**2, y // 2, 10 - x, x != y

    assert result(body) == ("'hit'", 2, 10, -3, 9, 2, 7, True)


def test_what_depends_on_a_branch_that_is_not_taken_is_skipped() -> None:
    def body() -> Any:
        with when(number() > 1):
            inside = increment(1)
        return increment(inside)

    assert states(body) == {"number": "succeeded", "increment": "skipped", "increment-2": "skipped"}
    assert result(body) is None


def test_a_plain_condition() -> None:
    def body(fast: bool = True) -> Any:
        with when(fast):
            one = number(1)
        with otherwise():
            two = number(2)
        return choose(one, two)

    assert (result(body), result(body, fast=False)) == (1, 2)


def test_a_branch_in_a_part_leaves_that_around_it_alone() -> None:
    def body() -> Any:
        with when(number(1) == 2):
            one = evaluate(1)
        with otherwise():
            two = number(7)
        return choose(one, two)

    assert result(body) == 7


# Parameters as values.


def test_a_parameter_is_its_value_wherever_python_needs_one() -> None:
    usual, place = [4, 5], Path("a.csv")

    def body(n: int = 3, flag: bool = True, name: str = "ann", items: list[int] = usual, file: Path = place) -> Any:
        numbers = [number(i) for i in range(n)] if flag else []
        known = [len(items), sum(i for i in items), f"{name:>4}", name.upper(), 4 in items, items[n - 3], 7 // n]
        more = [str(file / "b"), Path(file).suffix, round(n / 2, 1), abs(-n), float(n), int(n), Path(name), [*items]]
        return total(numbers), known, more, "is " + name

    numbers, known, more, text = result(body)
    assert numbers == 3
    assert known == [2, 9, " ann", "ANN", True, 4, 2]
    assert more == ["a.csv/b", ".csv", 1.5, 3, 3.0, 3, Path("ann"), [4, 5]]
    assert text == "is ann"
    assert result(body, flag=False)[0] == 0


def test_the_graph_does_not_need_parameters_that_do_not_shape_it() -> None:
    def body(n: int, x: int) -> Any:
        return [increment(x) for _ in range(n)]

    assert ids(body, n=2) == ["increment", "increment-2"]
    with pytest.raises(DefinitionError, match=r"uses the value of its parameter 'n', which was not given\n.*-p n="):
        pipeline(body).graph(x=1)


# What a pipeline returns.


@pytest.mark.parametrize(
    ("body", "value", "outputs"),
    [
        (lambda: number(4), 4, {"result": 4}),
        (lambda: (number(4), "x"), (4, "x"), {"result": (4, "x")}),
        (lambda: [number(4), [5]], [4, [5]], {"result": [4, [5]]}),
        (lambda: {"a": number(4), "b": 5}, {"a": 4, "b": 5}, {"a": 4, "b": 5}),
        (lambda: {"a": 4}, {"a": 4}, {"a": 4}),
        (lambda: {"result": number(4)}, {"result": 4}, {"result": 4}),
        (lambda: {}, {}, {}),  # noqa: PIE807
        (lambda: {1: 2}, {1: 2}, {"result": {1: 2}}),
        (lambda: Pair(number(4), "b"), Pair(4, "b"), {"left": 4, "right": "b"}),
        (lambda: two(), (1, "a"), {"result": (1, "a")}),  # noqa: PLW0108
        (lambda: None, None, {"result": None}),
        (lambda: 7, 7, {"result": 7}),
        (lambda n=3: n, 3, {"result": 3}),
    ],
)
def test_what_a_pipeline_returns(body: Callable[..., Any], value: Any, outputs: dict[str, Any]) -> None:
    ended = run(pipeline(body))
    assert (ended.result, type(ended.result)) == (value, type(value))
    assert ended.outputs == outputs
    assert pipeline(body).options(executor="inline")() == value


def test_a_dataclass_of_refs_comes_back_as_itself() -> None:
    ended = run(pipeline(lambda: Summary(number(4), count=2)))
    assert ended.result.ratio == 2.0
    assert ended.result == Summary(4, 2)
    assert ended.outputs == {"best": 4, "count": 2, "label": "usual", "ratio": 2.0}


@task
def spread(a: int, b: int = 2, *, c: int, d: int = 4) -> list[int]:
    return [a, b, c, d]


@pytest.mark.parametrize(
    ("args", "kwargs", "names"),
    [
        ((1,), {"c": 3}, "a c"),
        ((1, 2), {"d": 5, "c": 3}, "a b c d"),
        ((), {"c": 3, "b": 2, "a": 1}, "a b c"),
        ((1,), {}, "missing a required"),
        ((1, 2, 3), {"c": 3}, "too many positional"),
        ((1,), {"c": 3, "a": 1}, "multiple values for argument 'a'"),
        ((1,), {"c": 3, "e": 1}, "unexpected keyword argument 'e'"),
    ],
)
def test_arguments_are_bound_as_python_does(args: tuple[int, ...], kwargs: dict[str, int], names: str) -> None:
    called: Callable[..., Any] = spread
    made = pipeline(lambda: called(*args, **kwargs))
    if " c" in names:
        assert list(made.graph().nodes[0].bindings) == names.split()
        return
    with pytest.raises(DefinitionError, match=names):
        made.graph()


def test_calling_a_pipeline_gives_its_value() -> None:
    assert evaluate.options(executor="inline")(1, by=2) == 3
    with pytest.raises(
        DefinitionError, match=r"evaluate\(\) was called with wrong arguments: too many.*\n.*evaluate\(x: "
    ):
        evaluate(1, 2, "a", 4)  # pyright: ignore[reportCallIssue]
