"""Files written for Prefect, run by penstock with Prefect absent."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from prefect_bodies import BODIES, REFUSED

from penstock import DefinitionError
from penstock.errors import NotCoveredError, ParameterError, TargetError
from penstock.registering.loading import load_module, load_pipeline, reading_of

sys.path.insert(0, str(Path(__file__).parent))

CORPUS = Path(__file__).with_name("corpus") / "prefect"
FILES = sorted([*CORPUS.glob("*.py"), *Path(__file__).with_name("prefect_files").glob("*.py")])
#: files with what only Prefect 3 has
ONLY_3 = {"around", "mapped_twice", "plain_code", "states", "tolerated", "transactions"}
START = "from prefect import flow, task\n"

Written = Callable[..., Path]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Path]:
    """A folder to work in; what is loaded meanwhile is forgotten afterwards."""
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = str(getattr(sys.modules[name], "__file__", ""))
        if file.startswith((str(tmp_path), str(CORPUS), str(Path(__file__).with_name("prefect_files")))):
            del sys.modules[name]


@pytest.fixture
def written(folder: Path) -> Written:
    """Writes a file that begins with the usual imports."""

    def write(text: str, name: str = "flows.py") -> Path:
        file = folder / name
        file.write_text(START + textwrap.dedent(text))
        return file

    return write


def ran(target: Path | str, **parameters: Any) -> dict[str, Any]:
    pipeline = load_pipeline(str(target))
    return pipeline.options(executor="inline", progress=False).run(**parameters).document


def result(document: dict[str, Any]) -> Any:
    assert document["state"] == "succeeded", document
    outputs = {name: output["value"] for name, output in document["outputs"].items()}
    return outputs["result"] if set(outputs) == {"result"} else outputs


def states(document: dict[str, Any]) -> dict[str, str]:
    return {task["id"]: task["state"] for task in document["tasks"]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_corpus_runs(file: Path) -> None:
    expected = json.loads(file.with_suffix(".json").read_text())
    document = ran(file, **expected["parameters"])
    assert {name: output["value"] for name, output in document["outputs"].items()} == expected["outputs"]
    assert states(document) == expected["states"]


# The graph.


def test_direct_calls_follow_each_other_in_the_graph(written: Written) -> None:
    file = written("""
        @task(retries=2, retry_delay_seconds=[1, 5], timeout_seconds=9, tags=["b", "a"], retry_jitter_factor=0.5)
        def first(x: int) -> int:
            return x

        @task
        def second() -> None: ...

        @flow(timeout_seconds=60, description="What it is for")
        def composed(x: int = 1):
            first(x)
            second()
            third = first.submit(2)
            second()
            return third
    """)
    graph = load_pipeline(str(file)).graph()
    assert graph.dynamic_at is None
    assert {node.id: node.after for node in graph.nodes} == {
        "first": (),
        "second": ("first",),
        "first-2": ("second",),
        "second-2": ("second",),
    }
    policy = graph.nodes[0].policy
    assert (policy.retries.count, policy.retries.delays, policy.retries.jitter) == (2, (1.0, 5.0), 0.5)
    assert (policy.timeouts.attempt, policy.tags, graph.policy.timeout) == (9.0, ("a", "b"), 60.0)
    assert graph.description == "What it is for"


def test_a_parameter_stays_one_where_it_is_only_passed_on(written: Written) -> None:
    file = written("""
        @task
        def same(x): return x

        @flow
        def passed(x: int, path: str = "a"):
            return [same(x), same(path.upper())]
    """)
    assert result(ran(file, x=3)) == [3, "A"]
    assert "Parameter" in repr(load_pipeline(str(file)).graph(x=1).nodes[0].bindings)


# What flows do.


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str, written: Written) -> None:
    text, value, ended = BODIES[name]
    document = ran(f"{written(text)}:f")
    assert states(document) == ended
    if value is None:
        assert document["state"] == ("succeeded" if name == "a fan-out with a failure" else "failed")
    else:
        assert result(document) == value


def test_a_flow_is_called_again(written: Written, folder: Path) -> None:
    file = written("""
        from pathlib import Path

        @task(persist_result=False)
        def counted(file: str) -> int:
            count = len(Path(file).read_text()) if Path(file).exists() else 0
            Path(file).write_text("x" * (count + 1))
            if count < 2:
                raise ValueError(count)
            return count

        @flow(retries=2, retry_delay_seconds=0.001)
        def again(file: str):
            return counted(file)
    """)
    document = ran(file, file=str(folder / "count"))
    assert result(document) == 2
    assert list(states(document).values()) == ["failed", "succeeded", "failed", "succeeded", "succeeded"]


def test_attempts_are_made_again_as_long_as_the_condition_holds(written: Written) -> None:
    file = written("""
        from prefect.runtime import task_run

        def once_more(task, run, state):
            return "enough" not in str(state.data)

        @task(retries=5, retry_delay_seconds=0, retry_condition_fn=once_more)
        def stubborn():
            raise ValueError("enough" if task_run.run_count == 3 else "more")

        @flow
        def tried():
            return stubborn(return_state=True).is_failed()
    """)
    document = ran(file)
    assert result(document) is True
    assert document["tasks"][0]["attempts"] == 3


def test_outside_of_flows_tasks_and_flows_are_functions(written: Written) -> None:
    file = written("""
        from prefect import unmapped

        @task
        def add(x, y): return x + y

        @flow
        def total(xs: list[int]):
            futures = add.map(xs, y=unmapped(1))
            return sum(each.result() for each in futures)
    """)
    module = load_module(str(file))
    assert module.add(1, 2) == module.add.fn(1, 2) == 3
    assert module.add.submit(1, 2).result() == 3
    assert module.total([1, 2]) == 5
    assert module.total([1, 2], return_state=True).is_completed()


# The cache.


def test_results_are_taken_again_unless_the_file_says_otherwise(written: Written) -> None:
    file = written("""
        from datetime import timedelta
        from prefect.cache_policies import INPUTS, NO_CACHE
        from prefect.tasks import task_input_hash

        @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
        def hashed(x): return x

        @task(cache_key_fn=lambda context, inputs: inputs["x"] % 2)
        def odd(x): return x % 2

        @task(cache_policy=INPUTS - "verbose")
        def partly(x, verbose): return x

        @task
        def plain(x): return x

        @task(cache_policy=NO_CACHE)
        def never(x): return x

        @task(persist_result=False)
        def unkept(x): return x

        @flow
        def kept(x: int = 1):
            return [hashed(1), odd(x), partly(1, verbose=x), plain(1), never(1), unkept(1)]
    """)
    assert result(ran(file)) == [1, 1, 1, 1, 1, 1]
    again = states(ran(file, x=3))
    assert again == {
        "hashed": "cached",
        "odd": "cached",
        "partly": "cached",
        "plain": "cached",
        "never": "succeeded",
        "unkept": "succeeded",
    }


# What is around a task.


def test_hooks_artifacts_variables_and_blocks(
    written: Written, monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_VARIABLE_SIZE", "42")
    monkeypatch.setenv("PREFECT_BLOCK_DATABASE_MAIN", '{"url": "sqlite://"}')
    monkeypatch.setenv("PREFECT_BLOCK_SECRET_KEY", "a-very-secret-text")
    (folder / "prefect.local.json").write_text('{"blocks": {"json/conf": {"depth": 3}}, "variables": {"name": "n"}}')
    file = written("""
        from prefect import get_run_logger
        from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
        from prefect.blocks.core import Block
        from prefect.blocks.system import JSON, Secret
        from prefect.context import get_run_context
        from prefect.runtime import flow_run
        from prefect.variables import Variable

        class Database(Block):
            url: str
            size: int = 3

        def told(owner, run, state):
            with open("told.txt", "a") as file:
                print(owner.name, state.type.value, file=file)

        @task(on_completion=[told], log_prints=True)
        def around(x):
            create_markdown_artifact("# text", key="text")
            create_table_artifact(table=[{"a": 1}], key="table", description="rows")
            print(f"the secret is {Secret.load('key').get()}")
            get_run_logger().warning("careful")
            database = Database.load("main")
            return [Variable.get("size"), Variable.get("name"), Variable.get("none", default=0), database.url,
                    database.size, JSON.load("conf").value["depth"], get_run_context().task_run.run_count]

        @flow(on_completion=[told], log_prints=True)
        def shown(x: int = 1):
            create_link_artifact("https://example.org", link_text="there")
            found = around(x)
            return {"found": found, "same": flow_run.id == flow_run.id != "", "given": flow_run.parameters["x"]}
    """)
    document = ran(file)
    assert result(document) == {"found": [42, "n", 0, "sqlite://", 3, 3, 1], "same": True, "given": 1}
    assert {each["name"] for each in document["artifacts"]} == {"text", "table", "link"}
    assert (folder / "told.txt").read_text().splitlines() == ["around COMPLETED", "shown COMPLETED"]
    told = capsys.readouterr()
    assert "a-very-secret-text" not in told.out + told.err


def test_a_pause_is_an_approval(written: Written) -> None:
    file = written("""
        from prefect import pause_flow_run
        from prefect.input import RunInput

        class Wanted(RunInput):
            share: float
            note: str = "none"

        @flow
        def asked():
            wanted = pause_flow_run(wait_for_input=Wanted.with_initial_data(description="How much?", share=0.5))
            return wanted.share
    """)
    pipeline = load_pipeline(str(file)).options(executor="inline", progress=False)
    run = pipeline.run()
    assert run.state == "paused"
    action = next(iter(pipeline.graph().tasks.values())).action
    assert [(field.name, field.required, field.default) for field in action.fields] == [  # pyright: ignore
        ("share", False, 0.5),
        ("note", False, "none"),
    ]


def test_limits_are_pools_once_they_are_set_up(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written("""
        from prefect.concurrency.sync import concurrency, rate_limit

        @task
        def queried(x):
            with concurrency("database", occupy=2):
                rate_limit("api")
                return x

        @flow
        def limited():
            return queried(1)
    """)
    pipeline = load_pipeline(str(file))
    assert [each.what for each in pipeline.ignored] == ["rate_limit('api')", "concurrency('database', occupy=2)"]
    assert result(ran(file)) == 1
    monkeypatch.setenv("PREFECT_LIMITS", "database")
    graph = load_pipeline(str(written(file.read_text().removeprefix(START), "other.py"))).graph()
    assert graph.nodes[0].policy.resources.pools == {"database": 2}


def test_committed_transactions(written: Written) -> None:
    file = written("""
        from prefect.transactions import transaction

        @task
        def stored(x): return x

        @stored.on_commit
        def told(txn): return txn.get("name")

        @flow
        def kept():
            with transaction() as txn:
                txn.set("name", "n")
                found = stored(1)
            return found
    """)
    document = ran(file)
    assert result(document) == 1
    assert states(document) == {"stored": "succeeded", "told": "succeeded"}


# What starts runs.

DEPLOYED = """
    from datetime import timedelta
    from prefect import serve
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.events import DeploymentEventTrigger
    from prefect.schedules import Cron, RRule

    @task
    def same(x): return x

    @flow
    def part(x: int = 1): return same(x)

    @flow
    def whole(x: int = 1, path: str = ""): return part(x)

    if __name__ == "__main__":
        raise_if_run = [][0]
        daily = whole.to_deployment("daily", schedule=Cron("0 9 * * *", timezone="Europe/Berlin"), parameters={"x": 4})
        hourly = whole.to_deployment("hourly", interval=timedelta(hours=1), paused=True, tags=["t"])
        whole.deploy("events", work_pool_name="pool", triggers=[DeploymentEventTrigger(
            expect={"file.arrived"}, parameters={"path": "{{ event.payload.path }}"})])
        serve(daily, hourly)
"""


def test_deployments_are_triggers(written: Written) -> None:
    file = written(DEPLOYED)
    reading = reading_of(load_module(str(file)))
    assert reading is not None
    assert (list(reading.pipelines), reading.main) == (["part", "whole"], "whole")
    triggers = {name: each.noun for name, each in reading.triggers.items()}
    assert {name: each.enabled for name, each in triggers.items()} == {"daily": True, "hourly": False, "events": True}
    assert "Europe/Berlin" in repr(triggers["daily"].source) and triggers["daily"].parameters == {"x": 4}
    assert triggers["events"].parameters == {"path": "{event.data.path}"}
    for each in reading.triggers.values():
        each.check()
    [noted] = reading.pipelines["whole"].ignored
    assert noted.what == "the deployment 'events': work_pool_name='pool'"


def test_deployments_of_prefect_2(written: Written) -> None:
    file = written("""
        from prefect.deployments import Deployment
        from prefect.server.schemas.schedules import CronSchedule

        @task
        def bad(): raise ValueError

        @flow
        def old():
            bad.submit()

        Deployment.build_from_flow(flow=old, name="nightly", schedule=CronSchedule(cron="0 3 * * *")).apply()
    """)
    reading = reading_of(load_module(str(file)))
    assert reading is not None and list(reading.triggers) == ["nightly"]
    # a flow of Prefect 2 that returns nothing fails with what it has submitted
    assert ran(file)["state"] == "failed"


PROJECT = """\
name: demo
deployments:
- name: nightly
  entrypoint: flows.py:whole
  parameters: {x: 9}
  schedules:
  - {cron: "0 3 * * *", timezone: Europe/Berlin}
  work_pool: {name: local}
"""


def test_prefect_yaml_beside_the_file_and_by_itself(written: Written, folder: Path) -> None:
    file = written("""
        @task
        def same(x): return x

        @flow
        def whole(x: int): return same(x)
    """)
    (folder / "prefect.yaml").write_text(PROJECT)
    beside = reading_of(load_module(str(file)))
    assert beside is not None
    assert [each.noun.parameters for each in beside.triggers.values()] == [{"x": 9}]
    assert result(ran("prefect.yaml")) == 9
    assert [each.what for each in load_pipeline("prefect.yaml").ignored] == ["the deployment 'nightly': work_pool"]
    (folder / "prefect.yaml").write_text(PROJECT.replace("flows.py:whole", "flows.py:other"))
    with pytest.raises(DefinitionError, match="there is no flow 'other'"):
        load_pipeline("prefect.yaml:nightly")


def test_the_flow_that_is_meant(written: Written) -> None:
    called = written("""
        @flow
        def one(): ...

        @flow
        def other(): ...

        def main():
            other()

        if __name__ == "__main__":
            main()
    """)
    assert load_pipeline(str(called)).name == "other"
    top = written("@flow\ndef one(): ...\n@flow\ndef other(): ...\nassert one() is None\n", "top.py")
    assert load_pipeline(str(top)).name == "one"
    given = written("@flow\ndef one(x: int): return x\nif __name__ == '__main__':\n    one(3)\n", "given.py")
    assert result(ran(given)) == 3
    unclear = written("@flow\ndef one(): ...\n@flow\ndef other(): ...\n", "unclear.py")
    with pytest.raises(TargetError, match=r"several pipelines .*: one, other"):
        load_pipeline(str(unclear))


# What is not there.


def test_what_has_no_effect_is_told(written: Written) -> None:
    file = written("""
        from prefect.cache_policies import INPUTS
        from prefect.task_runners import ThreadPoolTaskRunner

        @task(version="2", result_serializer="json", cache_policy=INPUTS)
        def same(x): return x

        @flow(timeout_seconds=4)
        def part(): return same(1)

        @flow(flow_run_name="run", task_runner=ThreadPoolTaskRunner(max_workers=2))
        def whole(): return part()
    """)
    assert {each.what for each in load_pipeline(str(file)).ignored} == {
        "the flow 'whole': flow_run_name='run'",
        "the flow 'whole': task_runner=ThreadPoolTaskRunner(max_workers=2)",
        "the flow 'part': timeout_seconds=4",
        "the task 'same': version='2'",
        "the task 'same': result_serializer='json'",
        "the task 'same': cache_policy",
    }


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_covered_stops_with_its_line(text: str, written: Written) -> None:
    file = written(text)
    with pytest.raises(NotCoveredError, match=REFUSED[text]) as caught:
        load_pipeline(str(file)).graph()
    assert caught.value.where is not None and "flows.py:" in caught.value.where


def test_what_is_imported_and_not_used_is_no_obstacle(written: Written) -> None:
    file = written("""
        from prefect.settings import PREFECT_API_URL, temporary_settings
        try:
            from prefect.gone import there
        except ImportError:
            there = False

        @task
        def told(): return there

        @flow
        def fine(): return told()

        if __name__ == "__main__":
            with temporary_settings({PREFECT_API_URL: ""}):
                fine()
    """)
    assert result(ran(file)) is False
    assert {each.what for each in load_pipeline(str(file)).ignored} == {
        "prefect.settings.PREFECT_API_URL",
        "prefect.settings.temporary_settings",
    }


def test_what_a_script_calls_its_flow_with(written: Written) -> None:
    file = written("""
        from dataclasses import dataclass
        from pathlib import Path

        COUNT = 3

        @dataclass
        class Settings:
            depth: int

        @flow
        def started_so(count: int, settings: Settings, path: Path, rows: list[int]):
            return [count, settings.depth, str(path), rows]

        if __name__ == "__main__":
            path = Path("a.csv")
            started_so(COUNT, Settings(depth=2), path=path, rows=[COUNT, -1])
    """)
    document = ran(file)
    assert result(document) == [3, 2, "a.csv", [3, -1]]
    assert document["pipeline"] == "started-so"


def test_wrong_options_and_parameters(written: Written) -> None:
    for option, told in {
        "retry=3": "a task has no option 'retry'; did you mean 'retries'",
        "retries='three'": "retries must be a whole number, not 'three'",
        "retries=1, retry_delay_seconds={'a': 1}": "retry_delay_seconds must be a number of seconds",
        "timeout_seconds='soon'": "timeout_seconds must be a number of seconds, not 'soon'",
    }.items():
        with pytest.raises(DefinitionError, match=told) as caught:
            load_pipeline(str(written(f"@task({option})\ndef t(): ...\n", "options.py")))
        assert "options.py:2" in str(caught.value.where)
    file = written("@flow\ndef f(x: int): return x\n")
    with pytest.raises(ParameterError, match="x: "):
        load_pipeline(str(file)).run(x="many")


# The real Prefect.


@pytest.mark.parametrize("version", ["prefect", "prefect2"])
def test_the_real_prefect_gives_the_same(version: str, peer: Callable[[str], Path], folder: Path) -> None:
    files = [file for file in FILES if version == "prefect" or file.stem not in ONLY_3]
    told = subprocess.run(
        [str(peer(version)), str(Path(__file__).with_name("prefect_peer.py")), str(folder), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    found = {
        name: each for line in told.stdout.splitlines() if "\t" in line for name, _, each in [line.partition("\t")]
    }
    assert set(found) == {file.stem for file in files}, told.stderr[-2000:]
    for file in files:
        expected = json.loads(file.with_suffix(".json").read_text())["outputs"]
        expected = expected["result"] if set(expected) == {"result"} else expected
        assert json.loads(found[file.stem]) == {"state": "COMPLETED", "result": expected}, file.stem
