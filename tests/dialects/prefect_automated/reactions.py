from datetime import timedelta

from prefect import flow, task
from prefect.automations import Automation
from prefect.blocks.notifications import SlackWebhook
from prefect.events import emit_event
from prefect.events.actions import (
    CancelFlowRun,
    DoNothing,
    PauseAutomation,
    PauseDeployment,
    RunDeployment,
    SendNotification,
)
from prefect.events.schemas.automations import CompoundTrigger, EventTrigger, Posture, SequenceTrigger

ADDRESS = "https://hooks.slack.com/services/T0000/B0000/none"


@task
def double(x: int) -> int:
    emit_event(
        "doubled",
        resource={"prefect.resource.id": f"number.{x}", "kind": "whole"},
        related=[{"prefect.resource.id": "who.me", "prefect.resource.role": "owner"}],
        payload={"value": 2 * x},
    )
    return 2 * x


@flow
def first(x: int = 3):
    return double(x)


@flow
def second(value: int = 0, why: str = "none"):
    return f"{why} {value}"


after = second.to_deployment("after", parameters={"why": "event"}, cron="0 3 * * *").apply()
team = SlackWebhook(url=ADDRESS).save("team", overwrite=True)

go_on = Automation(
    name="go-on",
    description="Goes on with what was doubled.",
    trigger=EventTrigger(
        expect={"doubled"},
        match={"prefect.resource.id": "number.*", "kind": "whole"},
        match_related={"prefect.resource.id": "who.*", "prefect.resource.role": "owner"},
        posture="Reactive",
    ),
    actions=[RunDeployment(deployment_id=after, parameters={"value": "{{ event.payload.value }}"})],
).create()

Automation(
    name="alert",
    trigger=EventTrigger(
        expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.name": "first", "prefect.resource.role": "flow"},
        threshold=2,
        within=timedelta(minutes=5),
    ),
    actions=[
        SendNotification(
            block_document_id=team,
            subject="{{ flow.name }} failed",
            body="{{ flow_run.state.name }}: {{ flow_run.state.message }}",
        ),
        PauseDeployment(deployment_id=after),
        PauseAutomation(automation_id=go_on.id),
    ],
).create()

Automation(
    name="in-order",
    enabled=False,
    trigger=SequenceTrigger(
        triggers=[EventTrigger(expect={"begun"}), EventTrigger(expect={"ended"})], within=timedelta(seconds=60)
    ),
    actions=[RunDeployment(deployment_id=after, parameters={"why": "{{ event.resource.id }}"})],
).create()

Automation(
    name="all-of-them",
    trigger=CompoundTrigger(
        require="all", triggers=[EventTrigger(expect={"a"}), EventTrigger(expect={"b"})], within=timedelta(seconds=60)
    ),
    actions=[CancelFlowRun(), DoNothing()],
).create()

Automation(
    name="stopped",
    trigger=EventTrigger(
        after={"beat"},
        expect={"beat"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=timedelta(seconds=30),
    ),
    actions=[RunDeployment(deployment_id=after, parameters={"why": "no beat"})],
).create()
