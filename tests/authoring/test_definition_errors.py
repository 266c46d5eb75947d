"""What is wrong as written is refused before anything runs: with the user's line, a remedy, and nothing left behind."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import PRELUDE, in_body, refusal

from penstock import DefinitionError, ParameterError, task

BODIES: list[tuple[str, list[str], str, str]] = [
    # arguments
    ("too many", ["load(1, 2)  #!"], r"load\(\) was called with wrong arguments: too many", r"defined at pipe\.py:\d+ as load\(rows"),
    ("missing", ["count()  #!"], "missing a required argument: 'data'", r"count\(data: list\)"),
    ("unknown", ["load(row=3)  #!"], "unexpected keyword argument 'row'", "load"),
    ("a task itself", ["count(load)  #!"], "load is passed on as a task", r"Call it: load\(\.\.\.\).*load\.function"),
    ("an approval itself", ['keep(approval("Ship it?"))  #!'], r"approval\(\.\.\.\) is passed on before it is called", r"makes a task; call it: approval\(\.\.\.\)\(\)"),
    ("an approval in a list", ['keep({"gate": [1, approval("Ship it?")]})  #!'], "passed on before it is called", "makes a task"),
    ("an approval in a map", ['keep.map([approval("Ship it?")])  #!'], "passed on before it is called", "makes a task"),
    ("after an approval", ['keep.options(after=approval("Ship it?"))(1)  #!'], "passed on before it is called", "makes a task"),
    ("a wait itself", ["ready = wait(lambda: True)", "keep(ready)  #!"], "is passed on as a task", "Call it"),
    ("unmapped in a call", ["add(1, unmapped(2))  #!"], r"unmapped\(\.\.\.\) is for the arguments of task\.map", ""),
    ("hidden in a dataclass", ["count([Box(load())])  #!"], "<ref to load> is hidden inside a value that is passed on as it is", "inside lists, tuples and dicts"),
    ("hidden in a set", ["parts.options(after=load())()", "keep({load()})  #!"], "hidden inside a value", ""),
    ("keys", ["keep({1: load()})  #!"], "a dict with refs in it has keys that are not strings", "string keys"),
    # order and names
    ("circle", ["a = load()", "b = count(a)  #!", "a.after(b)", "return b"], "wait for each other in a circle: .*load", "Take one"),
    ("circle of one", ["a = load()  #!", "a.after(a)"], "in a circle: load -> load", "Take one"),
    ("after a text", ['load.options(after="count")()  #!'], "only the results of tasks can be waited for, and this is 'count'", "options"),
    ("after a parameter", ["load.options(after=n)()  #!"], "only the results of tasks can be waited for", ""),
    ("part waits", ["a = load()", "a[0].after(load())  #!"], r"can wait for others, not load\[0\]", ""),
    ("one name", ['load.options(name="x")()', 'count.options(name="x")([])  #!'], r"two nodes are called 'x'; the other is at pipe\.py:\d+", r"options\(name"),
    ("taken name", ["count(load())", 'load.options(name="count")()  #!'], "two nodes are called 'count'", r"options\(name"),
    ("slash", ['load.options(name="a/b")()  #!'], "cannot be empty or contain '/'.*'a/b'", ""),
    ("retries", ["load.options(retries=-1)()  #!"], "retries must be a whole number from 0 up, not -1", ""),
    ("delay", ["load.options(retry_delay=float('nan'))()  #!"], "retry_delay must be a number of seconds from 0 up, or a timedelta, not nan", ""),
    # refs that are not values
    ("slice", ["load()[1:3]  #!"], r"a part of load is taken by slice\(1, 3, None\)", "inside a task"),
    ("set a part", ["load()[0] = 5  #!"], "a part of load is set here", "inside a task, and return"),
    ("no such output", ["parts()[2]  #!"], "parts has no output 2", "outputs are: 0, 1"),
    # fan-outs
    ("map a text", ['load.map("abc")  #!'], r"load\.map\(\.\.\.\) cannot map over rows='abc'", r"rows=unmapped"),
    ("map a number", ["load.map(3)  #!"], "cannot map over rows=3", "Give it a list"),
    ("map nothing", ["load.map(unmapped(3))  #!"], "nothing to map over", ""),
    ("map without", ["add.map([1])  #!"], "missing a required argument: 'y'", "add"),
    ("map unevenly", ["add.map([1, 2], [1])  #!"], "different lengths: x has 2, y has 1", "unmapped"),
    ("map wrong elements", ["add.map([1, 'a'], unmapped(2))  #!"], r"add\(\) takes x: int, and is given 'a'", ""),
    ("map a wrong constant", ["add.map([1], unmapped('b'))  #!"], r"add\(\) takes y: int, and is given 'b'", ""),
    # branches
    ("otherwise alone", ["with otherwise():  #!", "    load()"], "does not follow a when", "right after"),
    ("otherwise twice", ["with when(flag):", "    load()", "with otherwise():", "    load()", "with otherwise():  #!", "    load()"], "does not follow a when", ""),
    ("otherwise deeper", ["with when(flag):", "    with when(flag):", "        load()", "with when(flag):", "    with otherwise():  #!", "        load()"], "does not follow a when", ""),
    ("choose nothing", ["choose()  #!"], "nothing to choose from", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "message", "remedy"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_a_wrong_body(lines: list[str], message: str, remedy: str, project: Path) -> None:
    error = refusal(in_body(*lines), project)
    assert re.search(message, error.what), error.what
    assert not remedy or re.search(remedy, error.remedy or ""), error.remedy


def test_parameters_of_the_wrong_type(project: Path) -> None:
    source = "\n@pipeline\ndef p(depth: int, rate: float = 0.1): ...\n"
    (project / "pipe.py").write_text(PRELUDE + source)
    space: dict[str, Any] = {"__name__": "pipe"}
    exec(compile(PRELUDE + source, str(project / "pipe.py"), "exec", dont_inherit=True), space)
    with pytest.raises(ParameterError) as caught:
        space["p"].run(rate="fast", dept=3)
    assert caught.value.where is not None and re.fullmatch(r".*test_definition_errors\.py:\d+", caught.value.where)
    text = str(caught.value)
    assert re.search(r"3 problems with the parameters of p \(declared at pipe\.py:\d+\)", text)
    assert "depth: missing; it takes a whole number" in text
    assert "rate: expected a number; got 'fast' (str)" in text
    assert "dept: there is no such parameter; did you mean 'depth'?" in text
    assert not (project / ".penstock").exists()


def test_a_wrong_call_inside_another_pipeline(project: Path) -> None:
    part = "\n@pipeline\ndef part(x: int): ...\n"
    assert "missing a required argument: 'x'" in refusal(part + in_body("part()  #!"), project).what
    assert "expected a whole number; got 'a' (str)" in refusal(part + in_body("part('a')  #!"), project).what
    running = refusal(part + in_body("part.run(x=1)  #!"), project)
    assert "part.run() is used in the body of the pipeline 'p'" in running.what
    assert running.remedy is not None and "part(...)" in running.remedy


@pytest.mark.parametrize("call", ["p(n)", "p.map([n])", "repeat(p, maximum=2)(n)", "other(n)"])
def test_a_pipeline_that_calls_itself_without_end(call: str, project: Path) -> None:
    source = "\n@pipeline\ndef other(n: int): return p(n)\n"
    body = f"\n@pipeline\ndef p(n: int = 3):\n    return {call}  #!\n"
    error = refusal(source + body, project)
    assert re.match(r"the pipeline (p|other) is called inside itself or others more than \d+ deep", error.what)
    assert error.remedy is not None
    assert "has to end that by a value that is known" in error.remedy


def test_a_ref_of_another_pipeline(project: Path) -> None:
    source = """
    kept = []

    @pipeline
    def other():
        kept.append(load())

    other.graph()
    """
    error = refusal(textwrap.dedent(source) + in_body("count(kept[0])  #!"), project)
    assert "<ref to load> belongs to the pipeline 'other', not to this call of 'p'" in error.what
    assert error.remedy is not None and "call the other pipeline inside this one" in error.remedy


def test_a_ref_of_an_earlier_call(project: Path) -> None:
    source = """
    kept = []

    @pipeline
    def p():
        kept.append(load())
        return count(kept[0])  #!

    p.graph()
    """
    assert "belongs to an earlier call of 'p', not to this call of 'p'" in refusal(source, project).what


def test_what_the_users_body_raises_is_raised(project: Path) -> None:
    from penstock import pipeline

    @pipeline
    def p() -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        p.run()
    assert [path.name for path in project.iterdir()] == ["penstock.toml"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("@task  #!\nclass A: ...", "@task needs a function, and got <class"),
        ("@pipeline  #!\nasync def f(): yield 1", r"f\(\) is a coroutine or a generator"),
        ("@pipeline  #!\ndef f(): yield 1", r"f\(\) is a coroutine or a generator"),
        ("@task  #!\n@task\ndef f(): ...", "@task is given f, which is a task already"),
        ("@task  #!\n@pipeline\ndef f(): ...", "@task is given f, which is a pipeline already"),
        ("@pipeline  #!\n@task\ndef f(): ...", "@pipeline is given f, which is a task already"),
        ("@pipeline  #!\nasync def f(): ...", r"f\(\) is a coroutine or a generator, which @pipeline cannot take"),
        ("@pipeline  #!\nclass A: ...", "@pipeline needs a function"),
        ("task(3)  #!", "@task needs a function, and got 3"),
        ("@task(name='')  #!\ndef f(): ...", "a name cannot be empty"),
        ("@task(name='a[b')  #!\ndef f(): ...", r"contain '/', '\[' or '\]': 'a\[b'"),
        ("@pipeline(name='a/b')  #!\ndef f(): ...", "cannot be empty or contain '/'.*'a/b'"),
        ("@task(retries=-1)  #!\ndef f(): ...", "retries must be a whole number from 0 up, not -1"),
        ("@task(retries=1.5)  #!\ndef f(): ...", "not 1.5"),
        ("@task(retry_delay=-0.1)  #!\ndef f(): ...", "retry_delay must be a number of seconds from 0 up"),
        ("@task(tags='abc')  #!\ndef f(): ...", "tags must be a list of texts, not 'abc'"),
    ],
)
def test_a_wrong_decorator(source: str, message: str, project: Path) -> None:
    error = refusal(source, project)
    assert re.search(message, error.what), error.what


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.options(executor="process"), "there is no executor 'process'"),
        (lambda p: p.options(workers=0), "workers must be a whole number from 1 up, not 0"),
        (lambda p: p.options(workers="4"), "workers must be a whole number from 1 up, not '4'"),
    ],
)
def test_wrong_options_of_a_pipeline(call: Callable[[Any], Any], message: str, project: Path) -> None:
    from penstock import pipeline

    @pipeline
    def p() -> None: ...

    with pytest.raises(DefinitionError, match=message) as caught:
        call(p)
    assert caught.value.where is not None
    assert caught.value.where.endswith(f"test_definition_errors.py:{call.__code__.co_firstlineno}")
    assert [path.name for path in project.iterdir()] == ["penstock.toml"]


def test_branches_outside_a_pipeline(project: Path) -> None:
    for name in ("when(True)", "otherwise()"):
        error = refusal(f"with {name}:  #!\n    pass", project)
        assert re.search(rf"{name[:4]}\w*\(\) is used outside a pipeline", error.what)
        assert error.remedy is not None and "@pipeline" in error.remedy


def test_a_task_that_no_worker_can_get_at(project: Path) -> None:
    source = """
    def make():
        lock = threading.Lock()

        @task  #!
        def hold():
            return lock.locked()

        return hold

    hold = make()
    """
    error = refusal(textwrap.dedent(source) + in_body("return hold()"), project)
    assert "the task 'hold' cannot be sent to a worker: it uses 'lock', a lock, which cannot be pickled" in error.what
    assert error.remedy is not None and 'executor="inline"' in error.remedy


def test_a_pipeline_with_parameters_that_have_no_names(project: Path) -> None:
    error = refusal("@pipeline  #!\ndef p(*files): ...", project)
    assert "fixed set of parameters" in error.what


def test_an_annotation_that_cannot_be_resolved(project: Path) -> None:
    error = refusal("@pipeline  #!\ndef p(frame: 'pd.DataFrame'): ...", project)
    assert "name 'pd' is not defined" in error.what


def test_a_ref_that_left_its_pipeline_says_what_it_is() -> None:
    from penstock import pipeline

    @task
    def load(x: int = 1) -> int:
        return x

    kept: list[Any] = []

    @pipeline
    def p() -> None:
        kept.append(load())

    p.graph()
    with pytest.raises(DefinitionError, match="the value of load is used outside its pipeline"):
        load.map(kept[0])
