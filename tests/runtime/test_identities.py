"""What runs keep of the code of their tasks, and what they say of code that cannot be seen through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import Run, command, pipeline, task
from penstock.model.identity import Basis, TaskIdentity
from penstock.services import Services

if TYPE_CHECKING:
    import pytest
    from running import Project

LIMITS = {"low": 1}
LEVEL = 2


class Pair(NamedTuple):
    low: int
    high: int


@task
def plain(x: int) -> int:
    return x + LEVEL


@task
def split(x: int) -> Pair:
    return Pair(x, x + 1)


@task
def limited(x: int) -> int:
    return x + LIMITS["low"]


@task
def computed(x: int) -> int:
    return int(eval("x"))


def ran(given: Any, **parameters: Any) -> Run:
    run = given.options(executor="inline").run(**parameters)
    assert run.state == "succeeded"
    return run


def kept(run_id: str = "latest") -> tuple[Basis, dict[str, TaskIdentity]]:
    with Services().existing_store() as store:
        basis = store.basis(store.find(run_id).run_id)
        found = store.identities(basis.tasks.values())
        return basis, {key: found[digest] for key, digest in basis.tasks.items()}


def notices(run: Run) -> list[tuple[str, str]]:
    with Services().existing_store() as store:
        return [(each.node, each.line.text) for _, each in store.lines(run.run_id) if each.line.stream == "notice"]


def test_a_run_keeps_its_parameters_and_the_code_of_its_tasks(home: Path) -> None:
    @pipeline
    def given(x: int, name: str = "a"):
        return plain(split(x).low), command("echo {name}", name="tell")(name=name)

    ran(given, x=3)
    basis, identities = kept()
    values = Services().values
    assert {name: values.load(value) for name, value in basis.parameters.items()} == {"x": 3, "name": "a"}
    assert identities["plain"].function == f"{__name__}:plain"
    assert identities["plain"].parts[0].name == f"{__name__}:plain"
    assert (identities["split"].function, identities["split"].record) == (f"{__name__}:split", f"{__name__}:Pair")
    assert identities["tell"].kind == "command"
    assert identities["tell"].parts[0].shown == "echo {name}"


def test_the_texts_that_identities_refer_to_are_kept(home: Path) -> None:
    @pipeline
    def given():
        return plain(1)

    ran(given)
    _, identities = kept()
    wanted = {part.text for part in identities["plain"].parts if part.text}
    with Services().existing_store() as store:
        (text,) = store.texts(wanted).values()
        (source,) = [each for each in identities["plain"].modules if each.module == __name__]
        assert store.texts([source.text]) == {source.text: text}
    assert text == Path(__file__).read_text()


def test_functions_that_cannot_be_imported_have_no_name(home: Path) -> None:
    @task
    def inner(x: int) -> int:
        return x

    @pipeline
    def given():
        return inner(1)

    ran(given)
    assert kept()[1]["inner"].function == ""


def test_tasks_that_appear_while_a_pipeline_runs_are_kept_as_well(home: Path) -> None:
    @pipeline
    def grows():
        if plain(1) > 1:
            return limited(1)
        return 0

    run = ran(grows)
    basis, identities = kept()
    assert set(basis.tasks) == {"plain", "limited"}
    assert identities["limited"].function == f"{__name__}:limited"
    assert len(notices(run)) == 1


def test_what_cannot_be_seen_is_told_once(home: Path) -> None:
    @pipeline
    def given(x: int):
        return limited(limited(x)), computed(x), plain(x)

    told = notices(ran(given, x=1))
    assert [node for node, _ in told] == ["limited", "computed"]
    assert "LIMITS is a dict, which can change" in told[0][1]
    assert "Results of limited are cached all the same" in told[0][1]
    assert "eval() runs text" in told[1][1]
    # another run of the same code says nothing, and neither does another pipeline
    assert notices(ran(given, x=2)) == []

    @pipeline
    def other(x: int):
        return computed(x)

    assert notices(ran(other, x=1)) == []


def test_what_several_tasks_share_is_told_once(home: Path) -> None:
    def helper(x: int) -> int:
        return x + LIMITS["low"]

    @task
    def first(x: int) -> int:
        return helper(x)

    @task
    def second(x: int) -> int:
        return helper(x) + 1

    @pipeline
    def given():
        return first(1), second(1)

    ((_, text),) = notices(ran(given))
    assert "Results of first, second are cached" in text


def test_parameters_that_cannot_be_stored_are_left_out(home: Path) -> None:
    import threading

    @pipeline
    def given(lock: Any = None, x: int = 1):
        return plain(x)

    ran(given, lock=threading.Lock())
    assert set(kept()[0].parameters) == {"x"}


PIPELINE = """
import os
from pathlib import Path
from penstock import pipeline, task

@task
def first() -> int:
    return 1

@task
def second(x: int) -> int:
    os._exit(9)

@pipeline
def given():
    return second(first())
"""


def test_a_resumed_run_keeps_the_code_that_it_goes_on_with(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    project.write("pipes.py", PIPELINE)
    project.python("-c", "import pipes; pipes.given.options(executor='inline').run()", code=9)
    before, _ = kept()
    project.write("pipes.py", PIPELINE.replace("os._exit(9)", "return x + 1"))
    done = project.python("-c", "import pipes; print(pipes.given.options(executor='inline').resume().result)")
    assert done.stdout.strip() == "2"
    after, identities = kept()
    assert after.tasks["first"] == before.tasks["first"]
    assert after.tasks["second"] != before.tasks["second"]
    part = identities["second"].parts[0]
    with Services().existing_store() as store:
        (text,) = store.texts([part.text]).values()
    assert text.splitlines()[part.first : part.last] == ["def second(x: int) -> int:", "    return x + 1"]
    assert part.file == "pipes.py"


def test_the_code_of_a_script_can_be_imported_by_the_name_of_its_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    script = PIPELINE.replace("os._exit(9)", "return x + 1") + "\nif __name__ == '__main__':\n    given.run()\n"
    project.write("script.py", script)
    project.python("script.py")
    _, identities = kept()
    assert identities["second"].function == "script:second"
    assert [module.file for module in identities["second"].modules] == ["script.py"]
    # started another way, it is the same code
    assert "2 cached" in project.penstock("run", "script.py").stdout


def test_what_no_display_shows_is_logged_once(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    @pipeline
    def given(x: int = 1):
        return computed.map([x, 2]), computed.options(name="again")(4)

    quiet = given.options(progress=False)
    run = ran(quiet)
    ran(quiet, x=3)
    [(node, text)] = notices(run)
    told = [(each.name, each.levelname, each.getMessage()) for each in caplog.records]
    assert told == [("penstock", "WARNING", f"note | {node}: {text}")]


def test_what_a_display_shows_is_not_logged(
    home: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @pipeline
    def given():
        return computed(1)

    [(node, text)] = notices(ran(given.options(progress=True)))
    assert caplog.records == []
    assert capsys.readouterr().err.count(f"note | {node}: {text}\n") == 1


def test_a_script_without_a_display_says_what_it_cannot_see(project: Project) -> None:
    script = PIPELINE.replace("os._exit(9)", "return x + len(os.environ)")
    project.write("script.py", script + "\nif __name__ == '__main__':\n    given.options(executor='inline').run()\n")
    told = project.python("script.py").stderr
    assert "note | second: script.py:12: os.environ reads environment variables, which do not count" in told
    assert project.python("script.py").stderr == ""


def test_nothing_is_told_of_tasks_that_are_never_cached(home: Path) -> None:
    @pipeline
    def given():
        return computed.options(cache=False)(1), limited.options(effects=True)(1)

    @pipeline
    def grows():
        return limited.options(cache=False)(1) if plain(1) > 1 else 0

    assert notices(ran(given)) == []
    assert notices(ran(grows)) == []


def test_what_is_cached_in_one_place_is_told_of(home: Path) -> None:
    @pipeline
    def given():
        return limited.options(cache=False)(1), limited.options(name="again")(2)

    assert len(notices(ran(given))) == 1
