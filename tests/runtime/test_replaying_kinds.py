"""Every kind of task made again: items, nodes in bodies, generators, coroutines, commands, waits; and what cannot be."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock import (
    DefinitionError,
    Pipeline,
    Retry,
    Run,
    Skip,
    approval,
    command,
    container,
    current,
    find_run,
    pipeline,
    repeat,
    stdout,
    task,
    wait,
)


class Odd:
    """Known by what it is, and stored as a pickle."""

    def __init__(self, held: Any) -> None:
        self.held = held


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@task
def double(x: int) -> int:
    return 2 * x


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def split(rows: int) -> Split:
    return Split(list(range(rows)), [rows])


@task
def count(up_to: int) -> Iterator[int]:
    yield from range(up_to)


@task
async def later(x: int) -> int:
    return x + 1


@task
async def stream(up_to: int) -> AsyncIterator[int]:
    for number in range(up_to):
        yield number


@task
def picky(x: int) -> int:
    if x < 0:
        raise Skip("negative")
    return x


@task
def where() -> list[Any]:
    here = current()
    (here.folder / "scratch").touch()
    return [here.id, here.attempt, here.parameters]


@task
def odd(x: int) -> Odd:
    return Odd(x)


@task
def held(odd: Odd) -> int:
    return odd.held


def run(subject: Pipeline[..., Any], **parameters: Any) -> Run:
    """A run, looked up afterwards."""
    return find_run(subject.options(executor="inline", progress=False).run(**parameters).run_id)


@pytest.fixture(autouse=True)
def in_a_project(home: Path) -> None:
    """Every test has a project of its own."""


# Items and bodies.


def test_the_items_of_a_mapped_node() -> None:
    @pipeline
    def pipe() -> int:
        return total(double.map([1, 2, 3]))

    ended = run(pipe)
    assert ended.task("double[2]").inputs == {"x": 3}
    assert ended.task("double[2]").replay().output == 6
    assert ended.task("total").replay().output == 12
    with pytest.raises(DefinitionError, match=r"double is mapped over .*\n.*double\[0\], double\[1\], double\[2\]"):
        ended.replay("double")


def test_items_with_names_and_the_nodes_inside_of_them() -> None:
    @pipeline
    def fold(x: int) -> int:
        return double(picky(x))

    @pipeline
    def pipe() -> dict[str, int]:
        return fold.map({"rf": 1, "svm": 2})  # pyright: ignore[reportReturnType, reportArgumentType]

    ended = run(pipe)
    assert ended.task("fold[svm]/double").inputs == {"x": 2}
    made = ended.task("fold[svm]/double").replay()
    assert (made.id, made.output, made.same) == ("fold[svm]/double", 4, True)
    with pytest.raises(DefinitionError, match=r"fold\[rf\] is a pipeline.*\n.*fold\[rf\]/picky, fold\[rf\]/double"):
        ended.replay("fold[rf]")
    with pytest.raises(DefinitionError, match=r"fold is mapped over several items\n.*fold\[rf\], fold\[svm\]"):
        ended.replay("fold")


def test_the_turns_of_a_loop() -> None:
    @pipeline
    def step(x: int) -> int:
        return double(x)

    @pipeline
    def pipe() -> int:
        return repeat(step, maximum=3)(1)

    ended = run(pipe)
    inside = [each.id for each in ended.tasks if each.id.endswith("/double")]
    made = [ended.task(name).replay() for name in inside]
    assert [(each.output, each.same) for each in made] == [(2, True), (4, True), (8, True)]


def test_several_outputs() -> None:
    @pipeline
    def pipe() -> Split:
        return split(3)

    ended = run(pipe)
    made = ended.task("split").replay()
    assert made.outputs == {"train": [0, 1, 2], "test": [3]}
    assert made.same is True
    with pytest.raises(LookupError, match="split has 2 outputs: train, test"):
        _ = made.output


def test_what_a_task_asks_of_its_attempt() -> None:
    @pipeline
    def pipe(depth: int = 3) -> list[Any]:
        return where()

    made = run(pipe).task("where").replay()
    assert made.output == ["where", 1, {"depth": 3}]
    assert made.same is True


# Generators, coroutines, commands, waits.


def test_generators_and_coroutines() -> None:
    @pipeline
    def pipe() -> list[Any]:
        return [count(3), later(1), stream(2)]

    ended = run(pipe)
    made = {name: ended.task(name).replay() for name in ("count", "later", "stream")}
    assert {name: each.output for name, each in made.items()} == {"count": [0, 1, 2], "later": 2, "stream": [0, 1]}
    assert [each.same for each in made.values()] == [True, True, True]


def test_a_command() -> None:
    echo = command("pwd >&2; echo {x}; touch here", name="echo", outputs={"result": stdout("int")})

    @pipeline
    def pipe(x: int = 5) -> int:
        return echo(x=x)

    ended = run(pipe)
    made = ended.task("echo").replay()
    assert (made.code, made.output, made.same) == ("stored", 5, True)
    with pytest.raises(DefinitionError, match="a command, which the debugger does not reach"):
        ended.task("echo").replay(pdb=True)
    with pytest.raises(DefinitionError, match="stands in its pipeline"):
        ended.task("echo").replay("today")


def test_a_command_of_today(home: Path) -> None:
    script = home.parent / "words.sh"
    script.write_text("echo one")
    says = command(["sh", "words.sh"], name="says", reads=["words.sh"], outputs={"result": stdout("text")})

    @pipeline
    def pipe() -> str:
        return says()

    ended = pipe.options(executor="inline").run()
    script.write_text("echo two")
    made = ended.task("says").replay()
    assert (made.output, made.same) == ("two", False)
    assert made.notes == ["the file words.sh, which it reads, has changed since the run, and is read as it is"]
    assert ended.task("says").replay("today").code == "today"


def test_a_command_that_failed() -> None:
    @pipeline
    def pipe() -> None:
        command("echo broken >&2; exit 3", name="breaks")()

    made = run(pipe).task("breaks").replay()
    assert (made.state, made.same) == ("failed", True)
    assert "exit code 3" in str(made.error) and "broken" in str(made.error)


def test_a_wait_is_asked_once(home: Path) -> None:
    there = home.parent / "there"
    there.touch()

    @wait
    def arrived() -> str:
        if not there.exists():
            raise Retry("it is under way")
        return "here"

    @pipeline
    def pipe() -> str:
        return arrived()

    ended = pipe.options(executor="inline").run()
    assert ended.task("arrived").replay().output == "here"
    there.unlink()
    made = ended.task("arrived").replay()
    assert (made.state, made.document["reason"], made.same, made.outputs) == ("waiting", "it is under way", False, {})


def test_a_task_that_asks_to_be_skipped() -> None:
    @pipeline
    def pipe() -> list[Any]:
        return [picky(-1), double.options(join="all_done")(2)]

    made = run(pipe).task("picky").replay()
    assert (made.state, made.document["reason"]) == ("skipped", "negative")
    with pytest.raises(LookupError, match="picky has 0 outputs: it was skipped"):
        _ = made.output


def test_a_task_whose_fallback_took_its_place() -> None:
    @task(fallback=0)
    def risky() -> int:
        raise ValueError("unlucky")

    @pipeline
    def pipe() -> int:
        return risky()

    ended = pipe.options(executor="inline").run()
    assert ended.result == 0
    made = ended.task("risky").replay()
    assert (made.state, str(made.error), made.same) == ("failed", "unlucky", True)


def test_approvals_and_containers_without_an_engine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def pipe() -> None:
        work = container("alpine", "true", name="boxed").options(after=approval("Go on?", name="sign_off")())
        work()

    ended = run(pipe)
    assert ended.state == "paused"
    with pytest.raises(DefinitionError, match="sign_off is a question to people"):
        ended.replay("sign_off")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DefinitionError, match="boxed runs in a container, and there is no container engine here"):
        ended.replay("boxed")


def test_a_task_that_was_never_reached() -> None:
    @task
    def broken() -> int:
        raise ValueError("no")

    @pipeline
    def pipe() -> int:
        return double(broken())

    ended = pipe.options(executor="inline").run()
    with pytest.raises(DefinitionError, match=r"double never had its inputs: broken has no output: it failed\n.*why"):
        ended.task("double").replay()
    with pytest.raises(LookupError, match="broken has no output"):
        _ = ended.task("double").inputs


# Inputs: what JSON cannot hold, what is gone, and what is no longer what it was.


@task
def described(pair: tuple[int, ...], day: date, path: Path, nested: list[Any]) -> str:
    return repr((pair, day, path, nested))


def test_constants_in_the_pipeline_come_back_as_they_were() -> None:
    @pipeline
    def inner(x: int) -> str:
        return described((x, 2), date(2026, 1, 2), Path("b"), [{1}, b"x"])

    @pipeline
    def pipe() -> list[str]:
        return [described((1, 2), date(2026, 1, 2), Path("a"), [{1}, (2,)]), *inner.map([1])]  # pyright: ignore[reportReturnType]

    ended = run(pipe)
    given = ended.task("described").inputs
    assert given == {"pair": (1, 2), "day": date(2026, 1, 2), "path": Path("a"), "nested": [{1}, (2,)]}
    assert ended.task("described").replay().same is True
    [name] = [each.id for each in ended.tasks if each.id.endswith("/described")]
    assert ended.task(name).replay().same is True


@task
def large(rows: int) -> bytes:
    return bytes(rows)


@task
def measure(data: bytes, factor: int) -> int:
    return factor * len(data)


@pipeline
def measured(rows: int = 10_000) -> int:
    return measure(large(rows), 2)


def test_an_input_whose_bytes_are_gone_is_named(home: Path) -> None:
    ended = run(measured)
    for file in (home / "blobs").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(
        DefinitionError,
        match=r"the input 'data' of measure \(large\) cannot be loaded: (?s:.*)penstock run \S+ --refresh large",
    ):
        ended.task("measure").replay()
    # what needs nothing of it is not affected; what was recorded is gone for a comparison by content only
    assert ended.task("large").replay().same is True


def test_an_input_whose_bytes_are_damaged_is_named(home: Path) -> None:
    ended = run(measured)
    for file in (home / "blobs").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(
        DefinitionError, match=r"the input 'data' of measure \(large\) cannot be loaded: .*not those that were written"
    ):
        ended.task("measure").replay()


def test_a_file_that_has_changed_is_told(home: Path) -> None:
    file = home.parent / "rows.csv"
    file.write_text("1\n2\n")

    @task(reads="settings.txt")
    def rows(path: Path) -> int:
        return len(path.read_text().split())

    @pipeline
    def pipe(path: Path) -> int:
        rows.options(name="other")(path)
        return rows(file)

    (home.parent / "settings.txt").write_text("a")
    ended = pipe.options(executor="inline").run(path=file)
    assert ended.task("rows").replay().notes == []
    file.write_text("1\n2\n3\n")
    made = ended.task("rows").replay()
    assert made.notes == [f"what the input 'path' leads to, {file}, has changed since the run"]
    assert (made.output, made.same) == (3, False)
    assert ended.task("other").replay().notes == made.notes
    (home.parent / "settings.txt").write_text("b")
    assert len(ended.task("other").replay().notes) == 2
    file.unlink()
    made = ended.task("rows").replay()
    assert made.notes[:1] == [f"what the input 'path' leads to, {file}, was there in the run, and is gone"]
    assert isinstance(made.error, FileNotFoundError)


def test_a_pickle_of_another_python_says_so(home: Path) -> None:
    @pipeline
    def pipe() -> int:
        return held(odd(3))

    ended = run(pipe)
    with sqlite3.connect(home / "penstock.db") as database:
        database.execute("UPDATE run_details SET provenance = json_set(provenance, '$.python', 'CPython 3.9.1')")
    database.close()
    made = ended.task("held").replay()
    assert made.output == 3
    assert [note for note in made.notes if "is or holds a pickle of CPython 3.9.1; here is CPython 3." in note]


def test_a_pickle_whose_class_is_gone_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def pipe() -> int:
        return held(odd(3))

    ended = run(pipe)
    with sqlite3.connect(home / "penstock.db") as database:
        database.execute("UPDATE run_details SET provenance = json_set(provenance, '$.python', 'CPython 3.9.1')")
    database.close()
    monkeypatch.delattr(f"{__name__}.Odd")
    with pytest.raises(
        DefinitionError, match=r"the input 'odd' of held \(odd\) .*made by CPython 3\.9\.1, and here is"
    ):
        ended.task("held").replay("today")


# Outputs that differ.


def test_a_value_without_a_digest_cannot_be_compared() -> None:
    @task
    def local() -> Any:
        number = os.urandom(4)

        def again() -> Any:
            return again if number else None

        return again

    @pipeline
    def pipe() -> Any:
        return local()

    again = pipe.options(executor="inline").run().task("local").replay()
    [output] = again.document["outputs"]
    assert (output["verdict"], again.same) == ("unknown", None)


def test_frames_that_differ_say_in_what(home: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    times = home.parent / "times"
    times.write_text("1")

    @task
    def table() -> Any:
        rows = int(times.read_text())
        return pandas.DataFrame({"price": [1.5 * rows] * 3, "name": ["a", "b", "c"]}).head(4 - rows)

    @pipeline
    def pipe() -> Any:
        return table()

    ended = pipe.options(executor="inline").run()
    times.write_text("2")
    made = ended.task("table").replay()
    [output] = made.document["outputs"]
    assert (output["verdict"], made.same) == ("different", False)
    assert output["data"]["rows"] == (3, 2)
    assert output["data"]["columns"][0]["name"] == "price"
    assert output["data"]["columns"][0]["shift"] == 1.0


def test_files_among_the_outputs_stay() -> None:
    @task
    def written() -> Path:
        file = current().folder / "report.txt"
        file.write_text("fine")
        return file

    @pipeline
    def pipe() -> Path:
        return written()

    found = pipe.options(executor="inline").run().task("written").replay().output
    assert found.read_text() == "fine"
