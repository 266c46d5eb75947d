"""Commands and containers as tasks: what they declare, how they are called, what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from penstock import pipeline
from penstock.authoring.options.environments import environment_of
from penstock.authoring.task import task
from penstock.authoring.tasks.commands import CommandTask, command, container, exit_code, file, stdout
from penstock.errors import DefinitionError
from penstock.fingerprint.actions import identity
from penstock.model.action import Catch, CommandAction, ContainerAction, Environment
from penstock.model.expression import Constant, Output


def action_of(made: Any) -> CommandAction:
    action = made.noun.action
    return action.command if isinstance(action, ContainerAction) else action


# What is declared.


def test_inputs_are_those_that_are_named() -> None:
    made = command(
        "train --lr {lr} --again {lr} < {data}",
        files={"data": "data.csv", "other": "other.csv"},
        environment={"SEED": "{seed}"},
        outputs={"model": "model-{name}.pkl"},
    )
    assert [port.name for port in made.noun.inputs] == ["lr", "data", "seed", "name", "other"]
    assert all(port.required and port.type == "Any" for port in made.noun.inputs)


def test_inputs_may_be_declared_with_types() -> None:
    made = command(["train", "{lr}", "{data}"], inputs={"data": Path, "lr": float})
    assert [(port.name, port.type) for port in made.noun.inputs] == [("data", "pathlib.Path"), ("lr", "float")]
    assert [port.name for port in command("x {a} {b}", inputs=["b", "a"]).noun.inputs] == ["b", "a"]


@pytest.mark.parametrize(
    ("spec", "catch", "type_"),
    [
        (str, Catch("stdout", "text"), "str"),
        (list[str], Catch("stdout", "lines"), "list[str]"),
        (float, Catch("stdout", "float"), "float"),
        (dict, Catch("stdout", "json"), "Any"),
        ("m.pkl", Catch("file", "path", "m.pkl"), "pathlib.Path"),
        (Path("a/m.pkl"), Catch("file", "path", "a/m.pkl"), "pathlib.Path"),
        (file("m.json", "json"), Catch("file", "json", "m.json"), "Any"),
        (stdout("bytes"), Catch("stdout", "bytes"), "bytes"),
        (exit_code(), Catch("exit_code", "int"), "int"),
    ],
)
def test_ways_to_say_where_an_output_comes_from(spec: Any, catch: Catch, type_: str) -> None:
    single, several = command("x", outputs=spec), command("x", outputs={"a": spec, "b": str})
    assert action_of(single).catches == {"result": catch}
    assert [(port.name, port.type) for port in single.noun.outputs] == [("result", type_)]
    assert single.noun.record is None
    assert action_of(several).catches["a"] == catch
    assert [port.name for port in several.noun.outputs] == ["a", "b"]
    assert several.noun.record == "dict"


def test_a_dict_with_one_output_is_a_dict() -> None:
    assert command("echo 1", outputs={"loss": float})() == {"loss": 1.0}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("python -u train.py --lr 1", "train"),
        (["python", "steps/fit.py", "{a.py}"][:2], "fit"),
        ("/usr/bin/sort -u", "sort"),
        (["echo", "a b"], "echo"),
        ("A=1 ./run.sh", "run"),
    ],
)
def test_a_command_is_called_after_its_script_or_program(line: Any, name: str) -> None:
    assert command(line).noun.name == name


def test_exit_codes_that_count() -> None:
    assert action_of(command("x")).success == (0,)
    assert action_of(command("x", outputs={"code": exit_code()})).success == ()
    assert action_of(command("x", outputs=exit_code(), success=[0, 1])).success == (0, 1)


def test_scripts_and_what_is_declared_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps").mkdir()
    for name in ("train.py", "steps/fit.sh", "data.csv"):
        (tmp_path / name).touch()
    made = command("python train.py data.csv; sh steps/fit.sh {x}.py other.py", reads=["steps", tmp_path / "data.csv"])
    assert action_of(made).reads == {
        "train.py": str(tmp_path / "train.py"),
        "steps/fit.sh": str(tmp_path / "steps/fit.sh"),
        "steps": str(tmp_path / "steps"),
        "data.csv": str(tmp_path / "data.csv"),
    }


def test_a_container_has_all_that_a_command_has() -> None:
    made = container(
        "image:1", ["run", "{x}"], outputs={"y": "y.txt"}, network="none", arguments=["--gpus=all"], memory="1GB"
    )
    action = made.noun.action
    assert isinstance(action, ContainerAction)
    assert (action.image, action.mount, action.network, action.arguments) == (
        "image:1",
        "/work",
        "none",
        ("--gpus=all",),
    )
    assert action.command.argv == ("run", "{x}")
    assert made.policy.resources.memory == 10**9
    assert container("registry/image:1").noun.name == "image-1"


# In a pipeline.


def test_a_call_is_a_node_like_any_other() -> None:
    count = command("wc -l < {data}", name="count", outputs={"lines": int, "code": exit_code()}, files={"data": "d"})

    @task
    def show(lines: int) -> int:
        return lines

    @pipeline
    def flow(text: str = "") -> Any:
        counted = count(data=text)
        return show(counted["lines"]), counted.code, count.options(name="twice", retries=2)(text)

    graph = flow.graph()
    assert [node.id for node in graph.nodes] == ["count", "show", "twice"]
    assert graph.nodes[1].bindings == {"lines": Output("count", "lines")}
    assert graph.nodes[2].policy.retries.count == 2
    assert graph.tasks["count"].action == count.noun.action
    assert len(graph.tasks) == 2


def test_a_command_maps() -> None:
    double = command("echo $(( {x} * {factor} ))", outputs=int)
    assert double.partial(factor=2).map(x=[1, 2, 3]) == [2, 4, 6]

    @pipeline
    def flow() -> Any:
        return double.partial(factor=2).map(x=[1, 2])

    (node,) = flow.graph().nodes
    assert node.each is not None
    assert node.each.over == {"x": Constant([1, 2])}


def test_wrong_arguments_are_refused_at_the_call() -> None:
    count = command("wc {data}", inputs={"data": str})

    @pipeline
    def flow() -> Any:
        return count(dta="x")

    with pytest.raises(DefinitionError, match=r"wc\(\) was called with wrong arguments"):
        flow.graph()


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_pipeline_of_commands_runs(executor: str, tmp_path: Path) -> None:
    split = command("printf '%s\\n' {text!s}", name="split", outputs=list[str])
    shout = command(["tr", "a-z", "A-Z"], name="shout", outputs=str)
    measure = command("printf %s {word} | wc -c > size; echo measured >&2", outputs={"size": file("size", "int")})

    @pipeline
    def flow(text: str) -> Any:
        shout()
        return measure.map(word=split(text))

    run = flow.options(executor=executor, home=tmp_path).run(text="a bc def")
    assert run.result == [{"size": 1}, {"size": 2}, {"size": 3}]
    again = flow.options(executor=executor, home=tmp_path).run(text="a bc def")
    assert {node.state for node in again.tasks} == {"cached"}


# What is refused.


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: command(""), "the command is empty"),
        (lambda: command([]), "the command is empty"),
        (lambda: command("echo ${HOME}"), r"\$\{HOME\} in the command could be a variable of the shell or an input"),
        (lambda: command("awk '{print $1}'"), r"\{print \$1\} is not the name of an input"),
        (lambda: command("x {a}", inputs=["b"]), r"names \{a\}, which is not among its inputs: b"),
        (lambda: command("x", inputs={"a": int}), "no place for its input 'a'"),
        (lambda: command("x {", name="x"), "the command cannot be read"),
        (lambda: command("x {a!r}"), r"\{a!r\} is formatted in an unknown way"),
        (lambda: command("x", outputs={"a": set}), "does not say where an output comes from"),
        (lambda: command("x", outputs=Path), "does not say where an output comes from"),
        (lambda: command("x", outputs="/tmp/a"), "is not in the folder that the command runs in"),
        (lambda: command("x {a}", files={"a": "../a"}), "is not in the folder that the command runs in"),
        (lambda: command("x", reads=["nowhere"]), "no file or folder 'nowhere' to read"),
        (lambda: command("x", folder="nowhere"), "no folder 'nowhere' to run in"),
        (lambda: command("x", name="a/b"), "a name cannot be empty or contain"),
        (lambda: command("x", retrys=1), "there is no option 'retrys'"),
        (lambda: stdout(cast(Any, "path")), "cannot be read as 'path'"),
        (lambda: file("x", cast(Any, "yaml")), "cannot be read as 'yaml'"),
        (lambda: container("--rm", "x"), "the image must be its name"),
        (lambda: container("i", "x", network=cast(Any, "lan")), "network must be"),
        (lambda: container("i", "x", mount="work"), "mount must be an absolute path"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_line(define: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        define()
    assert re.search(r"test_commands\.py:\d+", str(caught.value))


# Identity.


def test_what_makes_two_commands_the_same(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("print(1)")
    folder = tmp_path / "src"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a.py").write_text("a")

    def made(line: str = "python train.py {x}", **options: Any) -> bytes:
        whole = command(line, reads=[script, folder], **options)
        assert isinstance(whole, CommandTask)
        return identity(whole.action)

    same = made()
    assert made() == same
    assert (
        len({same, made("python train.py  {x}"), made(outputs=float), made(environment={"A": "1"}), made(skip=[1])})
        == 5
    )
    (folder / "__pycache__" / "a.pyc").touch()
    assert made() == same
    (folder / "b.py").touch()
    with_another = made()
    script.write_text("print(2)")
    assert len({same, with_another, made()}) == 3


def test_what_makes_two_containers_the_same() -> None:
    def made(image: str = "a", **options: Any) -> bytes:
        whole = container(image, "x {a}", **options)
        assert isinstance(whole, CommandTask)
        return identity(whole.action)

    assert made() == made()
    assert len({made(), made("b"), made(network="none"), made(arguments=["--x"]), made(mount="/m")}) == 5


# Python environments.


def test_ways_to_name_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text("six\n-r more/base.txt\n")
    (tmp_path / "more" / "base.txt").write_text("toolz\n-c ../requirements.txt\n")
    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / "uv.lock").write_text("version = 1")
    assert environment_of([" six==1.16.0 "]) == Environment(("six==1.16.0",))
    assert environment_of(Environment(("six",), python="3.12")) == Environment(("six",), python="3.12")
    found = environment_of("requirements.txt")
    assert list(found.files) == ["requirements.txt", "more/base.txt"]
    assert list(environment_of(Path("uv.lock")).files) == ["uv.lock", "pyproject.toml"]
    assert environment_of("pyproject.toml") == Environment(files={"pyproject.toml": "[project]"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("scikit-learn==1.5", r"there is no file 'scikit-learn==1.5' .*\n.*environment=\[\"scikit-learn==1.5\"\]"),
        (["-e ."], "'-e .' is not a requirement"),
        ([1], "must be a list of requirements"),
        (5, "must be a list of requirements"),
        (Environment(python="2.7"), "python must be a version such as '3.12'"),
    ],
)
def test_what_is_no_environment_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        task(environment=value)(lambda: None)


def test_the_environment_is_part_of_the_task_in_the_graph() -> None:
    @task(environment=["six"])
    def inside() -> int:
        return 1

    @pipeline
    def flow() -> Any:
        return inside()

    (noun,) = flow.graph().tasks.values()
    assert noun.environment == Environment(("six",))
