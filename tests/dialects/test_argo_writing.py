from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import argo_pipelines
import pytest
import yaml
from argo_interpreter import Expression, Failed, Workflow
from argo_official import problems

from penstock import approval, container, exit_code, file, pipeline, task, wait_for_duration
from penstock.dialects import Export, Written
from penstock.dialects.argo import write
from penstock.errors import DefinitionError
from penstock.model.schedule import Cron, Every, Timetable, Together
from penstock.model.trigger import Limits, Trigger


def written(one: Any, *triggers: Trigger) -> Written:
    given = {each.name: each.default for each in one.parameters if not each.required}
    return write(Export(one.define(given), triggers))


def document(one: Any, *triggers: Trigger) -> dict[str, Any]:
    made = yaml.safe_load(written(one, *triggers).text)
    assert problems(made) == []
    return made


def own(one: Any, tmp_path: Path) -> Any:
    outputs = one.options(executor="inline", progress=False, home=str(tmp_path / "home")).run().document["outputs"]
    values = {name: each["value"] for name, each in outputs.items()}
    return values["result"] if set(values) == {"result"} else values


@pytest.mark.parametrize("name", ["empty", "leaving", "keyed"])
def test_scripts_give_what_penstock_gives(name: str, tmp_path: Path) -> None:
    one = getattr(argo_pipelines, name)
    assert Workflow(document(one), tmp_path).run() == own(one, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wide", "nested", "bounded", "tolerant", "braced", "parted"])
def test_fan_outs_branches_bodies_loops_and_files_give_what_penstock_gives(name: str, tmp_path: Path) -> None:
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


def test_a_failure_before_what_the_result_may_lack_fails_the_workflow(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="ValueError: no"):
        Workflow(document(argo_pipelines.masked), tmp_path).run()


def test_waits_for_a_length_of_time_suspend_the_workflow(tmp_path: Path) -> None:
    made = document(argo_pipelines.pausing)
    workflow = Workflow(made, tmp_path)
    assert workflow.run() == {"rest": True, "late": None, "label": "rested 2"}
    assert workflow.waits == {"wait-for-duration": [0.02], "wait-for-duration-2": [0.01, 0.02]}
    assert dict(workflow.ended)["late"] == "Skipped"
    assert template(made, "wait-for-duration")["suspend"] == {"duration": "20ms"}
    assert template(made, "wait-for-duration-2")["suspend"] == {"duration": "{{inputs.parameters.seconds}}s"}
    grades = {each.node: each.grade for each in written(argo_pipelines.pausing).accounts}
    assert grades["rest-begin"] == grades["rest"] == "exact"
    assert changes(argo_pipelines.pausing) == dict.fromkeys(("late-begin", "late"), "it waits as long as it takes")

    @pipeline
    def odd() -> bool:
        return wait_for_duration(argo_pipelines.label("a", 1), name="nap")  # pyright: ignore[reportArgumentType]

    with pytest.raises(DefinitionError, match=r"'nap' .* waits for a length of time that is no number"):
        written(odd)


def test_outputs_that_are_files_are_artifacts_of_their_own() -> None:
    made = document(argo_pipelines.parted)
    outputs = template(made, "fit")["outputs"]
    assert outputs["artifacts"] == [
        {"name": "model", "path": "/tmp/result-model"},
        {"name": "place", "path": "/tmp/result-place"},
    ]
    assert outputs["parameters"] == [{"name": "score", "valueFrom": {"path": "/tmp/result-score"}}]
    # nobody takes any but the file
    whole = template(document(argo_pipelines.kept), "fit")["outputs"]
    assert whole["artifacts"] == outputs["artifacts"][:1]
    main = template(document(argo_pipelines.kept), "main")
    assert main["outputs"] == {"artifacts": [{"name": "result", "from": "{{tasks.fit.outputs.artifacts.model}}"}]}


def test_files_that_would_stay_behind_are_refused() -> None:
    @task
    def many() -> list[Path]:
        return []

    @task
    def count(paths: list[Path]) -> int:
        return len(paths)

    @pipeline
    def behind() -> int:
        return count(many())

    @pipeline
    def among() -> dict[str, object]:
        return {"model": argo_pipelines.fit(1).model}

    with pytest.raises(DefinitionError, match=r"'many' .* the file itself would stay behind"):
        written(behind)
    with pytest.raises(DefinitionError, match=r"'fit' .* gives the result of a pipeline what is no plain value"):
        written(among)


def test_handlers_of_the_exit_and_limits_have_fields_of_their_own(tmp_path: Path) -> None:
    made = document(argo_pipelines.leaving)["spec"]
    assert made["onExit"] == "on-exit"
    assert made["activeDeadlineSeconds"] == 600
    total = next(each for each in made["templates"] if each["name"] == "total")
    assert total["retryStrategy"] == {"limit": "2", "retryPolicy": "Always"}
    assert total["activeDeadlineSeconds"] == "60"
    assert total["script"]["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}


def test_a_container_hands_text_on_as_it_is() -> None:
    made = document(argo_pipelines.contained)
    said = template(made, "say")
    assert said["container"]["args"] == ['( echo "$input_n" is a number\n) | tee /tmp/result']
    assert said["outputs"]["parameters"] == [{"name": "result", "valueFrom": {"path": "/tmp/result"}}]
    assert 'say = os.environ["input_say"]' in template(made, "result")["script"]["source"]

    @pipeline
    def told() -> int:
        return container("alpine:3", "exit {code}", name="say", outputs={"code": exit_code()})(code="0")["code"]

    with pytest.raises(DefinitionError, match=r"'say' cannot be written for Argo Workflows: .*'code' is read as int"):
        written(told)


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


def template(made: dict[str, Any], name: str) -> dict[str, Any]:
    spec = made["spec"].get("workflowSpec", made["spec"])
    return next(each for each in spec["templates"] if each["name"] == name)


def changes(one: Any, *triggers: Trigger) -> dict[str, str]:
    return {each.node: each.how for each in written(one, *triggers).accounts if each.grade == "changed"}


@pytest.mark.slow
def test_only_some_failures_are_repeated(tmp_path: Path) -> None:
    repeated = Workflow(document(argo_pipelines.picky), tmp_path / "repeated")
    with pytest.raises(Failed, match="FileNotFoundError"):
        repeated.run()
    assert repeated.waits == {"fetch": [1.0, 2.0, 4.0]}
    other = Workflow(document(argo_pipelines.picky), tmp_path / "other", path="/else")
    with pytest.raises(Failed, match="ValueError: what about /else"):
        other.run()
    assert other.waits == {}
    never = Workflow(document(argo_pipelines.unread), tmp_path / "never")
    with pytest.raises(Failed, match="JSONDecodeError"):
        never.run()
    assert never.waits == {}


@pytest.mark.slow
def test_a_wait_starts_anew_each_time(tmp_path: Path) -> None:
    workflow = Workflow(document(argo_pipelines.patient), tmp_path, path=str(tmp_path / "count"))
    assert workflow.run() is True
    assert workflow.waits == {"arrived": [10.0, 15.0]}


def test_attempts_are_said_as_argo_says_them() -> None:
    made = document(argo_pipelines.picky)
    assert template(made, "fetch")["retryStrategy"] == {
        "limit": "3",
        "retryPolicy": "Always",
        "expression": "asInt(lastRetry.exitCode) != 64",
        "backoff": {"duration": "1s", "factor": "2"},
    }
    assert template(document(argo_pipelines.unread), "parse")["retryStrategy"]["backoff"] == {"duration": "500ms"}
    assert template(document(argo_pipelines.patient), "arrived")["retryStrategy"] == {
        "retryPolicy": "OnFailure",
        "expression": "asInt(lastRetry.exitCode) == 75",
        "backoff": {"duration": "10s", "factor": "2", "cap": "15s", "maxDuration": "3600s"},
    }
    assert changes(argo_pipelines.picky) == changes(argo_pipelines.patient) == {}


def test_waits_that_argo_cannot_say_are_told() -> None:
    @task(retries=3, retry_delay=2, backoff=1.5, retry_jitter=0.1, timeout=0.5, retry_if=lambda error: True)
    def shaky() -> int:
        return 1

    @pipeline
    def shaken() -> int:
        return shaky()

    told = changes(shaken)["shaky"].split("; ")
    assert told == [
        "the waits between attempts grow by a whole factor",
        "the waits between attempts are not changed by chance",
        "the time limit is rounded up to whole seconds",
        "every failure is repeated, whatever retry_if says",
    ]


def test_what_is_kept_is_kept_by_code_and_inputs() -> None:
    made = document(argo_pipelines.policies)
    memoize = template(made, "keep-it")["memoize"]
    assert re.fullmatch(r"keep-it-[0-9a-f]{8}-\{\{=sprig\.sha256sum\(inputs\.parameters\.x\)\}\}", memoize["key"])
    assert memoize["maxAge"] == "3600s"
    parameters = made["spec"]["arguments"]["parameters"]
    assert parameters[0] == {"name": "kind", "value": "small", "enum": ["small", "large"]}
    assert changes(argo_pipelines.policies) == {"limited": "the time limit is rounded up to whole seconds"}


def test_items_at_once_are_limited_by_a_template_of_their_own() -> None:
    made = document(argo_pipelines.bounded)
    assert template(made, "square-each")["parallelism"] == 2
    assert template(made, "inner-each")["parallelism"] == 1
    assert changes(argo_pipelines.bounded) == {}


@pytest.mark.parametrize(
    ("schedule", "crons"),
    [
        (Cron("0 3 * * 1,7"), ["0 3 * * 1,0"]),
        (Every(900), ["*/15 * * * *"]),
        (Every(21600), ["0 */6 * * *"]),
        (Together((Cron("@daily"), Cron("0 12 * * MON-FRI"))), ["@daily", "0 12 * * MON-FRI"]),
        (Cron("0 0 L * *"), None),
        (Cron("0 0 0 * * *"), None),
        (Cron("0 0 * * 5-7"), None),
        (Every(420), None),
        (Every(900, anchor=60), None),
    ],
)
def test_schedules_are_cron_expressions_of_argos_or_left_out(schedule: Any, crons: list[str] | None) -> None:
    trigger = Trigger(name="now", source=Timetable(schedule))
    made = document(argo_pipelines.empty, trigger)
    assert made["kind"] == ("Workflow" if crons is None else "CronWorkflow")
    assert made["spec"].get("schedules") == crons
    assert ("" in changes(argo_pipelines.empty, trigger)) is (crons is None)


def test_runs_that_wait_for_each_other_have_a_lock() -> None:
    trigger = Trigger(name="now", source=Timetable(Cron("@hourly")), limits=Limits(at_most=1, missed="none"))
    spec = document(argo_pipelines.empty, trigger)["spec"]
    assert (spec["concurrencyPolicy"], spec.get("startingDeadlineSeconds")) == ("Allow", None)
    assert spec["workflowSpec"]["synchronization"] == {"mutexes": [{"name": "empty"}]}


def test_a_trigger_that_asks_when_a_run_starts_is_refused() -> None:
    trigger = Trigger(name="now", source=Timetable(Cron("@hourly")), parameters={"n": "{logical_time:%H}"})
    with pytest.raises(DefinitionError, match=r"the trigger 'now' gives 'n' .* filled in when a run starts"):
        written(argo_pipelines.empty, trigger)


def test_names_are_those_that_kubernetes_takes() -> None:
    one = argo_pipelines.square.options(name="1st_try")
    other = argo_pipelines.square.options(name="x" * 200)

    @pipeline
    def named(n: int = 1) -> None:
        other(one(n))

    @pipeline
    def größer(größe: int = 1) -> int:
        return argo_pipelines.square(größe)

    @pipeline(name="a-pipeline-with-a-name-that-is-longer-than-those-of-schedules-may-be")
    def long() -> int:
        return argo_pipelines.square(1)

    with pytest.raises(DefinitionError, match="the name of a CronWorkflow has up to 52 characters"):
        written(long, Trigger(name="now", source=Timetable(Cron("@hourly"))))
    names = [each["name"] for each in document(named)["spec"]["templates"][0]["dag"]["tasks"]]
    assert names == ["task-1st-try", "x" * 100]

    @pipeline
    def accented() -> int:
        return container("alpine:3", "echo 1 > out", name="odd", outputs={"größe": file("out", "json")})()["größe"]

    with pytest.raises(DefinitionError, match="the parameter 'größe' has a name that Kubernetes does not take"):
        written(größer)
    with pytest.raises(DefinitionError, match="the output 'größe' of 'odd' has a name that Kubernetes does not take"):
        written(accented)


def test_more_than_full_crds_let_through_is_told() -> None:
    @pipeline
    def many() -> None:
        for n in range(201):
            argo_pipelines.square.options(name=f"square_{n}")(n)

    said = "202 templates and 201 tasks in one: from version 4 on, more than 200 need Argo's minimal CRDs"
    assert [each.how for each in written(many).accounts if not each.node] == [said]


@pytest.mark.slow
def test_braces_and_large_values_that_argo_would_not_take_are_refused() -> None:
    @pipeline
    def templated() -> dict[str, Any]:
        return container("alpine:3", "docker inspect -f '{{{{.Id}}}}' x > out.json", name="say", outputs=dict)()

    @pipeline
    def heavy(text: str = "a" * 1_000_000) -> str:
        return argo_pipelines.join(text, 1)

    with pytest.raises(DefinitionError, match=r"templates\[say\].* has two braces, which Argo takes"):
        written(templated)
    with pytest.raises(DefinitionError, match="a cluster takes up to 1,000,000"):
        written(heavy)
