"""Airflow's questions to people, its retry policies and its state stores: as penstock's approvals, retries and what is kept
beside its store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import Pipeline, Run
from penstock.errors import NotCoveredError, ParameterError, PenstockError
from penstock.registering.loading import load_module, load_pipeline

FILES = Path(__file__).parent / "airflow_files"
HEAD = """\
from datetime import datetime, timedelta
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import (
    ApprovalOperator, HITLBranchOperator, HITLEntryOperator, HITLOperator
)
from airflow.sdk import DAG, Asset, Param, RetryDecision, RetryPolicy, task, task_group

def told(context):
    with open("told.txt", "a") as file:
        file.write(f"{context['ti'].task_id} {context['ti'].state} {context['ti'].xcom_pull(task_ids='ask')}\\n")

"""
WITH = 'with DAG("it", start_date=datetime(2024, 1, 1), schedule=None):\n'

Read = Callable[..., "Pipeline[..., Any]"]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads a DAG called `it` from the body of its `with` block, with some text before that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    count = iter(range(100))

    def read(text: str, before: str = "") -> Pipeline[..., Any]:
        file = tmp_path / f"{tmp_path.name}_{next(count)}.py".replace("-", "_")
        indented = "".join(f"    {line}\n" for line in text.strip().splitlines())
        file.write_text(HEAD + before + WITH + indented)
        return load_pipeline(f"{file}:it")

    return read


def ran(pipeline: Pipeline[..., Any], **options: Any) -> Run:
    given: Any = {"executor": "inline", "progress": False, "logs": False, "cache": False, **options}
    return pipeline.options(**given).run()


def states(run: Run) -> dict[str, str]:
    return {each.id: str(each.state) for each in run.tasks}


def value(run: Run, task: str) -> Any:
    return run.task(task).outputs["result"]


# Questions.


def test_a_question_is_an_approval_with_a_form(read: Read) -> None:
    run = ran(
        read(
            'ask = HITLOperator(task_id="ask", subject="Which?", options=["a", "b"], '
            'params={"n": Param(type="integer", description="how many")})'
        )
    )
    assert run.state == "paused"
    [question] = run.questions
    assert (question["id"], question["question"]) == ("ask.answer", "Which?")
    assert question["inputs"] == {"request": {"subject": "Which?", "options": ["a", "b"]}}
    choice, number = question["fields"]
    assert choice == {"name": "chosen_options", "type": "Literal['a', 'b']", "required": True}
    assert number == {"name": "n", "type": "int", "required": True, "description": "how many"}
    with pytest.raises(ParameterError, match="chosen_options"):
        run.approve("ask.answer", chosen_options="c", n=1)
    ended = run.approve("ask.answer", chosen_options="b", n=3, by="ada")
    assert states(ended) == dict.fromkeys(("ask.request", "ask.answer", "ask"), "succeeded")
    found = value(ended, "ask")
    assert (found["chosen_options"], found["params_input"]) == (["b"], {"n": 3})
    assert found["responded_by_user"] == {"id": "ada", "name": "ada"}
    assert found["responded_at"] == value(ended, "ask.answer").at


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "chosen", "state"),
    [
        ('HITLOperator(task_id="ask", subject="?", options=["a", "b"], defaults="b", {limit})', ["b"], "succeeded"),
        (
            'HITLOperator(task_id="ask", subject="?", options=["a"], defaults="a", params={{"n": Param(type="string")}}, {limit})',
            ["a"],
            "succeeded",
        ),
        ('HITLOperator(task_id="ask", subject="?", options=["a", "b"], {limit})', None, "failed"),
        ('ApprovalOperator(task_id="ask", subject="?", defaults="Approve", {limit})', ["Approve"], "succeeded"),
        ('ApprovalOperator(task_id="ask", subject="?", defaults="Reject", {limit})', ["Reject"], "succeeded"),
        ('ApprovalOperator(task_id="ask", subject="?", {limit})', None, "failed"),
    ],
)
@pytest.mark.parametrize("limit", ["response_timeout", "execution_timeout"])
def test_when_nobody_answers_in_time(read: Read, given: str, chosen: Any, state: str, limit: str) -> None:
    made = given.format(limit=f"{limit}=timedelta(seconds=0.05), on_failure_callback=told")
    run = ran(read(f'{made} >> EmptyOperator(task_id="after")'))
    assert states(run)["ask"] == state
    if chosen is None:
        assert str(run.task("ask").error).endswith(
            "The timeout has passed, and the response has not yet been received."
        )
        assert Path("told.txt").read_text() == "ask failed None\n"
        assert states(run)["after"] == "upstream_failed"
    else:
        found = value(run, "ask")
        assert (found["chosen_options"], found["responded_by_user"]) == (chosen, None)
        assert states(run)["after"] == ("skipped" if chosen == ["Reject"] else "succeeded")


@pytest.mark.slow
def test_a_rejection(read: Read) -> None:
    run = ran(
        read("""
ask = HITLOperator(task_id="ask", subject="?", options=["a", "b"], on_failure_callback=told)
no = ApprovalOperator(task_id="no", subject="?", params={"n": Param(type="integer")}, on_success_callback=told)
no >> EmptyOperator(task_id="after")
no >> EmptyOperator(task_id="clean").as_teardown()
""")
    )
    run = run.approve("ask.answer", approved=False, by="bob", why="nonsense")
    run = run.approve("no.answer", approved=False, by="bob")
    assert str(run.task("ask").error).endswith("HITLRejectException: bob rejected it: nonsense")
    assert value(run, "no")["chosen_options"] == ["Reject"]
    ended = states(run)
    assert (ended["ask"], ended["no"], ended["after"], ended["clean"]) == (
        "failed",
        "succeeded",
        "skipped",
        "succeeded",
    )
    assert sorted(Path("told.txt").read_text().splitlines()) == ["ask failed None", "no success None"]


@pytest.mark.slow
def test_a_question_among_other_tasks(read: Read) -> None:
    run = ran(
        read(
            """
@task
def make(): return "a subject"
@task
def fail(): raise ValueError
with TaskGroup("g"):
    ask = HITLOperator(task_id="ask", subject=make(), options=["a", "b"])
    later = HITLOperator(task_id="later", subject="?", options=["a"], trigger_rule="one_failed")
    never = HITLOperator(task_id="never", subject="?", options=["a"], depends_on_past=True)
fail() >> [later, never]
ask >> EmptyOperator(task_id="end")
@task.branch
def choose(): return "end"
choose() >> [ApprovalOperator(task_id="left_out", subject="?"), ask]
choose() >> EmptyOperator(task_id="other")
""",
            "from airflow.sdk import TaskGroup\n",
        )
    )
    asked = {each["id"]: (each["question"], each["inputs"]["request"]["subject"]) for each in run.questions}
    assert asked == {"g/later.answer": ("?", "?")}
    run = run.approve("g/later.answer")
    ended = states(run)
    assert value(run, "g/later")["chosen_options"] == ["a"]
    assert ended["g/never"] == ended["g/never.answer"] == "upstream_failed"
    assert ended["left_out"] == ended["left_out.request"] == "skipped"
    assert run.state == "failed"


@pytest.mark.slow
def test_a_schema_is_held_to(read: Read) -> None:
    run = ran(read('HITLEntryOperator(task_id="ask", subject="?", params={"n": Param(3, type="integer", minimum=1)})'))
    ended = run.approve("ask.answer", n=0)
    assert "Invalid input for param n: 0 is less than the minimum of 1" in str(ended.task("ask").error)


@pytest.mark.slow
def test_questions_of_a_mapped_group(read: Read) -> None:
    run = ran(
        read("""
@task_group
def group(name):
    @task
    def make(name): return f"-{name}-"
    @task
    def take(answer): return answer["chosen_options"]
    made = make(name)
    ask = HITLOperator(task_id="ask", subject="{{ ti.xcom_pull(task_ids='group.make') }}?", options=["a", "b"])
    made >> ask
    take(ask.output)
group.expand(name=["x", "y"])
""")
    )
    asked = {each["id"]: each["inputs"]["request"]["subject"] for each in run.questions}
    assert asked == {"group[0]/ask.answer": "-x-?", "group[1]/ask.answer": "-y-?"}
    run = run.approve("group[0]/ask.answer", chosen_options="a")
    run = run.approve("group[1]/ask.answer", chosen_options="b")
    assert [value(run, f"group[{each}]/take") for each in (0, 1)] == [["a"], ["b"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'HITLOperator.partial(task_id="ask", options=["a"]).expand(subject=["x", "y"])',
            "a HITLOperator that is expanded",
        ),
        (
            'Own(task_id="ask", subject="?", options=["a"])',
            "execute_complete of the Own 'ask', which is to run once a person has answered, is not covered",
        ),
        (
            'HITLOperator(task_id="ask", subject="?", options=["a"], post_execute=told)',
            "post_execute of the HITLOperator 'ask'",
        ),
        ('HITLOperator(task_id="ask", subject="?", options=["a"]).as_teardown()', "a teardown that asks a person"),
    ],
)
def test_what_is_not_covered_stops_before_anything_runs(read: Read, text: str, message: str) -> None:
    own = "class Own(HITLOperator):\n    def execute_complete(self, context, event): return 1\n"
    with pytest.raises(NotCoveredError, match=message) as caught:
        ran(read(f'EmptyOperator(task_id="first")\n{text}', own))
    assert caught.value.where is not None
    assert not Path("home/penstock.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('HITLOperator(task_id="ask", subject="?", options=[])', '"options" cannot be empty.'),
        ('HITLOperator(task_id="ask", subject="?", options=["a"], defaults="b")', "should be a subset"),
        ('ApprovalOperator(task_id="ask", subject="?", options=["a"])', "Passing options to ApprovalOperator"),
        (
            'HITLBranchOperator(task_id="ask", subject="?", options=["a"], options_mapping={"b": "x"})',
            "keys that are not in `options`",
        ),
    ],
)
def test_what_airflow_refuses_is_refused(read: Read, text: str, message: str) -> None:
    with pytest.raises(PenstockError, match=message):
        read(text)


def test_what_has_no_effect_is_told(read: Read) -> None:
    pipeline = read(
        'HITLOperator(task_id="ask", subject="?", options=["a"], retries=2, assigned_users={"id": "1", "name": "ada"})'
    )
    told = {each.what: each.why for each in pipeline.ignored}
    assert told["the task 'ask': retries"] == "a question is put once: what comes before it is repeated"
    assert "may answer" in told["the task 'ask': assigned_users"]


# Retry policies.


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_policy_says_when_to_repeat(read: Read, executor: str) -> None:
    before = """
class Mine(RetryPolicy):
    def evaluate(self, exception, try_number, max_tries, context=None):
        assert max_tries == 4
        return RetryDecision.retry(timedelta(seconds=0.01)) if try_number < 3 else RetryDecision.fail()
"""
    run = ran(
        read(
            """
@task(retries=4, retry_delay=timedelta(hours=1), retry_policy=Mine())
def fail(): raise ValueError("no")
fail()
""",
            before,
        ),
        executor=executor,
    )
    assert (run.task("fail").attempts, str(run.task("fail").error)) == (3, "ValueError: no")


@pytest.mark.slow
def test_a_policy_that_reads_the_context_is_not_covered(read: Read) -> None:
    before = "class Mine(RetryPolicy):\n    def evaluate(self, exception, try_number, max_tries, context=None):\n"
    before += "        return RetryDecision.retry() if context else RetryDecision.fail()\n"
    text = "@task(retries=1, retry_policy=Mine())\ndef fail(): raise ValueError\nfail()"
    with pytest.raises(NotCoveredError, match="the retry_policy of 'fail', a Mine, reads the context"):
        ran(read(text, before))
    with pytest.raises(PenstockError, match="must be a RetryPolicy, not 3"):
        ran(read(text.replace("Mine()", "3"), before))


@pytest.mark.slow
def test_a_policy_and_a_task_that_takes_too_long(read: Read) -> None:
    text = """
from airflow.exceptions import AirflowTaskTimeout
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
import time
@task(retries=3, retry_delay=timedelta(0), execution_timeout=timedelta(seconds=0.1),
      retry_policy=ExceptionRetryPolicy([RetryRule(AirflowTaskTimeout, RetryAction.FAIL)]))
def slow(): time.sleep(5)
slow()
"""
    assert ran(read(text)).task("slow").attempts == 1
    waits = read(text.replace("RetryAction.FAIL", "retry_delay=timedelta(seconds=9)"))
    assert "the task 'slow': retry_policy" in {each.what for each in waits.ignored}


# What is remembered.


@pytest.mark.slow
def test_what_an_asset_remembers(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = read("""
rows = Asset("rows", uri="x://b/rows")
@task(outlets=[rows])
def load(asset_state_store=None):
    asset_state_store.set("runs", asset_state_store.get("runs", default=0) + 1)
    return asset_state_store.get("runs")
@task(inlets=[Asset.ref(uri="x://b/rows")])
def look(asset_state_store=None):
    return asset_state_store.get("runs")
@task(inlets=[rows, Asset("other")])
def wrong(asset_state_store=None):
    try:
        asset_state_store.set("runs", 1)
    except ValueError as error:
        return str(error)
load() >> look() >> wrong()
""")
    for count in (1, 2):
        run = ran(pipeline, cache=True)
        assert (value(run, "load"), value(run, "look")) == (count, count)
    assert value(run, "wrong").startswith("Task has 2 concrete inlets and outlets")


@pytest.mark.slow
def test_what_a_task_remembers_is_forgotten(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
@task(retries=1, retry_delay=timedelta(0))
def keep(task_state_store=None, ti=None):
    found = task_state_store.get("short"), task_state_store.get("long")
    task_state_store.set("short", 1, retention=timedelta(seconds=-1))
    task_state_store.set("long", 1)
    if ti.try_number == 1: raise RuntimeError
    try:
        task_state_store.set("none", None)
    except ValueError as error:
        return [*found, str(error)]
keep()
"""
    run = ran(read(text))
    assert value(run, "keep") == [None, 1, "Cannot set value as None"]
    assert kept() == ["long", "short"]
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    shutil.rmtree("home")
    assert ran(read(text)).state == "succeeded"
    assert kept() == []


def kept() -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect("home/airflow/states.sqlite")) as found:
        return sorted(key for (key,) in found.execute("SELECT key FROM states"))


@pytest.mark.slow
def test_what_a_coroutine_remembers(read: Read) -> None:
    run = ran(
        read("""
@task(retries=1, retry_delay=timedelta(0))
async def keep(task_state_store=None, ti=None):
    found = await task_state_store.aget("n", default=0)
    await task_state_store.aset("n", found + 1)
    if ti.try_number == 1: raise RuntimeError
    await task_state_store.adelete("n")
    return [found, await task_state_store.aget("n")]
keep()
""")
    )
    assert value(run, "keep") == [1, None]


# Beside the real Airflow.


def answered(run: Run, answers: Any) -> Run:
    """A run that is answered to its end, as the real one is."""
    while run.questions:
        question = run.questions[0]
        chosen, given = answers[question["id"].removesuffix(".answer")]
        known = {each["name"]: each["type"] for each in question["fields"]}
        if "chosen_options" in known:
            given = {**given, "chosen_options": chosen if known["chosen_options"].startswith("list") else chosen[0]}
        run = run.approve(question["id"], approved=chosen != ["Reject"], by="ada", **given)
    return run


def told_of(run: Run, dag: str) -> dict[str, Any]:
    alike = {"succeeded": "success", "cached": "success"}
    found: dict[str, Any] = {}
    for each in run.tasks:
        if not each.id.endswith((".request", ".answer", ".gate")):
            result = each.outputs.get("result") if each.state != "skipped" else None
            found[f"{dag}.{each.id}"] = [alike.get(str(each.state), str(each.state)), plain(result)]
    return found


def plain(value: Any) -> Any:
    """What is to be the same: when somebody answered is not."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != "responded_at"}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_the_same_as_in_airflow(peer: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    file = tmp_path / "questions_of_airflow.py"
    shutil.copy(FILES / file.name, file)
    monkeypatch.setenv("NOTED", str(tmp_path / "ours.txt"))
    ours: dict[str, Any] = {}
    answers = load_module(str(file)).ANSWERS
    for dag in ("asking", "repeating", "remembering"):
        run = ran(load_pipeline(f"{file}:{dag}"))
        ours |= told_of(answered(run, answers), dag)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "NOTED": str(tmp_path / "real.txt"),
    }
    python = peer("airflow")
    for command in ([python.parent / "airflow", "db", "migrate"], [python, file.name]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    real = {key: [state, plain(each)] for key, (state, each) in json.loads(done.stdout.partition("ANSWER")[2]).items()}
    # in Airflow 3, what skips others has no result
    for name in ("asking.no", "asking.hard_no", "asking.branch"):
        assert real[name] == ["success", None]
        real[name] = ours[name]
    assert ours == real
    noted = [sorted((tmp_path / name).read_text().splitlines()) for name in ("ours.txt", "real.txt")]
    assert noted[0] == noted[1]
