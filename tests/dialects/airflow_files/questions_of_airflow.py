"""Questions to people, retry policies and what tasks remember. Run by the real Airflow, it answers by itself, and says how
every task ended and what it returned."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import (
    ApprovalOperator,
    HITLBranchOperator,
    HITLEntryOperator,
    HITLOperator,
)
from airflow.sdk import (
    DAG,
    NEVER_EXPIRE,
    Asset,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryDecision,
    RetryPolicy,
    RetryRule,
    task,
)
from airflow.sdk.bases.notifier import BaseNotifier

#: what is answered: chosen options, and what is filled in
ANSWERS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "one": (["option 2"], {"n": 5, "word": "w"}),
    "many": (["b", "c"], {}),
    "entry": (["OK"], {"x": "typed"}),
    "yes": (["Approve"], {}),
    "no": (["Reject"], {}),
    "hard_no": (["Reject"], {}),
    "never": (["Reject"], {"why": "too late"}),
    "branch": (["left"], {}),
}


class Noted(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        link = HITLOperator.generate_link_to_ui_from_context(context=context, base_url="airflow://here")
        with Path(os.environ["NOTED"]).open("a") as file:
            file.write(f"{self.text} {link.partition('/tasks/')[2]}\n")


class Patient(RetryPolicy):
    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if "busy" in str(exception) and try_number < max_tries:
            return RetryDecision.retry(timedelta(0), "busy")
        return RetryDecision.fail("hopeless")

    def serialize(self) -> dict[str, Any]:
        return {}


RULES = ExceptionRetryPolicy(
    [
        RetryRule("builtins.KeyError", RetryAction.FAIL),
        RetryRule(["airflow.exceptions.AirflowException", OSError], retry_delay=timedelta(0)),
        RetryRule(LookupError, RetryAction.FAIL, match_subclasses=False),
    ]
)
ROWS = Asset("rows", uri="x://rows")

with DAG("asking", schedule=None, start_date=datetime(2024, 1, 1), params={"who": "ada"}) as asking:

    @task
    def start() -> str:
        return "model-7"

    @task(trigger_rule="none_failed")
    def tell(given: Any, many: Any) -> list[Any]:
        return [given["chosen_options"], given["params_input"], many["chosen_options"], sorted(given)]

    one = HITLOperator(
        task_id="one",
        subject="Which for {{ params.who }}?",
        body="of {{ ti.xcom_pull(task_ids='start') }}",
        options=["option 1", "option 2"],
        params={"n": Param(3, type="integer", minimum=1), "word": Param("", type="string")},
        notifiers=Noted("{{ task.subject }} {{ task.body }}"),
    )
    many = HITLOperator(task_id="many", subject="Which?", options=["a", "b", "c"], multiple=True, defaults=["a"])
    entry = HITLEntryOperator(task_id="entry", subject="Fill in", params={"x": Param("q", type="string")})
    start() >> [one, many] >> entry
    tell(one.output, many.output)
    yes = ApprovalOperator(task_id="yes", subject="ok?")
    no = ApprovalOperator(task_id="no", subject="ok?")
    hard_no = ApprovalOperator(task_id="hard_no", subject="ok?", ignore_downstream_trigger_rules=True)
    entry >> [yes, no, hard_no]
    for each in (yes, no, hard_no):
        after = EmptyOperator(task_id=f"after_{each.task_id}")
        each >> after >> EmptyOperator(task_id=f"end_{each.task_id}", trigger_rule="all_done")
    branch = HITLBranchOperator(
        task_id="branch", subject="where?", options=["left", "right"], options_mapping={"left": "way"}
    )
    branch >> [EmptyOperator(task_id="way"), EmptyOperator(task_id="right")]
    never = ApprovalOperator(
        task_id="never", subject="ok?", fail_on_reject=True, params={"why": Param("", type="string")}
    )
    never >> EmptyOperator(task_id="after_never")
    entry >> branch

with DAG("repeating", schedule=None, start_date=datetime(2024, 1, 1)) as repeating:

    def failing(name: str, error: Exception, policy: RetryPolicy) -> None:
        @task(task_id=name, retries=2, retry_delay=timedelta(0), retry_policy=policy)
        def fail(ti: Any = None) -> None:
            with Path(os.environ["NOTED"]).open("a") as file:
                file.write(f"{name} {ti.try_number}\n")
            raise error

        fail()

    failing("key", KeyError("k"), RULES)
    failing("os", ConnectionError("k"), RULES)
    failing("air", AirflowException("k"), RULES)
    failing("look", LookupError("k"), RULES)
    failing("index", IndexError("k"), RULES)
    failing("busy", ValueError("busy"), Patient())
    failing("other", ValueError("other"), Patient())

with DAG("remembering", schedule=None, start_date=datetime(2024, 1, 1)) as remembering:

    @task(retries=1, retry_delay=timedelta(0))
    def submit(task_state_store: Any = None) -> list[Any]:
        job = task_state_store.get("job")
        if job is None:
            task_state_store.set("job", {"id": 7}, retention=NEVER_EXPIRE)
            task_state_store.set("gone", 1)
            task_state_store.delete("gone")
            raise RuntimeError("the worker is gone")
        return [job, task_state_store.get("gone", "nothing"), task_state_store.get("late")]

    @task
    def each(n: int, task_state_store: Any = None) -> list[Any]:
        before = task_state_store.get("n", default=-1)
        task_state_store.set("n", n)
        return [before, task_state_store.get("n")]

    @task(outlets=[ROWS])
    def load(asset_state_store: Any = None) -> list[Any]:
        state = asset_state_store[ROWS]
        state.set("runs", state.get("runs", default=0) + 1)
        try:
            asset_state_store[Asset("other")]
        except KeyError:
            return [asset_state_store.get("runs")]
        return []

    @task(inlets=[Asset.ref(name="rows")])
    def look(asset_state_store: Any = None) -> list[Any]:
        return [asset_state_store.get("runs"), asset_state_store.get("none", default="nothing")]

    submit()
    each.expand(n=[1, 2])
    load() >> look()


def answer_all() -> None:
    """Answer the questions that are open, as Airflow's pages do."""
    from airflow._shared.timezones import timezone
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        for detail in session.query(HITLDetail).all():
            instance = session.get(TaskInstance, detail.ti_id)
            if instance.state != "awaiting_input" or detail.responded_at is not None:
                continue
            chosen, given = ANSWERS[instance.task_id]
            detail.responded_by = {"id": "ada", "name": "ada"}
            detail.responded_at = timezone.utcnow()
            detail.chosen_options, detail.params_input = chosen, given
            handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=instance, session=session)


def main() -> None:
    sleep = time.sleep

    def sleep_or_answer(seconds: float) -> None:
        # so long it waits where nothing but answers is missing
        if seconds == 1:
            answer_all()
        else:
            sleep(seconds)

    time.sleep = sleep_or_answer
    found: dict[str, Any] = {}
    for dag in (asking, repeating, remembering):
        run = dag.test()
        for ti in run.get_task_instances():
            value = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
            where = f"[{ti.map_index}]" if ti.map_index >= 0 else ""
            found[f"{dag.dag_id}.{ti.task_id}{where}"] = [str(ti.state), value]
    print("ANSWER" + json.dumps(found, default=str))


if __name__ == "__main__":
    main()
