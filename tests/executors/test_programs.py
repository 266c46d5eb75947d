"""Commands: what goes in, what comes out, what is said meanwhile, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from test_process_executor import process_executor
from test_worker_deaths import is_alive, wait_until

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.authoring.tasks.commands import CommandTask, command, exit_code, file, stdout
from penstock.errors import CommandError, OutputError, Skip
from penstock.executors.inline import InlineExecutor
from penstock.model.work import Declined, Done, Erred, Job, Program
from penstock.testing.executor_bench import Bench, name_of

#: the long ring: real commands, killed and timed out
pytestmark = pytest.mark.slow

#: a value with all that a shell could take for more than text
WILD = "a 'b' \"c\" $HOME `id` \\ $(touch pwned) ; & | > x * ? # ~ \n\t é !"


def code_of(task: Task[..., Any]) -> Program:
    assert isinstance(task, CommandTask)
    return Program(task.action)


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture(params=["inline", "processes"])
def bench(request: pytest.FixtureRequest, storage: dict[str, Any]) -> Generator[Bench]:
    values = open_values(storage)
    executor = InlineExecutor(values, {}, {}) if request.param == "inline" else process_executor(storage, size=1)
    yield Bench(executor, values, code_of)
    executor.close(kill=True)


# Outside a run: the inputs.


def test_values_reach_a_program_as_they_are() -> None:
    show = command(
        [sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", "{a}", "-x={b}{{}}"], outputs=dict
    )
    assert show(WILD, b=2) == [WILD, "-x=2{}"]


@pytest.mark.parametrize(
    "place", ["{a}", '"{a}"', "'{a}'", 'x"y"{a}', "# it's\nprintf %s {a} #", "\"$(printf %s '{a}')\""]
)
def test_no_value_is_read_as_code_by_the_shell(place: str, tmp_path: Path) -> None:
    run = command(f"printf %s {place}", outputs=str, folder=tmp_path)
    assert WILD.strip() in run(WILD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (True, "true"),
        (None, ""),
        ("", ""),
        ([1, "a"], '[1, "a"]'),
        ({"a": None}, '{"a": null}'),
        (np.float32(0.5), "0.5"),
        (Path("x"), str(Path.cwd() / "x")),
    ],
)
def test_the_text_for_a_value(value: Any, text: str) -> None:
    assert command(["printf", "%s", "{value}"])(value) == text
    assert command("printf %s {value}")(value) == text


def test_a_value_can_be_formatted_or_put_in_as_it_stands() -> None:
    assert command("printf '%s ' {x:.2f} {words!s}")(1 / 3, words="a b") == "0.33 a b "


def test_a_value_without_a_text_is_refused() -> None:
    with pytest.raises(OutputError, match=r"test_programs.py:\d+: the input 'x' is a pandas.DataFrame") as caught:
        command("echo {x}")(pd.DataFrame())
    assert caught.value.remedy is not None
    assert 'files={"x": "x.csv"}' in caught.value.remedy
    with pytest.raises(OutputError, match="a zero byte"):
        command("echo {x}")("\0")


def test_variables_are_set_from_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    show = command('echo "$A/$OUTER"', environment={"A": "<{a}>"})
    assert show(WILD) == f"<{WILD}>/outer"


FRAME = pd.DataFrame({"x": [1, 2], "y": ["a", None]})


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("text\n", "a.txt", b"text\n"),
        ("text", "in/a.json", b"text"),
        (b"\0\1", "a", b"\0\1"),
        ({"a": [1, 2.5, None]}, "a.json", b'{"a": [1, 2.5, null]}\n'),
        (np.array([[1, 2]]), "a.json", b"[[1, 2]]\n"),
        (np.array([1, 2]), "a.csv", b"1\n2\n"),
        (FRAME, "a.csv", b"x,y\n1,a\n2,\n"),
        (FRAME, "a.json", b'[{"x":1,"y":"a"},{"x":2,"y":null}]'),
    ],
)
def test_an_input_goes_by_file_in_the_format_of_its_suffix(value: Any, name: str, expected: bytes) -> None:
    shown = command("printf %s/ {data}; cat {data}", files={"data": name}, outputs=bytes)(value)
    assert shown == name.encode() + b"/" + expected


def test_libraries_read_the_files_that_they_are_given() -> None:
    read = "import sys, pandas, joblib; print(len(pandas.read_parquet(sys.argv[1])), joblib.load(sys.argv[2]).C)"
    show = command(
        [sys.executable, "-c", read, "{frame}", "{model}"], files={"frame": "f.parquet", "model": "m.joblib"}
    )
    assert show(FRAME, LogisticRegression(C=0.25)) == "2 0.25"


def test_a_path_that_goes_by_file_is_there_under_the_new_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("inside")
    assert command("cat d/x.txt", files={"data": "d"})(tmp_path / "data") == "inside"
    with pytest.raises(OutputError, match="there is no file or folder"):
        command("cat d", files={"data": "d"})(tmp_path / "other")


def test_a_value_that_cannot_be_written_says_what_to_do() -> None:
    with pytest.raises(
        OutputError, match=r"'x' cannot be handed over: a value of type dict cannot .* x.csv\n .*\.json"
    ):
        command("cat {x}", files={"x": "x.csv"})({"a": 1})
    with pytest.raises(OutputError, match="cannot be written as JSON"):
        command("cat {x}", files={"x": "x.json"})(object())


# Outside a run: the outputs.


def test_outputs_come_from_stdout_files_and_exit_code() -> None:
    run = command(
        "echo '[1, 2.5]'; mkdir -p m; echo 7 > m/{name}.txt; printf '\\377' > b; exit 3",
        outputs={
            "text": str,
            "lines": stdout("lines"),
            "numbers": dict,
            "number": file("m/{name}.txt", "float"),
            "path": "m/{name}.txt",
            "folder": file("m"),
            "raw": file("b", "bytes"),
            "code": exit_code(),
        },
    )
    found = run("é x")
    assert found.pop("path").read_text() == "7\n"
    assert found.pop("folder").is_dir()
    assert found == {
        "text": "[1, 2.5]",
        "lines": ["[1, 2.5]"],
        "numbers": [1, 2.5],
        "number": 7.0,
        "raw": b"\xff",
        "code": 3,
    }


def test_a_file_that_was_not_written_is_named_with_those_that_were() -> None:
    with pytest.raises(
        OutputError, match=r"(?s)did not write model.pkl, which its output 'model' .*there is: model.pk"
    ):
        command("touch model.pk", outputs={"model": "model.pkl"})()


@pytest.mark.parametrize(("spec", "words"), [(dict, "JSON"), (float, "a number"), (int, "a whole number")])
def test_text_that_cannot_be_read_is_quoted(spec: Any, words: str) -> None:
    with pytest.raises(OutputError, match=rf"read from stdout, is not {words}: 'many\\n'"):
        command("echo many", outputs=spec)()


def test_a_command_may_have_no_output() -> None:
    assert command("echo x", outputs={})() is None


def test_nothing_is_left_of_the_scratch_folder_unless_it_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command("echo x > y")()
    assert list(tmp_path.iterdir()) == []
    made = command("echo x > y", outputs="y")()
    assert made.read_text() == "x\n"


def test_scripts_that_are_named_are_there_with_their_modules(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("NAME = 'helper'")
    (tmp_path / "show.py").write_text("import helper, sys, os; print(helper.NAME, sys.argv[1], os.listdir())")
    (tmp_path / "data.txt").write_text("data")
    (tmp_path / "flow.py").write_text(
        "from penstock.authoring.tasks.commands import command\n"
        f"show = command('{sys.executable} show.py {{x}}; cat data.txt', reads=['data.txt'], outputs=list[str])\n"
    )
    namespace: dict[str, Any] = {}
    exec(compile((tmp_path / "flow.py").read_text(), str(tmp_path / "flow.py"), "exec"), namespace)
    said, data = namespace["show"](1)
    assert said.startswith("helper 1 ")
    assert data == "data"


def test_a_folder_to_run_in_keeps_what_is_written(tmp_path: Path) -> None:
    run = command("cat {x} > copy; pwd", folder=tmp_path, files={"x": "x.json"}, outputs={"copy": file("copy", "json")})
    assert run([1]) == {"copy": [1]}
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


# Outside a run: ends.


def test_a_failing_command_tells_its_line_its_code_and_what_it_said_last() -> None:
    with pytest.raises(CommandError) as caught:
        command("echo one; echo two >&2; echo three >&2; exit {code}; echo {x}")(4, x="a b")
    assert caught.value.exit_code == 4
    assert "test_programs.py:" in str(caught.value)
    said = "exit code 4: echo one; echo two >&2; echo three >&2; exit 4; echo 'a b'\n  | two\n  | three"
    assert said in str(caught.value)


def test_lines_for_the_shell_end_at_the_first_that_fails() -> None:
    with pytest.raises(CommandError):
        command("false\necho on")()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match=r"there is no program 'no-such-thing'") as caught:
        command(["no-such-thing", "{x}"])(1)
    assert caught.value.exit_code == 127
    with pytest.raises(CommandError, match="one text, not a list"):
        command(["echo hello"])()


def test_a_program_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(CommandError, match=r"(?s)tool cannot be run: Permission denied.*chmod \+x") as caught:
        command(["./tool"], folder=tmp_path)()
    assert caught.value.exit_code == 126


def test_exit_codes_mean_what_is_declared() -> None:
    run = command("exit {code}", success=(0, 3), skip=[99])
    assert run(3) == ""
    with pytest.raises(Skip, match="exit code 99"):
        run(99)
    with pytest.raises(CommandError):
        run(1)


def test_a_command_that_is_ended_by_a_signal_fails_whatever_its_code() -> None:
    with pytest.raises(CommandError, match="SIGTERM") as caught:
        command("kill -TERM $$", outputs=exit_code())()
    assert caught.value.exit_code == -signal.SIGTERM


# In a run.


def test_a_command_runs_in_a_scratch_folder_of_the_attempt(bench: Bench) -> None:
    made = command("pwd > where; echo {x} >> where", outputs={"where": "where", "said": str})
    end = bench.done(made, x=WILD)
    where, said = (bench.values.load(output) for output in end.outputs)
    folder, text = where.read_text().split("\n", 1)
    assert text == f"{WILD}\n"
    assert said == ""
    assert not Path(folder).exists()


def test_what_a_command_says_is_told_line_by_line(bench: Bench) -> None:
    talk = (
        "import sys, time\n"
        "print('first'); print('second', file=sys.stderr); time.sleep(0.05); print('third')\n"
        "sys.stdout.buffer.write(b'bad \\xff byte\\n' + b'x' * 100_000 + b'\\nno end')\n"
    )
    assert bench.value(command([sys.executable, "-c", "{talk}"], outputs=stdout("lines")), talk=talk)[-1] == "no end"
    out = bench.texts("stdout")
    assert out[:3] == ["first", "third", "bad \\xff byte"]
    assert "".join(out[3:]) == "x" * 100_000 + "no end"
    assert bench.texts("stderr") == ["second"]


def test_lines_are_told_while_the_command_runs(storage: dict[str, Any], tmp_path: Path) -> None:
    executor = process_executor(storage, size=1)
    bench = Bench(executor, open_values(storage), code_of)
    try:
        job = bench.job(command("echo begun; while [ ! -e {go} ]; do sleep 0.01; done"), go=tmp_path / "go")
        bench.submit(job)
        bench.wait_for(lambda: bench.texts("stdout") == ["begun"])
        (tmp_path / "go").touch()
        assert isinstance(bench.finish()[name_of(job)], Done)
    finally:
        executor.close(kill=True)


def test_bytes_are_not_told(bench: Bench) -> None:
    assert bench.value(command("printf '\\000\\001'", outputs=bytes)) == b"\0\1"
    assert bench.texts("stdout") == []


def test_a_failure_and_a_skip_in_a_run(bench: Bench) -> None:
    run: Task[..., Any] = command("echo wrong >&2; exit {code}", skip=[99])
    fault = bench.erred(run, code=2).fault
    assert fault.type == "penstock.errors.CommandError"
    assert "exit code 2" in fault.message
    assert "wrong" in fault.message
    end = bench.end_of(run, code=99)
    assert isinstance(end, Declined)
    assert end.reason == "the command ended with exit code 99"


# Nothing is left running.

START = "sleep 600 & echo $! > {told}; echo $$ >> {told}; {then!s}"


def pids_of(told: Path) -> list[int]:
    return [int(line) for line in told.read_text().split()] if told.exists() else []


def test_what_runs_in_the_background_ends_with_the_command(bench: Bench, tmp_path: Path) -> None:
    bench.done(command(START), told=tmp_path / "told", then="true")
    assert not any(map(is_alive, pids_of(tmp_path / "told")))


def test_a_timeout_ends_the_whole_group(bench: Bench, tmp_path: Path) -> None:
    end = bench.end_with(command(START), {"timeout": 1.0}, told=tmp_path / "told", then="wait")
    assert isinstance(end, Erred)
    assert end.fault.cause == "timeout"
    pids = pids_of(tmp_path / "told")
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_command_ends_with_the_worker_that_is_killed(storage: dict[str, Any], tmp_path: Path) -> None:
    executor = process_executor(storage, size=1)
    bench = Bench(executor, open_values(storage), code_of)
    try:
        work = bench.define(command(START))
        bench.submit(
            Job(
                work,
                -1,
                1,
                bench.stored({"told": tmp_path / "told", "then": "echo $PPID >> {}; wait".format(tmp_path / "told")}),
            )
        )
        bench.wait_for(lambda: len(pids_of(tmp_path / "told")) == 3)
        pids = pids_of(tmp_path / "told")
        os.kill(pids[2], signal.SIGKILL)
        (end,) = bench.finish().values()
        assert isinstance(end, Erred)
        wait_until(lambda: not any(map(is_alive, pids)))
    finally:
        executor.close(kill=True)


def test_the_guard_alone_ends_the_group_of_a_process_that_is_killed(tmp_path: Path) -> None:
    import subprocess

    script = (
        "from penstock.authoring.tasks.commands import command\n"
        f"command({START!r})({str(tmp_path / 'told')!r}, then='wait')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: len(pids_of(tmp_path / "told")) == 2)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, pids_of(tmp_path / "told"))))


def test_json_of_a_command_is_what_json_reads() -> None:
    assert command("printf %s {x}", outputs=dict)({"a": [1, {"b": "é"}]}) == json.loads('{"a": [1, {"b": "é"}]}')
