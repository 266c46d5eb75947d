"""Automations as triggers of penstock: those of the deployments that they run, and of a pipeline that does the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from msgspec.structs import replace

from penstock.authoring.pipeline import Composition
from penstock.authoring.task import Task
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects import Maker
from penstock.dialects.prefect import acting
from penstock.dialects.prefect import actions as acts
from penstock.dialects.prefect.automations import Automation
from penstock.dialects.prefect.deployments import Deployment
from penstock.dialects.prefect.event_patterns import AUTOMATION
from penstock.dialects.prefect.event_templates import is_template, placed
from penstock.dialects.prefect.event_triggers import EVENT, sure_names
from penstock.dialects.prefect.names import Named, name_of
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.options import node_name
from penstock.dialects.prefect.starting import is_about_runs
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored
from penstock.model.occurrence import Condition

_ELSEWHERE = "penstock runs the file as it stands, where its daemon is"


class Known(NamedTuple):
    """What automations may name."""

    deployments: tuple[Deployment, ...]
    automations: tuple[Automation, ...]
    #: names whose ids the file has asked for
    named: tuple[Named, ...]

    def deployment(self, action: Any) -> str:
        """The name of the deployment of an action, `flow/deployment`. Raises NotCoveredError."""
        own = [Named("deployment", each.full_name) for each in self.deployments]
        return self._name("deployment", action.deployment_id, action, [*self.named, *own])

    def own(self, action: Any) -> Deployment | None:
        """The deployment of an action, where it is one of this file. Raises NotCoveredError."""
        if not isinstance(action, acts.DeploymentAction) or action.source == "inferred":
            return None
        wanted = Named("deployment", self.deployment(action)).id
        return next((each for each in self.deployments if each.id == wanted), None)

    def automation(self, action: Any) -> str:
        """The name of the automation of an action. Raises NotCoveredError."""
        own = [Named("automation", each.name) for each in self.automations]
        found = self._name("automation", action.automation_id, action, own)
        if all(each.name != found for each in self.automations):
            raise not_covered(f"the automation {found!r} of another file", "", action.location)
        return found

    def block(self, action: Any) -> str:
        """The block of an action, `type/name`. Raises NotCoveredError."""
        return self._name("block", action.block_document_id, action, self.named)

    def _name(self, kind: Any, given: Any, action: Any, known: Iterable[Named]) -> str:
        found = name_of(kind, given, known)
        if found is None:
            raise not_covered(f"{type(action).__name__} with the id {given}", _REMEDIES[kind], action.location)
        return found


_REMEDIES = {
    "deployment": "Ids of a server are not known here. Take that of the deployment in the file: deployment_id=my_flow.deploy(...), "
    'or its name, "flow/deployment".',
    "automation": "Take that of an automation of this file: automation_id=other.id.",
    "block": 'Load the block in the file: SlackWebhook.load("team")._block_document_id.',
}


class Automated(NamedTuple):
    """What automations come to."""

    pipelines: Mapping[str, Composition[..., Any]]
    triggers: Mapping[str, Trigger]


def known_of(said: Iterable[Any], deployments: Sequence[Deployment]) -> Known:
    """What automations may name, of all that a file has made. Raises DefinitionError for two of one name."""
    named = [each for each in said if isinstance(each, Named)]
    found = [each for each in said if isinstance(each, Automation) and each.created]
    twice = next((each for number, each in enumerate(found) if each.name in [a.name for a in found[:number]]), None)
    if twice is not None:
        raise DefinitionError(f"there are two automations {twice.name!r}", where=str(twice.location))
    return Known(tuple(deployments), tuple(found), tuple(named))


def notes_of(said: Iterable[Any], deployments: Sequence[Deployment] = ()) -> list[Ignored]:
    """What automations say without effect."""
    said = list(said)
    known = known_of(said, deployments)
    found: list[Ignored] = []
    for each in said:
        if not isinstance(each, Automation):
            continue
        owner = f"the automation {each.name!r}"
        if not each.created:
            found.append(Ignored(owner, each.location, "it is not created"))
            continue
        found += each.trigger.notes(owner)
        for name in ("tags", "owner_resource"):
            if getattr(each, name):
                found.append(Ignored(f"{owner}: {name}", each.location, "it is a trigger, which has none"))
        if each.actions_on_resolve:
            why = "a trigger over events that come is never resolved"
            found.append(Ignored(f"{owner}: actions_on_resolve", each.location, why))
        for action in (*each.actions, *each.actions_on_trigger):
            if isinstance(action, acts.DoNothing):
                found.append(Ignored(f"{owner}: DoNothing()", action.location, "nothing is to be done"))
            elif (own := known.own(action)) is not None and _has_no_schedule(action, own):
                what = f"{owner}: {type(action).__name__}"
                found.append(Ignored(what, action.location, f"the deployment {own.name!r} has no schedule"))
            elif isinstance(action, (acts.CancelFlowRun, acts.ChangeFlowRunState)) and is_about_runs(each.trigger):
                what = f"{owner}: {type(action).__name__}"
                found.append(Ignored(what, action.location, "the run that the event is about has ended by then"))
            elif isinstance(action, acts.RunDeployment) and action.job_variables:
                found.append(Ignored(f"{owner}: job_variables", action.location, _ELSEWHERE))
    return found


def automated(
    module: ModuleType,
    known: Known,
    pipelines: Mapping[int, Composition[..., Any]],
    started: Mapping[str, Trigger],
    make: Maker,
    ignored: tuple[Ignored, ...] = (),
) -> Automated:
    """The triggers of automations, with the pipelines of what they do besides running deployments; `pipelines` are those of
    flows, by their identities, and `started` the triggers of deployments. What is `ignored` is told with each pipeline. Raises
    NotCoveredError."""
    return _Automating(module, known, pipelines, started, partial(make, ignored=ignored)).all()


class _Automating:
    """Goes through the automations of a module."""

    def __init__(
        self,
        module: ModuleType,
        known: Known,
        pipelines: Mapping[int, Composition[..., Any]],
        started: Mapping[str, Trigger],
        make: Callable[[Any, str], Composition[..., Any]],
    ) -> None:
        self._module = module
        self._known = known
        self._pipelines = pipelines
        self._started = started
        self._make = make
        #: automation -> the deployments that it runs directly, with their actions; and what it does besides
        self._direct = {each.name: self._run_by(each) for each in known.automations}
        self._others = {each.name: self._done_by(each) for each in known.automations}
        self._names = self._named()

    def all(self) -> Automated:
        pipelines: dict[str, Composition[..., Any]] = {}
        triggers: dict[str, Trigger] = {}
        for each in self._known.automations:
            names = iter(self._names[each.name])
            condition = each.trigger.condition(self._known.deployments)
            for deployment, action in self._direct[each.name]:
                parameters = self._parameters(each, action, condition)
                given = {**deployment.parameters, **parameters}
                pipeline = self._pipelines[id(deployment.flow)]
                options = {"parameters": given, "tags": deployment.tags, "at_most": deployment.at_most}
                triggers |= self._trigger(each, next(names), pipeline, condition, options)
            if self._others[each.name]:
                name = f"{node_name(each.name)}-actions"
                pipelines[name] = self._make(self._body(each, condition), name)
                events = [_document(event) for event in sure_names(condition)]
                runs = {
                    str(number): self._parameters(each, action, condition)
                    for number, action in enumerate(self._others[each.name])
                    if isinstance(action, acts.RunDeployment)
                }
                given = {"events": events, **({"runs": runs} if runs else {})}
                options = {"parameters": given, "tags": [AUTOMATION]}
                triggers |= self._trigger(each, next(names), pipelines[name], condition, options)
        return Automated(pipelines, triggers)

    def _trigger(
        self, automation: Automation, name: str, pipeline: Any, condition: Condition, options: Any
    ) -> dict[str, Trigger]:
        made = trigger(
            pipeline,
            condition,
            name=name,
            description=automation.description,
            enabled=automation.enabled,
            **options,
        )
        made.noun = replace(made.noun, location=automation.location)
        made.module = self._module.__name__
        return {name: made}

    # Which triggers there are.

    def _run_by(self, automation: Automation) -> list[tuple[Deployment, acts.RunDeployment]]:
        found: list[tuple[Deployment, acts.RunDeployment]] = []
        for action in _actions(automation):
            deployment = self._known.own(action)
            if deployment is not None and isinstance(action, acts.RunDeployment):
                found.append((deployment, action))
        return found

    def _done_by(self, automation: Automation) -> list[acts.Action]:
        direct = [id(action) for _, action in self._direct[automation.name]]
        return [
            each
            for each in _actions(automation)
            if id(each) not in direct and not _has_no_schedule(each, self._known.own(each))
        ]

    def _named(self) -> dict[str, list[str]]:
        """The names of the triggers of each automation."""
        found: dict[str, list[str]] = {}
        taken = set(self._started)
        for each in self._known.automations:
            count = len(self._direct[each.name]) + bool(self._others[each.name])
            found[each.name] = []
            number = 0
            while len(found[each.name]) < count:
                number += 1
                name = node_name(each.name) + (f"-{number}" if number > 1 else "")
                if name not in taken:
                    taken.add(name)
                    found[each.name].append(name)
        return found

    def _parameters(self, automation: Automation, action: Any, condition: Condition) -> dict[str, Any]:
        """What an action gives a deployment, with places for parts of the event."""
        given = dict(action.parameters or {})
        found: dict[str, Any] = placed(given, action.location, of_runs=is_about_runs(automation.trigger))
        if is_template(given) and EVENT not in sure_names(condition):
            remedy = "Write require='any', or a SequenceTrigger, whose last event it is."
            raise not_covered("a template over one of several events", remedy, action.location)
        return found

    # What is done besides.

    def _body(self, automation: Automation, condition: Condition) -> Callable[..., None]:
        about = {"name": automation.name, "description": automation.description}
        deeds = [self._deed(each, about, str(number)) for number, each in enumerate(self._others[automation.name])]

        def body(events: list[Any] = [], runs: dict[str, Any] = {}) -> None:  # noqa: B006
            for name, function, arguments, run in deeds:
                taken = {"parameters": runs.get(run, {})} if run else {}
                given = {"events": events} if _takes_events(function) else {}
                Task(function, name, {"cache": False})(**arguments, **taken, **given)

        body.location = automation.location  # type: ignore[attr-defined]
        body.__doc__ = automation.description or None
        return body

    def _deed(self, action: acts.Action, about: Mapping[str, Any], number: str) -> tuple[str, Any, dict[str, Any], str]:
        """The task of an action: its name, its function, what that is given, and the number of its parameters, if any."""
        known = self._known
        match action:
            case acts.RunDeployment(source="inferred"):
                return action.type, acting.start_again, {"deployments": self._table()}, number
            case acts.RunDeployment():
                target = node_name(known.deployment(action).partition("/")[0])
                return action.type, acting.start, {"target": target}, number
            case acts.PauseDeployment() | acts.ResumeDeployment():
                enabled = isinstance(action, acts.ResumeDeployment)
                if action.source == "inferred":
                    return action.type, acting.switch_deployment, {"deployments": self._table(), "enabled": enabled}, ""
                return action.type, acting.switch, {"triggers": self._triggers(action), "enabled": enabled}, ""
            case acts.PauseAutomation() | acts.ResumeAutomation():
                names = self._names[known.automation(action)]
                return (
                    action.type,
                    acting.switch,
                    {"triggers": names, "enabled": action.type == "resume-automation"},
                    "",
                )
            case acts.SendNotification():
                given = {"block": known.block(action), "subject": action.subject, "body": action.body}
                return action.type, acting.send, {**given, "automation": about}, ""
            case acts.CallWebhook():
                given = {"block": known.block(action), "payload": action.payload}
                return action.type, acting.call, {**given, "automation": about}, ""
            case _:
                return "cancel-flow-run", acting.cancel, {"automation": about}, ""

    def _triggers(self, action: Any) -> list[str]:
        """The schedules of the deployment of an action. Raises NotCoveredError for one of another file."""
        deployment = self._known.own(action)
        if deployment is None:
            what = (
                f"{type(action).__name__} of {self._known.deployment(action)!r}, which is no deployment of this file,"
            )
            raise not_covered(what, "Write the automation into the file of the deployment.", action.location)
        return deployment.scheduled_by

    def _table(self) -> dict[str, Any]:
        """What is known of the deployments of the file, by the triggers that start their runs."""
        found: dict[str, Any] = {}
        for deployment in self._known.deployments:
            row = {"parameters": deployment.parameters, "triggers": deployment.scheduled_by}
            direct = [
                each
                for name, runs in self._direct.items()
                for each, (own, _) in zip(self._names[name], runs, strict=False)
                if own is deployment
            ]
            found |= dict.fromkeys((*deployment.started_by, *direct), row)
        return found


def _actions(automation: Automation) -> list[acts.Action]:
    """What an automation does once it is triggered."""
    return [
        each for each in (*automation.actions, *automation.actions_on_trigger) if not isinstance(each, acts.DoNothing)
    ]


def _has_no_schedule(action: acts.Action, deployment: Deployment | None) -> bool:
    """Whether an action switches a deployment off or on that has no schedule."""
    switches = isinstance(action, (acts.PauseDeployment, acts.ResumeDeployment))
    return switches and deployment is not None and not deployment.schedules


def _takes_events(function: Callable[..., Any]) -> bool:
    return "events" in function.__annotations__


def _document(name: str) -> dict[str, str]:
    """An event as a template."""
    return {field: f"{{{name}.{field}}}" for field in ("id", "type", "subject", "at", "data")}


__all__ = ["Automated", "Known", "automated", "known_of", "notes_of"]
