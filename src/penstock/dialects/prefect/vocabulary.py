"""What stands for the names of Prefect's modules while a file is loaded."""

from __future__ import annotations

from collections.abc import Mapping

_HERE = "penstock.dialects.prefect"


def _names(module: str, *names: str, **others: str) -> dict[str, str]:
    """Names that one module of ours has; `others` by what they are called in it."""
    return {
        **{name: f"{_HERE}.{module}:{name}" for name in names},
        **{name: f"{_HERE}.{module}:{other}" for name, other in others.items()},
    }


_TASKS = _names("tasks", "task", "Task")
_FLOWS = _names("flows", "flow", "Flow")
_BACKOFF = _names("options", "exponential_backoff")
_FUTURES = _names("futures", "as_completed", "wait", PrefectFuture="Future", PrefectFutureList="FutureList",
                  PrefectConcurrentFuture="Future", PrefectDistributedFuture="Future")  # fmt: skip
_MARKS = _names("futures", "unmapped", "allow_failure", "quote")
_STATES = _names("states", "State", "Completed", "Failed", "Crashed", "Cancelled", "StateType", "raise_if_failed")
_CONTEXT = _names("context", "FlowRunContext", "TaskRunContext", "get_run_context", "tags")
_LOGGING = _names("context", "get_run_logger", "get_logger", "disable_run_logger")
_CACHING = _names("caching", "CachePolicy", "CacheKeyFnPolicy", "INPUTS", "Inputs", "TASK_SOURCE", "RUN_ID",
                  "FLOW_PARAMETERS", "DEFAULT", "NO_CACHE", "NONE")  # fmt: skip
_RUNNERS = _names("runners", "TaskRunner", "ThreadPoolTaskRunner", "ConcurrentTaskRunner", "ProcessPoolTaskRunner",
                  "SequentialTaskRunner")  # fmt: skip
_SCHEDULES = _names("schedules", "Cron", "Interval", "RRule")
_OLD_SCHEDULES = _names("schedules", "CronSchedule", "IntervalSchedule", "RRuleSchedule", "construct_schedule")
_DEPLOYMENTS = {**_names("deployments", "Deployment", "serve", "deploy", RunnerDeployment="Deployment"),
                **_names("flow_runs", "run_deployment", arun_deployment="run_deployment")}  # fmt: skip
_ACTIONS = _names("actions", "Action", "CallWebhook", "CancelFlowRun", "ChangeFlowRunState", "DeclareIncident",
                  "DeleteFlowRun", "DeploymentAction", "DoNothing", "PauseAutomation", "PauseDeployment",
                  "PauseWorkPool", "PauseWorkQueue", "ResumeAutomation", "ResumeDeployment", "ResumeFlowRun",
                  "ResumeWorkPool", "ResumeWorkQueue", "RunDeployment", "SendNotification", "SuspendFlowRun")  # fmt: skip
_TRIGGERS = _names("event_triggers", "CompoundTrigger", "DeploymentCompoundTrigger", "DeploymentEventTrigger",
                   "DeploymentMetricTrigger", "DeploymentSequenceTrigger", "EventTrigger", "MetricTrigger",
                   "MetricTriggerOperator", "MetricTriggerQuery", "Posture", "PrefectMetric", "ResourceSpecification",
                   "SequenceTrigger", DeploymentTrigger="DeploymentEventTrigger")  # fmt: skip
_EVENTS = {**_TRIGGERS, **_ACTIONS, **_names("automations", "Automation", "AutomationCore"),
           **_names("events", "emit_event")}  # fmt: skip
_ARTIFACTS = _names(
    "artifacts",
    *(
        f"{prefix}create_{kind}_artifact"
        for prefix in ("", "a")
        for kind in ("markdown", "table", "link", "image", "progress")
    ),
    "update_progress_artifact",
    "aupdate_progress_artifact",
)
_BLOCKS = _names("blocks", "Block")
_SYSTEM = _names("blocks", "Secret", "JSON", "String", "DateTime")
_PAUSES = _names("pausing", "pause_flow_run", "suspend_flow_run", "resume_flow_run")
_TRANSACTIONS = _names("transactions", "transaction", "atransaction", "get_transaction", "Transaction",
                       "IsolationLevel", "CommitMode")  # fmt: skip
_LIMITS = _names("limits", "concurrency", "rate_limit")
_RUNTIME = _names("context", "flow_run", "task_run", "deployment")
_EXCEPTIONS = {
    **_names("context", "MissingContextError"),
    **_names("sessions", "TaskRunTimeoutError"),
    **_names("states", "FailedRun", "CancelledRun", "CrashedRun"),
    "PrefectException": "penstock.errors:PenstockError",
    "ParameterTypeError": "penstock.errors:ParameterError",
    "ParameterBindError": "penstock.errors:DefinitionError",
}


_VOCABULARY: Mapping[str, Mapping[str, str]] = {
    "prefect": {
        **_TASKS,
        **_FLOWS,
        **_MARKS,
        **_PAUSES,
        **_names("context", "get_run_logger", "tags", __version__="VERSION"),
        **_names("deployments", "serve", "deploy", aserve="serve"),
        **_names("states", "State"),
    },
    "prefect.tasks": {**_TASKS, **_BACKOFF, **_names("caching", "task_input_hash")},
    "prefect.task_worker": _names("tasks", serve="serve_tasks"),
    "prefect.task_server": _names("tasks", serve="serve_tasks"),
    "prefect.flows": {**_FLOWS, **_names("deployments", "serve", aserve="serve")},
    "prefect.futures": _FUTURES,
    "prefect.utilities.annotations": _MARKS,
    "prefect.utilities.asyncutils": {},
    "prefect.states": _STATES,
    "prefect.client": {},
    "prefect.client.orchestration": {},
    "prefect.client.schemas.objects": _names("states", "State", "StateType"),
    "prefect.server.schemas.states": _names("states", "State", "StateType", "Completed", "Failed", "Cancelled"),
    "prefect.context": _CONTEXT,
    "prefect.logging": _LOGGING,
    "prefect.logging.loggers": _LOGGING,
    "prefect.cache_policies": _CACHING,
    "prefect.task_runners": _RUNNERS,
    "prefect.schedules": _SCHEDULES,
    "prefect.client.schemas.schedules": _OLD_SCHEDULES,
    "prefect.server.schemas.schedules": _OLD_SCHEDULES,
    "prefect.orion.schemas.schedules": _OLD_SCHEDULES,
    "prefect.deployments": _DEPLOYMENTS,
    "prefect.deployments.runner": _DEPLOYMENTS,
    "prefect.deployments.deployments": _DEPLOYMENTS,
    "prefect.deployments.flow_runs": _DEPLOYMENTS,
    "prefect.events": _EVENTS,
    "prefect.events.actions": _ACTIONS,
    "prefect.events.utilities": _names("events", "emit_event"),
    "prefect.events.schemas.events": _names("event_triggers", "ResourceSpecification"),
    "prefect.events.schemas.deployment_triggers": _EVENTS,
    "prefect.events.schemas.automations": _EVENTS,
    "prefect.automations": _EVENTS,
    "prefect.artifacts": _ARTIFACTS,
    "prefect.assets": _names("assets", "Asset", "AssetProperties", "add_asset_metadata", "materialize"),
    "prefect.blocks.core": _BLOCKS,
    "prefect.blocks.system": _SYSTEM,
    "prefect.filesystems": _names("blocks", "LocalFileSystem"),
    "prefect.blocks.webhook": _names("notifications", "Webhook"),
    "prefect.blocks.notifications": _names("notifications", "SlackWebhook", "MicrosoftTeamsWebhook"),
    "prefect.variables": _names("variables", "Variable", "get"),
    "prefect.flow_runs": {**_PAUSES, **_names("flow_runs", "wait_for_flow_run")},
    "prefect.engine": _PAUSES,
    "prefect.input": _names("pausing", "RunInput"),
    "prefect.input.run_input": _names("pausing", "RunInput"),
    "prefect.transactions": _TRANSACTIONS,
    "prefect.concurrency.sync": _LIMITS,
    "prefect.concurrency.asyncio": _LIMITS,
    "prefect.runtime": _RUNTIME,
    "prefect.exceptions": _EXCEPTIONS,
    "prefect_dask": _names("runners", "DaskTaskRunner"),
    "prefect_dask.task_runners": _names("runners", "DaskTaskRunner"),
    "prefect_ray": _names("runners", "RayTaskRunner"),
    "prefect_ray.task_runners": _names("runners", "RayTaskRunner"),
}


def vocabulary() -> Mapping[str, Mapping[str, str]]:
    """The names of Prefect's modules, and what stands for them."""
    return _VOCABULARY


__all__ = ["vocabulary"]
