"""Commands over files of other systems: the dialect asked for and recorded, what is ignored told, what is opaque refused,
pipelines written in a dialect and shown beside their native form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

FLOW = """
    from toyflow import flow, step

    @step
    def double(number: int) -> int:
        return 2 * number

    @flow(owner="ann", every="1h")
    def doubling(number: int = 2):
        return double(number)
    """
#: without an import by which its dialect could be recognised
INDIRECT = """
    from pathlib import Path

    from words import flow, step

    @step
    def careful(number: int) -> int:
        if Path("broken").exists():
            raise ValueError("broken")
        return 2 * number

    @flow()
    def onward(number: int = 2):
        return careful(number)
    """
OPAQUE = """
    from toyflow import flow, step, warehouse

    @step
    def double(number: int) -> int:
        return 2 * number

    @flow()
    def loading():
        return warehouse("select 1", after=double(1))
    """


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def penstock(capsys: pytest.CaptureFixture[str], toyflow: Path) -> Command:
    from penstock.cli.commands import penstock as group

    def command(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as ended:
            group.main([str(each) for each in arguments], prog_name="penstock")
        out, err = capsys.readouterr()
        return Answer(int(str(ended.value.code or 0)), out, err)

    return command


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip())
    return file


@pytest.fixture
def doubling(toyflow: Path) -> Path:
    return written(toyflow / "doubling.py", FLOW)


@pytest.fixture
def going_on(toyflow: Path) -> Path:
    written(toyflow / "words.py", "from toyflow import flow, step\n")
    return written(toyflow / "going_on.py", INDIRECT)


def run(penstock: Command, *arguments: object) -> Answer:
    return penstock("run", *arguments, "--executor", "inline", "--quiet", "--json")


def result_of(answer: Answer) -> Any:
    return answer.document["outputs"]["result"]["value"]


# Asking for a dialect.


def test_the_dialect_that_was_asked_for_is_recorded_with_the_run(penstock: Command, going_on: Path) -> None:
    wrong = run(penstock, "going_on.py")
    assert wrong.code == 2
    going_on.with_name("broken").touch()
    failed = run(penstock, "going_on.py", "--dialect", "toyflow")
    assert (failed.code, failed.document["state"]) == (1, "failed")
    assert penstock("show", "latest", "--json").document["target"] == "toyflow+going_on.py"

    going_on.with_name("broken").unlink()
    resumed = penstock("resume", "latest", "--json", "--quiet")
    assert (resumed.code, result_of(resumed)) == (0, 4)
    retried = penstock("retry", "latest", "careful", "--json", "--quiet")
    assert (retried.code, result_of(retried)) == (0, 4)
    why = penstock("why", "latest", "careful", "--json")
    assert why.code == 0, why.err
    replayed = penstock("replay", "latest", "careful", "--compare", "--json")
    assert replayed.code == 0, replayed.err


def test_commands_that_take_a_target_take_a_dialect(penstock: Command, going_on: Path) -> None:
    for command in (["graph"], ["plan"], ["register", "--dry-run"], ["export", "--to", "toyflow"]):
        answer = penstock(*command, "going_on.py", "--dialect", "toyflow")
        assert (answer.code, "careful" in answer.out or "onward" in answer.out) == (0, True), answer


@pytest.mark.parametrize(
    ("dialect", "told"), [("toyfl", "there is no dialect 'toyfl'"), ("argo", "are written by penstock, and not read")]
)
def test_dialects_that_no_file_can_be_read_in(penstock: Command, doubling: Path, dialect: str, told: str) -> None:
    answer = penstock("plan", "doubling.py", "--dialect", dialect)
    assert answer.code == 2
    assert told in answer.err
    assert "toyflow" in answer.err


def test_help_lists_the_dialects(penstock: Command) -> None:
    for command in ("run", "plan", "graph", "register", "export", "convert"):
        assert "toyflow" in penstock(command, "--help").out


# Registering.


def test_files_of_other_systems_are_registered_with_what_starts_them(penstock: Command, doubling: Path) -> None:
    written(doubling.parent / "flows" / "numbers.yaml", "# toyflow\nconstant 7\n")
    written(doubling.parent / "flows" / "notes.yaml", "just: notes\n")
    doubling.rename(doubling.parent / "flows" / "doubling.py")
    answer = penstock("register", "flows", "--json")
    assert answer.code == 0, answer.err
    entries = {(each["kind"], each["name"]) for each in answer.document["entries"]}
    assert entries == {("pipeline", "doubling"), ("trigger", "doubling-schedule"), ("pipeline", "from_data")}
    assert "doubling.py:1" in penstock("register", "flows", "--dry-run", "--full").out
    listed = penstock("triggers", "list", "--json").document
    assert [each["name"] for each in listed] == ["doubling-schedule"]
    done = run(penstock, "doubling")
    assert result_of(done) == 4
    assert result_of(run(penstock, "from_data")) == 7
    again = penstock("register", "flows", "--json")
    assert {each["change"] for each in again.document["entries"]} == {"unchanged"}


def test_a_registered_pipeline_keeps_the_dialect_that_was_asked_for(penstock: Command, going_on: Path) -> None:
    answer = penstock("register", "going_on.py", "--dialect", "toyflow", "--json")
    assert answer.code == 0, answer.err
    assert result_of(run(penstock, "onward", "-p", "number=5")) == 10
    assert "leave out --dialect" in run(penstock, "onward", "--dialect", "toyflow").err


@pytest.mark.slow
def test_what_starts_it_starts_runs_of_it(going_on: Path) -> None:
    text = going_on.read_text().replace("@flow()", "@flow(every='1h')")
    going_on.write_text(text)
    registered = apart("register", "going_on.py", "--dialect", "toyflow")
    assert registered.code == 0, registered.err
    assert apart("triggers", "fire", "onward-schedule").code == 0
    served = apart("up", "--once")
    assert served.code == 0, served.err
    document = apart("show", "latest", "--json").document
    assert (document["state"], document["pipeline"]) == ("succeeded", "onward")
    assert document["target"].startswith("toyflow+")
    again = apart("backfill", "onward", "--grid", "number=3,4", "--here", "-y")
    assert again.code == 0, again.err
    left = apart("run", "going_on.py", "--dialect", "toyflow", "--detach", "--json")
    waited = apart("wait", left.document["run_id"])
    assert waited.code == 0, waited.err


# What has no effect, and what cannot be run.


def test_a_plan_lists_what_is_ignored(penstock: Command, doubling: Path) -> None:
    answer = penstock("plan", "doubling.py", "--json")
    where = {"what": "doubling: owner='ann'", "where": "doubling.py:7", "why": "penstock has no owners"}
    assert answer.document["ignored"] == [where]
    told = penstock("plan", "doubling.py").out
    assert "without effect here:\n  doubling: owner='ann'  doubling.py:7: penstock has no owners\n" in told


def test_a_plan_of_penstock_s_own_ignores_nothing(penstock: Command, toyflow: Path) -> None:
    text = "from penstock import pipeline, task\n\n@task\ndef one(): return 1\n\n@pipeline\ndef ones(): return one()\n"
    written(toyflow / "ones.py", text)
    assert penstock("plan", "ones.py", "--json").document["ignored"] == []
    assert "without effect" not in penstock("plan", "ones.py").out


@pytest.mark.parametrize("command", [("run",), ("run", "--plan", "--yes"), ("register",)])
def test_what_is_opaque_is_refused_before_anything_runs(
    penstock: Command, toyflow: Path, command: tuple[str, ...]
) -> None:
    written(toyflow / "loading.py", OPAQUE)
    answer = penstock(*command, "loading.py")
    assert answer.code == 2
    assert "warehouse is a WarehouseQuery, for which penstock has no counterpart" in answer.err
    assert "loading.py:9" in answer.err
    assert "penstock export --to toyflow" in answer.err
    assert penstock("runs", "--json").document == []


def test_a_plan_marks_what_is_opaque(penstock: Command, toyflow: Path) -> None:
    written(toyflow / "loading.py", OPAQUE)
    answer = penstock("plan", "loading.py")
    assert answer.code == 2
    assert "warehouse  opaque: WarehouseQuery of toyflow, which no run can have" in answer.out
    assert "warehouse is a WarehouseQuery, for which penstock has no counterpart" in answer.err
    answer = penstock("plan", "loading.py", "--json")
    assert answer.code == 2
    assert [task["state"] for task in answer.document["tasks"]] == ["would_run", "opaque"]
    assert answer.document["summary"]["opaque"] == 1
    assert answer.document["refused"]["where"] == "loading.py:9"


def test_a_plan_marks_what_is_opaque_and_waits_for_nothing(penstock: Command, toyflow: Path) -> None:
    written(toyflow / "loading.py", OPAQUE.replace(", after=double(1)", ""))
    answer = penstock("plan", "loading.py")
    assert "warehouse  opaque: WarehouseQuery of toyflow, which no run can have" in answer.out
    assert "1 opaque" in answer.out


def test_a_run_tells_what_was_ignored(penstock: Command, doubling: Path) -> None:
    assert penstock("run", "doubling.py", "--executor", "inline").code == 0
    where = {"what": "doubling: owner='ann'", "where": "doubling.py:7", "why": "penstock has no owners"}
    assert penstock("show", "--json").document["ignored"] == [where]
    told = penstock("show").out
    assert "without effect here:\n  doubling: owner='ann'  doubling.py:7: penstock has no owners\n" in told


def test_what_is_opaque_can_be_drawn(penstock: Command, toyflow: Path) -> None:
    written(toyflow / "loading.py", OPAQUE)
    assert "opaque WarehouseQuery" in penstock("graph", "loading.py").out
    action = next(
        task["action"]
        for task in penstock("graph", "loading.py", "--json").document["tasks"].values()
        if task["name"] == "warehouse"
    )
    assert (action["type"], action["source"]) == ("opaque", "warehouse('select 1')")
    for form in ("mermaid", "svg", "html"):
        assert "WarehouseQuery" in penstock("graph", "loading.py", "-f", form).out


# Writing.


def test_an_export_to_stdout_has_its_report_on_stderr(penstock: Command, doubling: Path) -> None:
    answer = penstock("export", "doubling.py", "--to", "toyflow")
    assert (answer.code, answer.document) == (0, {"flow": "doubling", "steps": ["double"]})
    assert "double" in answer.err
    assert "doubling in toyflow: 1 exact" in answer.err
    assert "toyflow has no zones" in answer.err
    assert "owner='ann'" in answer.err
    assert "doubling.notes" in answer.err


def test_an_export_to_a_file_writes_what_belongs_beside_it(penstock: Command, doubling: Path) -> None:
    answer = penstock("export", "doubling.py", "--to", "toyflow", "-o", "out/flow.json")
    assert answer.code == 0
    assert "1 exact" in answer.out
    assert json.loads(Path("out/flow.json").read_text())["flow"] == "doubling"
    assert Path("out/flow.notes").read_text() == "kept beside it\n"
    Path("out/flow.json").write_text("mine")
    Path("out/flow.notes").unlink()

    refused = penstock("export", "doubling.py", "--to", "toyflow", "-o", "out/flow.json")
    assert refused.code == 2
    assert "there is already out/flow.json" in refused.err
    assert (Path("out/flow.json").read_text(), Path("out/flow.notes").exists()) == ("mine", False)
    assert penstock("export", "doubling.py", "--to", "toyflow", "-o", "out/flow.json", "--force").code == 0
    assert Path("out/flow.json").read_text() != "mine"


def test_an_export_as_a_document(penstock: Command, doubling: Path) -> None:
    document = penstock("export", "doubling.py", "--to", "toyflow", "--json").document
    assert document["accounts"][0] == {"node": "double", "grade": "exact", "how": ""}
    assert document["beside"] == {"doubling.notes": "kept beside it\n"}
    assert document["ignored"][0]["where"] == "doubling.py:7"
    assert json.loads(document["text"])["steps"] == ["double"]


def test_a_strict_export_refuses_losses(penstock: Command, toyflow: Path) -> None:
    written(toyflow / "loading.py", OPAQUE)
    assert penstock("export", "loading.py", "--to", "toyflow", "-o", "kept.json").code == 0
    answer = penstock("export", "loading.py", "--to", "toyflow", "--strict", "-o", "strict.json")
    assert (answer.code, Path("strict.json").exists()) == (2, False)
    assert "nothing is written: warehouse would not be the same" in answer.err
    refused = penstock("export", "loading.py", "--to", "toyflow", "--strict", "--json")
    assert (refused.code, refused.document["refused"]) == (2, True)


@pytest.mark.parametrize(
    ("body", "told", "line"),
    [
        ("    return one() if one() else None", "depends on the value of something that has yet to run", 8),
        ("    return missing()", "the body of the pipeline whole failed", 0),
    ],
)
def test_what_no_file_could_hold_is_not_written(
    penstock: Command, toyflow: Path, body: str, told: str, line: int
) -> None:
    text = f"from penstock import pipeline, task\n\n@task\ndef one(): return 1\n\n@pipeline\ndef whole():\n{body}\n"
    written(toyflow / "whole.py", text)
    answer = penstock("export", "whole.py", "--to", "toyflow")
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert f"whole.py:{line}" in answer.err or not line


def test_a_dialect_that_is_not_written(penstock: Command, doubling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toyflow_dialect  # pyright: ignore[reportMissingImports]

    from penstock.dialects import recognition

    monkeypatch.setattr(toyflow_dialect, "DIALECT", toyflow_dialect.DIALECT._replace(write=None))
    recognition.dialects.cache_clear()
    answer = penstock("export", "doubling.py", "--to", "toyflow")
    assert answer.code == 2
    assert "penstock reads Toyflow, and does not write it" in answer.err


def test_a_writer_that_forgets_a_node_is_found_out(
    penstock: Command, doubling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toyflow_dialect  # pyright: ignore[reportMissingImports]

    from penstock.dialects import Written, recognition

    forgetful = toyflow_dialect.DIALECT._replace(write=lambda export: Written("", ()))
    monkeypatch.setattr(toyflow_dialect, "DIALECT", forgetful)
    recognition.dialects.cache_clear()
    answer = penstock("export", "doubling.py", "--to", "toyflow")
    assert answer.code == 2
    assert "the dialect 'toyflow' does not say how it has written double" in answer.err


@pytest.fixture
def native_writer(monkeypatch: pytest.MonkeyPatch, toyflow: Path) -> None:
    """A writer of native files that is known to the tests, in the place of penstock's own."""
    from penstock.dialects import Account, Export, Written, native, recognition

    def write(export: Export) -> Written:
        accounts = tuple(Account(node.id, "equivalent", "a task") for node in export.definition.graph.nodes)
        return Written("from penstock import pipeline, task\n\n@step\n", accounts)

    monkeypatch.setattr(native, "DIALECT", native.DIALECT._replace(write=write))
    recognition.dialects.cache_clear()


@pytest.mark.usefixtures("native_writer")
def test_a_file_beside_its_native_form(penstock: Command, doubling: Path) -> None:
    answer = penstock("convert", "doubling.py")
    assert answer.code == 0
    assert answer.out.startswith("--- doubling.py\n+++ in penstock\n")
    assert "-from toyflow import flow, step\n+from penstock import pipeline, task\n" in answer.out
    assert " @step\n" in answer.out
    assert "1 equivalent" in answer.err
    document = penstock("convert", "doubling.py", "--json").document
    assert document["source"] == doubling.read_text()
    assert document["diff"] == answer.out
    assert penstock("convert", "doubling.py", "-o", "native.py").code == 0
    assert Path("native.py").read_text() == document["text"]


@pytest.mark.usefixtures("native_writer")
def test_two_columns(doubling: Path) -> None:
    from penstock.cli.export_view import paired, side_by_side
    from penstock.cli.renderables import rendered

    assert list(paired(["a", "b", "c"], ["a", "x", "y", "c"])) == [("a", "a"), ("b", "x"), (None, "y"), ("c", "c")]
    told = rendered(side_by_side("doubling.py", "a\nb\n", "a\nx\ny\n"), width=40)
    rows = [line.split() for line in told.splitlines()]
    assert rows[0] == ["doubling.py", "in", "penstock"]
    assert rows[2:] == [["a", "a"], ["b", "x"], ["y"]]


@pytest.mark.usefixtures("native_writer")
def test_what_is_native_already_is_not_converted(penstock: Command, toyflow: Path) -> None:
    text = "from penstock import pipeline, task\n\n@task\ndef one(): return 1\n\n@pipeline\ndef ones(): return one()\n"
    written(toyflow / "ones.py", text)
    answer = penstock("convert", "ones.py")
    assert answer.code == 2
    assert "ones.py is written for penstock already" in answer.err


# Replaying, with the code of the run.

LATE = """
    from shared import add
    from toyflow import calling, flow, step

    def three() -> int:
        return 3

    @step
    def shouted(number: int) -> str:
        from toyflow.text.extras import shout
        return shout(f"n{add(number)}")

    @flow()
    def shouting():
        return shouted(calling(three))
    """
SHARED = "from toyflow import step\n\ndef add(number: int) -> int:\n    return number + 1\n"


def apart(*arguments: str) -> Answer:
    """A command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_the_code_of_the_run_is_put_back_in_its_dialect(toyflow: Path) -> None:
    file, shared = written(toyflow / "shouting.py", LATE), written(toyflow / "shared.py", SHARED)
    first = apart("run", "shouting.py", "--quiet", "--json")
    assert result_of(first) == "N4!"
    same = apart("replay", "latest", "shouted", "--compare", "--json")
    assert same.code == 0, same.err
    assert apart("replay", "latest", "calling-three", "--compare", "--json").code == 0

    shared.write_text(SHARED.replace("+ 1", "+ 2"))
    file.write_text(file.read_text().replace("from toyflow.text", "from  toyflow.text"))
    stored = apart("replay", "latest", "shouted", "--compare", "--json", "--code", "stored")
    assert stored.code == 0, stored.err
    made = apart("replay", "latest", "calling-three", "--compare", "--json", "--code", "stored")
    assert made.code == 0, made.err
    today = apart("replay", "latest", "shouted", "--compare", "--json", "--code", "today")
    assert today.code == 1, today.err
    second = apart("run", "shouting.py", "--quiet", "--json")
    assert result_of(second) == "N5!"
    assert "+ 2" in apart("why", "latest", "shouted").out
    assert "+ 2" in apart("diff", first.document["run_id"], second.document["run_id"]).out
