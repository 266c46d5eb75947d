"""Automations of Prefect's: as triggers, as what is done besides running deployments, and as the real Prefect has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock import Fail, absence_of, any_of, count_of, each_subject, event, in_order
from penstock.dialects import Reading
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.occurrence import OWN_SOURCE, AllOf, Condition, Pattern, Where
from penstock.model.trigger import EventSource
from penstock.registering.exporting import exported
from penstock.registering.loading import load_module, load_pipeline, reading_of

FILE = Path(__file__).with_name("prefect_automated") / "reactions.py"
START = """\
from prefect import flow, task
from prefect.automations import Automation
from prefect.events import emit_event
from prefect.events.actions import *
from prefect.events.schemas.automations import CompoundTrigger, EventTrigger, MetricTrigger, SequenceTrigger

@task
def same(x): return x

@flow
def f(x: int = 1): return same(x)

"""
Written = Callable[..., Path]
NOT_OWN = Where(("tags",), "not matches", "automation")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))
    return tmp_path


@pytest.fixture
def written(folder: Path) -> Written:
    """Writes a file that begins with the usual imports, in a folder to work in."""

    def write(text: str, name: str = "reactions.py") -> Path:
        file = folder / name
        start = START.replace("import *", f"import {', '.join(_actions())}") if name.endswith(".py") else ""
        file.write_text(start + textwrap.dedent(text))
        return file

    return write


def _actions() -> list[str]:
    from penstock.dialects.prefect.actions import __all__ as names

    return [name for name in names if name[0].isupper()]


def read(file: Path | str) -> Reading:
    found = reading_of(load_module(str(file)))
    assert found is not None
    return found


def condition(reading: Reading, name: str) -> Condition:
    source = reading.triggers[name].noun.source
    assert isinstance(source, EventSource)
    return source.condition


def ended(state: str, subject: str = "*", *where: Where, name: str = "event") -> Pattern:
    return Pattern(f"run.{state}", f"{OWN_SOURCE}/run/*", subject, (*where, NOT_OWN), None, name)


def test_automations_are_triggers_of_what_they_do(folder: Path) -> None:
    reading = read(FILE)
    assert set(reading.pipelines) == {"first", "second", "alert-actions", "all-of-them-actions"}
    starts = {name: (each.noun.pipeline, each.noun.enabled) for name, each in reading.triggers.items()}
    assert starts == {
        "after": ("second", True),
        "go-on": ("second", True),
        "alert": ("alert-actions", True),
        "in-order": ("second", False),
        "all-of-them": ("all-of-them-actions", True),
        "stopped": ("second", True),
    }
    for each in reading.triggers.values():
        each.check()
    assert condition(reading, "go-on") == event(
        "doubled",
        subject="number.*",
        where={"prefect.labels.kind matches": "whole", "prefect.related.owner.prefect.resource.id matches": "who.*"},
    )
    assert condition(reading, "alert") == count_of(ended("failed", "first"), 2, within="5m")
    assert condition(reading, "in-order") == in_order(event("begun", name="event_1"), event("ended"), within="1m")
    assert condition(reading, "all-of-them") == AllOf((event("a", name="event_1"), event("b", name="event_2")), 60)
    beat = event("beat")
    assert condition(reading, "stopped") == each_subject(absence_of(beat, after=beat, within=30))
    (fired,) = reading.triggers["go-on"].test(
        {
            "type": "doubled",
            "subject": "number.3",
            "data": {
                "value": 6,
                "prefect": {
                    "labels": {"kind": "whole"},
                    "related": {"owner": {"prefect": {"resource": {"id": ["who.me"]}}}},
                },
            },
        }
    )
    assert fired.parameters == {"why": "event", "value": 6}
    assert (
        reading.triggers["alert"].noun.tags == ("automation",) and reading.triggers["alert"].noun.location is not None
    )
    assert [(each.what, each.why) for each in load_pipeline(f"{FILE}:first").ignored] == [
        ("the automation 'alert': prefect.flow-run.Crashed", "a run whose process died is resumed, not ended"),
        ("the automation 'all-of-them': DoNothing()", "nothing is to be done"),
    ]


def test_automations_are_written_as_triggers_of_penstock(folder: Path) -> None:
    (folder / "native.py").write_text(exported(load_pipeline(f"{FILE}:second"), "penstock").written.text)
    before = read(FILE).triggers
    written = vars(load_module(str(folder / "native.py")))
    for name in ("go-on", "in-order", "stopped"):
        trigger = written[name.replace("-", "_")]
        assert trigger.noun.source == before[name].noun.source
        assert trigger.noun.parameters == before[name].noun.parameters


#: triggers, and what they wait for
CONDITIONS: dict[str, Condition] = {
    "EventTrigger(expect={'a', 'b.*'})": any_of(event("a"), event("b.*")),
    "EventTrigger(match={'prefect.resource.id': ['x', 'y.*']}, expect=['a'])": any_of(
        event("a", subject="x"), event("a", subject="y.*")
    ),
    "EventTrigger(expect={'a'}, match={'kind': '!odd'})": event("a", where={"prefect.labels.kind !=": "odd"}),
    "EventTrigger(expect={'a'}, threshold=3, within=60, for_each={'prefect.resource.id'})": each_subject(
        count_of(event("a"), 3, within=60)
    ),
    "EventTrigger(expect={'b'}, after={'a'}, within=60)": in_order(
        event("a", name="event_before"), event("b"), within=60
    ),
    "EventTrigger(expect={'prefect.flow-run.*'}, match_related={'prefect.resource.id': ['prefect.tag.a', 'prefect.tag.b']})": any_of(
        ended("*", "*", Where(("tags",), "matches", "a")), ended("*", "*", Where(("tags",), "matches", "b"))
    ),
    "EventTrigger(expect={'prefect.flow-run.Completed'}, match_related=[{'prefect.resource.role': 'flow', 'prefect.resource.name': 'f'},"
    " {'prefect.resource.id': 'prefect.tag.a'}])": ended("succeeded", "f", Where(("tags",), "matches", "a")),
    "EventTrigger(expect={'prefect.flow-run.Failed'}, match_related={'prefect.resource.id': f'prefect.deployment.{d}'})": ended(
        "failed", "f"
    ),
    "CompoundTrigger(require='any', triggers=[{'type': 'event', 'expect': ['a']}, EventTrigger(expect={'b'})])": any_of(
        event("a"), event("b")
    ),
    "EventTrigger(expect={'prefect.asset.materialization.succeeded'}, match={'prefect.resource.id': 's3://b/*'})": event(
        "prefect.asset.materialization.succeeded", subject="s3://b/*"
    ),
}


def test_triggers_are_conditions_over_events(written: Written) -> None:
    texts = [
        f"Automation(name='t{number}', trigger={each}, actions=[RunDeployment(deployment_id=d)]).create()"
        for number, each in enumerate(CONDITIONS)
    ]
    reading = read(written("\n".join(["d = f.deploy('d')", *texts])))
    for number, (text, expected) in enumerate(CONDITIONS.items()):
        assert condition(reading, f"t{number}") == expected, text


#: what stops, and what is named
REFUSED = {
    "MetricTrigger(metric={'name': 'duration'})": "MetricTrigger .of duration",
    "EventTrigger(expect={'prefect.flow-run.Late'})": "'prefect.flow-run.Late'",
    "EventTrigger(expect={'prefect.deployment.not-ready'})": "'prefect.deployment.not-ready'",
    "EventTrigger(expect={'prefect.flow-run.Crashed'})": "Crashed' without",
    "EventTrigger(expect={'a'}, posture='Proactive')": "without after=",
    "EventTrigger(expect={'a'}, threshold=2, for_each={'kind'})": "for_each=",
    "EventTrigger(expect={'prefect.flow-run.Failed'}, match_related={'prefect.resource.id': 'prefect.work-pool.p'})": "match_related",
    "CompoundTrigger(require=2, triggers=[{'expect': ['a']}, {'expect': ['b']}, {'expect': ['c']}])": "require=2",
    "A([RunDeployment(deployment_id='0d4c9f0c-0000-4000-8000-000000000000')])": "RunDeployment with the id 0d4c9f0c",
    "A([RunDeployment(deployment_id='f/d', parameters={'x': '{{ event.payload.x + 1 }}'})])": "the template",
    "A([SendNotification(block_document_id='slack-webhook/team', body='{{ flow_run|ui_url }}')])": "the filter 'ui_url'",
    "A([SendNotification(block_document_id='slack-webhook/team', body='{{ work_pool.name }}')])": "work_pool.name",
    "A([{'type': 'suspend-flow-run'}])": "SuspendFlowRun",
    "A([ChangeFlowRunState(state='COMPLETED')])": "state=COMPLETED",
    "A([PauseDeployment(deployment_id='other/d')])": "PauseDeployment of 'other/d'",
    "A([PauseAutomation(source='inferred')])": "source='inferred'",
}


def test_what_has_no_counterpart_stops_with_its_line(folder: Path) -> None:
    start = START.replace("import *", f"import {', '.join(_actions())}")
    lines = start.count("\n") + 2
    for number, (text, named) in enumerate(REFUSED.items()):
        file = folder / f"refused{number}.py"
        action = "[RunDeployment(deployment_id=d.id)]"
        trigger, action = ("EventTrigger(expect={'a'})", text[2:-1]) if text.startswith("A(") else (text, action)
        file.write_text(
            f"{start}d = f.to_deployment('d')\nAutomation(name='a', trigger={trigger}, actions={action}).create()\n"
        )
        with pytest.raises(NotCoveredError, match=named) as caught:
            read(file)
        assert caught.value.where is not None and caught.value.where.endswith(f"refused{number}.py:{lines}"), text


def test_automations_may_be_made_by_a_client_and_under_main(written: Written) -> None:
    reading = read(
        written("""
        import asyncio
        from prefect.client.orchestration import get_client
        from prefect.events.schemas.automations import AutomationCore

        async def main():
            async with get_client() as client:
                deployment = await client.read_deployment_by_name("other/nightly")
                automation = AutomationCore(
                    name="by hand",
                    trigger=EventTrigger(expect={"a"}),
                    actions=[RunDeployment(deployment_id=deployment.id, parameters={"n": "{{ event.payload.n }}"})],
                )
                await client.create_automation(automation)
            gone = await Automation(name="gone", trigger=EventTrigger(), actions=[DoNothing()]).acreate()
            await gone.adelete()
            off = Automation(name="off", trigger=EventTrigger(expect={"b"}), actions=[CancelFlowRun()])
            await off.acreate()
            await off.adisable()

        if __name__ == "__main__":
            asyncio.run(main())
        """)
    )
    assert {name: each.noun.enabled for name, each in reading.triggers.items()} == {"by hand": True, "off": False}
    (fired,) = reading.triggers["by hand"].test({"type": "a", "data": {"n": 3}})
    assert fired.parameters["runs"] == {"0": {"n": 3}}
    graph = load_pipeline("reactions.py:by hand-actions").graph()
    assert [each.id for each in graph.nodes] == ["run-deployment"]
    with pytest.raises(NotCoveredError, match=r"get_client, which g uses"):
        load_pipeline(
            str(written("from prefect import get_client\n@flow\ndef g(): return get_client()\n", "asks.py")) + ":g"
        ).graph()


AS_YAML = """\
automations:
  - name: nightly is done
    description: Says so.
    enabled: true
    trigger:
      type: event
      expect: [prefect.flow-run.Completed]
      match_related: {prefect.resource.name: nightly, prefect.resource.role: flow}
    actions:
      - type: send-notification
        block_document_id: slack-webhook/team
        body: done
  - name: again
    trigger: {type: event, expect: [again]}
    actions: [{type: run-deployment, deployment_id: nightly/all}]
"""


def test_files_of_automations_are_read(written: Written) -> None:
    import yaml

    reading = read(written(AS_YAML, "automations.yaml"))
    assert list(reading.triggers) == ["nightly is done", "again"]
    assert condition(reading, "nightly is done") == ended("succeeded", "nightly")
    assert str(reading.triggers["again"].noun.location).endswith("automations.yaml:13")
    as_json = written(json.dumps(yaml.safe_load(AS_YAML)["automations"][1], indent=1), "automations.json")
    assert condition(read(as_json), "again") == event("again")
    with pytest.raises(DefinitionError, match="no option 'exepct'") as caught:
        read(written(AS_YAML.replace("expect: [again]", "exepct: [again]"), "wrong.yaml"))
    assert caught.value.where is not None and caught.value.where.endswith("wrong.yaml:13")


def test_what_the_guide_shows_is_so(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "prefect.md").read_text()
    (folder / "shown.py").write_text(page.partition("## Automations\n\n```python\n")[2].partition("```")[0])
    reading = read(folder / "shown.py")
    starts = {name: each.noun.pipeline for name, each in reading.triggers.items()}
    assert starts == {
        "nightly": "clean",
        "arrivals": "clean",
        "no more": "no more-actions",
        "too much": "too much-actions",
    }
    for each in reading.triggers.values():
        each.check()


# What is done.


@pytest.mark.slow
def test_messages_are_made_of_the_event_and_its_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.dialects.prefect.acting import send

    failed = folder / "failing.py"
    failed.write_text(
        "from prefect import flow, task\n@task\ndef bad(): raise ValueError('it is bad')\n@flow\ndef g(n: int = 2): bad()\n"
    )
    run = load_pipeline(str(failed)).options(executor="inline", progress=False).run()
    about = {"type": "run.failed", "id": "1", "subject": "g", "at": "2026", "data": {"run_id": run.run_id}}
    body = "{{ automation.name }}: {{ flow.name }} {{ flow_run.parameters.n }} {{ flow_run.state.name }} {{ flow_run.state.message }}"
    with posted() as (address, bodies):
        monkeypatch.setenv("PREFECT_BLOCK_SLACK_WEBHOOK_TEAM", json.dumps({"url": address}))
        send("slack-webhook/team", "{{ event.resource.id }}", body, {"name": "a"}, [about])
    assert bodies == [{"text": "*g*\na: g 2 Failed ValueError: it is bad"}]


def test_assets_and_events_are_told(written: Written) -> None:
    from penstock.services import Services

    file = written("""
        from datetime import UTC, datetime
        from prefect.assets import materialize

        @task
        def tell():
            emit_event("told", {"prefect.resource.id": "a", "kind.of": "b"}, datetime(2026, 3, 1, tzinfo=UTC), id="7",
                       related=[{"prefect.resource.id": "c", "prefect.resource.role": "owner"}], payload={"n": 1})

        @materialize("s3://bucket/a.csv")
        def make(): return 1

        @flow
        def g():
            tell()
            return make()
    """)
    pipeline = load_pipeline(f"{file}:g").options(executor="inline", progress=False)
    runs = [pipeline.run().run_id, pipeline.run().run_id]
    with Services().store() as store:
        found = {each.type: each for _, each in store.agenda.occurrences(0, 100)}
        assert sum(each.type.startswith("prefect.asset") for _, each in store.agenda.occurrences(0, 100)) == 1
    told = found["told"]
    assert (told.id, told.subject, told.at) == ("7", "a", 1772323200.0)
    owner = {"prefect": {"resource": {"id": ["c"], "role": ["owner"]}}}
    related = {"owner": owner, "any": owner}
    assert told.data == {"n": 1, "prefect": {"labels": {"kind": {"of": "b"}}, "related": related, "run_id": runs[0]}}
    made = found["prefect.asset.materialization.succeeded"]
    assert (made.subject, made.data) == ("s3://bucket/a.csv", {"prefect": {"run_id": runs[0]}})


class posted:
    """A server that keeps what is posted to it."""

    def __enter__(self) -> tuple[str, list[Any]]:
        bodies: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/team", bodies

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def penstock(folder: Path) -> Generator[Callable[..., Any]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT")}
    (folder / "pyproject.toml").write_text('[tool.penstock]\nexecutor = "inline"\n')

    def run(*words: str, code: int = 0) -> str:
        line = [sys.executable, "-m", "penstock", *words]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False, env=environment)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    yield run


@pytest.mark.slow
def test_a_daemon_carries_automations_out(folder: Path, penstock: Callable[..., str]) -> None:
    with posted() as (address, bodies):
        file = folder / "reactions.py"
        text = FILE.read_text().replace("def first(x: int = 3):\n", "def first(x: int = 3):\n    fails(x)\n")
        fails = "@task\ndef fails(x: int) -> None:\n    if x < 0:\n        raise ValueError(x)\n\n\n@flow\ndef first"
        lines = [line if not line.startswith("ADDRESS") else f"ADDRESS = {address!r}" for line in text.splitlines()]
        file.write_text("\n".join(lines).replace("@flow\ndef first", fails) + "\n")
        penstock("register", "reactions.py")
        penstock("run", "reactions.py:first")
        for _ in range(2):
            penstock("run", "reactions.py:first", "-p", "x=-1", code=1)
        penstock("up", "--once")
        runs = ended_runs(penstock, {"second", "alert-actions"})
    assert {name: each["state"] for name, each in runs.items()} == {
        "first": "failed",
        "second": "succeeded",
        "alert-actions": "succeeded",
    }
    second = json.loads(penstock("show", runs["second"]["run_id"], "--json"))
    assert second["outputs"]["result"]["value"] == "event 6"
    assert bodies == [{"text": "*first failed*\nFailed: ValueError: -1"}]
    triggers = {each["name"]: each["enabled"] for each in json.loads(penstock("triggers", "--json"))}
    assert triggers == {
        "after": False,
        "go-on": False,
        "alert": True,
        "in-order": False,
        "all-of-them": True,
        "stopped": True,
    }


@pytest.mark.slow
def test_the_run_that_an_event_is_about_is_cancelled(written: Written) -> None:
    from penstock.dialects.prefect.acting import cancel

    file = written("""
        from prefect import pause_flow_run

        @flow
        def waiting():
            pause_flow_run()
            return same(1)

        d = waiting.to_deployment("by hand")
        actions = [CancelFlowRun(), PauseDeployment(deployment_id=d.id)]
        Automation(name="stop", trigger=EventTrigger(expect={"too.much"}), actions=actions).create()
        ends = EventTrigger(expect={"prefect.flow-run.*"}, within=5)
        Automation(name="late", tags=["t"], trigger=ends, actions=[CancelFlowRun()]).create()
    """)
    assert [each.what for each in load_pipeline(f"{file}:waiting").ignored] == [
        "the automation 'stop': PauseDeployment",
        "the automation 'late': within=5 s",
        "the automation 'late': prefect.flow-run.*",
        "the automation 'late': tags",
        "the automation 'late': CancelFlowRun",
    ]
    pipeline = load_pipeline(f"{file}:waiting").options(executor="inline", progress=False)
    runs = [pipeline.run().run_id for _ in range(3)]
    about = [
        {"subject": "memory", "data": {"prefect": {"run_id": runs[0]}}},
        {"subject": f"prefect.flow-run.{runs[1]}", "data": None},
        {
            "subject": "memory",
            "data": {
                "prefect": {"related": {"any": {"prefect": {"resource": {"id": [f"prefect.flow-run.{runs[2]}"]}}}}}
            },
        },
    ]
    for each in about:
        assert cancel({"name": "stop"}, [{"type": "too.much", "id": "1", "at": "2026", **each}]) == "cancelled"
    with pytest.raises(Fail, match="is about no run"):
        cancel({"name": "stop"}, [{"type": "too.much", "id": "1", "at": "2026", "subject": "memory", "data": {}}])


@pytest.mark.slow
def test_the_deployment_of_a_failed_run_is_paused_and_run_again(
    folder: Path, penstock: Callable[..., str], written: Written
) -> None:
    written("""
        @task
        def root(x: int) -> int:
            if x < 0:
                raise ValueError(x)
            return x

        @flow
        def careful(x: int = 1, y: int = 1): return root(x) + y

        careful.to_deployment("d", parameters={"x": -1, "y": 5}, triggers=[{"expect": ["go"]}], cron="0 3 * * *")
        Automation(
            name="off",
            trigger=EventTrigger(expect={"prefect.flow-run.Failed"}),
            actions=[PauseDeployment(source="inferred"), RunDeployment(source="inferred", parameters={"x": 2})],
        ).create()
    """)
    penstock("register", "reactions.py")
    penstock("emit", "go")
    penstock("up", "--once")
    # a daemon that looks once may come too early for the end of the run, or just in time
    ended_runs(penstock, {"careful"})
    penstock("up", "--once")
    assert ended_runs(penstock, {"off-actions"})["off-actions"]["state"] == "succeeded"
    again = json.loads(penstock("show", ended_runs(penstock, {"careful"})["careful"]["run_id"], "--json"))
    assert again["parameters"] == {"x": 2, "y": 5} and again["outputs"]["result"]["value"] == 7
    triggers = {each["name"]: each["enabled"] for each in json.loads(penstock("triggers", "--json"))}
    assert triggers == {"d": False, "d-2": True, "off": True}


def ended_runs(penstock: Callable[..., str], wanted: set[str]) -> dict[str, Any]:
    """The last run of each pipeline, once those that are wanted have ended."""
    until = time.monotonic() + 150
    while True:
        runs = {each["pipeline"]: each for each in reversed(json.loads(penstock("runs", "--json")))}
        if all(name in runs and runs[name]["state"] != "running" for name in wanted) or time.monotonic() > until:
            return runs
        time.sleep(0.2)


# The real Prefect.


@pytest.mark.parametrize("version", ["prefect", "prefect2"])
def test_the_real_prefect_has_the_same_automations(version: str, peer: Callable[[str], Path], folder: Path) -> None:
    told = subprocess.run(
        [str(peer(version)), str(Path(__file__).with_name("prefect_automation_peer.py")), FILE.name],
        cwd=FILE.parent,
        env={**os.environ, "PREFECT_HOME": str(folder), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    found = json.loads(told.stdout.splitlines()[-1])
    ids = {**found["ids"], **{each["id"]: each["name"] for each in found["automations"]}}
    module = load_module(str(FILE))
    own: dict[str, str] = {str(module.after): "after", str(module.team): "team", str(module.go_on.id): "go-on"}
    real = {each["name"]: each for each in found["automations"]}
    mine = {each.name: each for each in _automations(module)}
    assert set(real) == set(mine)
    for name, each in mine.items():
        for part in ("name", "description", "enabled", "trigger", "actions"):
            assert _plain(getattr(each, part), own) == _plain(real[name][part], ids), (name, part)


def _automations(module: Any) -> list[Any]:
    from penstock.dialects.foreign import made_in
    from penstock.dialects.prefect.automations import Automation

    return [each for each in made_in(module) if isinstance(each, Automation)]


def _plain(value: Any, ids: dict[str, str]) -> Any:
    """What both say, without what is left at its default: ids by their names, and spans as seconds."""
    dumped = getattr(value, "model_dump", None)
    if dumped is not None:
        value = dumped()
    if isinstance(value, dict):
        kept = {str(key): _plain(each, ids) for key, each in value.items() if key != "schedule_after"}
        return {key: each for key, each in kept.items() if each not in (None, {}, [], 0)}
    if isinstance(value, (list, tuple)):
        found = [_plain(each, ids) for each in value]
        return sorted(found) if all(isinstance(each, str) for each in found) else found
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    return ids.get(str(value), value)
