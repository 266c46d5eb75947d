from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argo_pipelines
import pytest
import yaml
from argo_interpreter import Expression, Failed, Workflow

from penstock import approval, pipeline, task
from penstock.dialects import Export, Written
from penstock.dialects.argo import write
from penstock.errors import DefinitionError
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import Limits, Trigger


def written(one: Any, *triggers: Trigger) -> Written:
    given = {each.name: each.default for each in one.parameters if not each.required}
    return write(Export(one.define(given), triggers))


def document(one: Any, *triggers: Trigger) -> dict[str, Any]:
    return yaml.safe_load(written(one, *triggers).text)


def own(one: Any, tmp_path: Path) -> Any:
    outputs = one.options(executor="inline", progress=False, home=str(tmp_path / "home")).run().document["outputs"]
    values = {name: each["value"] for name, each in outputs.items()}
    return values["result"] if set(values) == {"result"} else values


@pytest.mark.parametrize("name", ["empty", "leaving", "keyed"])
def test_scripts_give_what_penstock_gives(name: str, tmp_path: Path) -> None:
    one = getattr(argo_pipelines, name)
    assert Workflow(document(one), tmp_path).run() == own(one, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wide", "nested"])
def test_fan_outs_branches_bodies_and_loops_give_what_penstock_gives(name: str, tmp_path: Path) -> None:
    one = getattr(argo_pipelines, name)
    assert Workflow(document(one), tmp_path).run() == own(one, tmp_path)


@pytest.mark.slow
def test_the_other_branch_is_taken_where_a_parameter_says_so(tmp_path: Path) -> None:
    workflow = Workflow(document(argo_pipelines.wide), tmp_path, n="2")
    assert workflow.run()["verdict"] == 'bad: a "quoted" one'
    assert dict(workflow.ended)["good"] == "Skipped"


def test_a_failure_is_joined_and_still_fails_the_workflow(tmp_path: Path) -> None:
    workflow = Workflow(document(argo_pipelines.rescuing), tmp_path)
    with pytest.raises(Failed, match="ValueError: no"):
        workflow.run()
    assert dict(workflow.ended) == {"boom": "Failed", "rescue": "Succeeded"}


def test_handlers_of_the_exit_and_limits_have_fields_of_their_own(tmp_path: Path) -> None:
    made = document(argo_pipelines.leaving)["spec"]
    assert made["onExit"] == "on-exit"
    assert made["activeDeadlineSeconds"] == 600
    total = next(each for each in made["templates"] if each["name"] == "total")
    assert total["retryStrategy"] == {"limit": "2", "retryPolicy": "Always"}
    assert total["activeDeadlineSeconds"] == 60
    assert total["script"]["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}


def test_a_container_that_writes_text_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"'say' cannot be written for Argo Workflows: .* is read as text"):
        written(argo_pipelines.contained)


def test_a_schedule_makes_a_cron_workflow() -> None:
    source = Timetable(Cron("0 3 * * *", "Europe/Berlin"))
    limits = Limits(at_most=1, overlap="cancel")
    trigger = Trigger(name="nightly", source=source, parameters={"n": 5}, limits=limits, enabled=False)
    made = document(argo_pipelines.leaving, trigger)
    assert made["kind"] == "CronWorkflow"
    spec = made["spec"]
    assert (spec["schedules"], spec["timezone"]) == (["0 3 * * *"], "Europe/Berlin")
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Replace", True)
    assert spec["workflowSpec"]["arguments"]["parameters"] == [{"name": "n", "value": "5"}]


def test_every_node_is_accounted_for() -> None:
    accounts = written(argo_pipelines.nested).accounts
    assert {each.node for each in accounts} == {
        "load",
        "inner",
        "inner/square",
        "inner/step",
        "load-2",
        "step",
        "step/step",
    }
    assert {each.grade for each in accounts} == {"equivalent"}


def test_what_argo_cannot_say_names_the_node() -> None:
    @pipeline
    def asking() -> object:
        return approval("go on?", name="sign_off")()

    with pytest.raises(
        DefinitionError, match="'sign_off' cannot be written for Argo Workflows: it waits for the answer"
    ):
        written(asking)


def test_expressions_are_read_as_argo_reads_them() -> None:
    scope = {"tasks": {"a-b": {"status": "Skipped"}}}
    text = "tasks['a-b'].status == 'Succeeded' ? tasks['a-b'].outputs.parameters['x'] : (1 + 2 * 3 > 6 && !(false) ? 'y' : 'z')"
    assert Expression(text, scope).value() == "y"


_CHECK = """
import json, sys
from hera.workflows.models import CronWorkflow, Workflow
from pydantic import BaseModel

def strict(kind, seen):
    # fields that are not known are refused, at every depth
    if not isinstance(kind, type) or not issubclass(kind, BaseModel):
        for each in getattr(kind, "__args__", ()):
            strict(each, seen)
    elif kind not in seen:
        seen.add(kind)
        kind.model_config["extra"] = "forbid"
        for field in kind.model_fields.values():
            strict(field.annotation, seen)
        for each in reversed(list(seen)):
            pass

known = set()
for kind in (Workflow, CronWorkflow):
    strict(kind, known)
for _ in range(12):
    for each in known:
        each.model_rebuild(force=True)
try:
    Workflow.model_validate({"metadata": {}, "spec": {"templates": [{"name": "a", "script": {"imagee": "x", "image": "x", "source": ""}}]}})
    sys.exit("unknown fields are not refused")
except ValueError:
    pass
for document in json.load(sys.stdin):
    (CronWorkflow if document["kind"] == "CronWorkflow" else Workflow).model_validate(document)
print("fine")
"""


@pytest.mark.slow
def test_manifests_fit_the_models_of_hera_with_unknown_fields_refused(peer: Callable[[str], Path]) -> None:
    limits = task(pools={"gpu": 1}, secrets={"TOKEN": "env:TOKEN"}, concurrency=1, gpu=1)(
        argo_pipelines.rescue.function
    )
    kept = task(cache_for="1h", retries=3, retry_delay=2)(argo_pipelines.square.function)

    @pipeline(concurrency=2)
    def limited() -> str:
        kept(2)
        return limits()

    names = ("wide", "nested", "empty", "rescuing", "leaving")
    texts = [written(getattr(argo_pipelines, name)).text for name in names]
    source = Timetable(Cron("0 3 * * *", "Europe/Berlin"))
    texts += [written(limited).text, written(argo_pipelines.leaving, Trigger(name="nightly", source=source)).text]
    done = subprocess.run(
        [peer("hera"), "-c", _CHECK],
        input=json.dumps([yaml.safe_load(each) for each in texts]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip() == "fine", done.stderr[-3000:] + json.dumps(done.stdout)
