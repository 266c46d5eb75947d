"""Which of Airflow's modules and names there are here: those of Airflow 3, of Airflow 2, and of 1.10."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from penstock.dialects import Vocabulary
from penstock.dialects.airflow.partitions.vocabulary import PARTITIONS
from penstock.dialects.airflow.vocabulary_context import CONTEXT
from penstock.dialects.airflow.vocabulary_timetables import TIMETABLES

_HERE = "penstock.dialects.airflow."

_OPERATOR: Mapping[str, str] = {"BaseOperator": "baseoperator", "BaseOperatorLink": "baseoperator"}
_DAG: Mapping[str, str] = {"DAG": "dag", "dag": "dag"}
_ORDER: Mapping[str, str] = {"chain": "relations", "chain_linear": "relations", "cross_downstream": "relations"}
_LABEL: Mapping[str, str] = {"Label": "relations", "EdgeModifier": "relations"}
_GROUP: Mapping[str, str] = {"TaskGroup": "taskgroup"}
_GROUPS: Mapping[str, str] = {**_GROUP, "task_group": "taskgroup"}
_XCOM: Mapping[str, str] = {"XComArg": "xcomarg", "PlainXComArg": "xcomarg"}
_TASK: Mapping[str, str] = {"task": "taskflow"}
_SETUP: Mapping[str, str] = {"setup": "setups", "teardown": "setups"}
_EXCEPTIONS: Mapping[str, str] = dict.fromkeys(
    (
        "AirflowException",
        "AirflowNotFoundException",
        "AirflowBadRequest",
        "AirflowSkipException",
        "AirflowFailException",
        "AirflowTaskTimeout",
        "AirflowSensorTimeout",
        "AirflowTaskTerminated",
        "AirflowConfigException",
        "AirflowDagCycleException",
        "AirflowDagDuplicatedIdException",
        "AirflowOptionalProviderFeatureException",
        "AirflowClusterPolicyViolation",
        "AirflowRescheduleException",
        "AirflowProviderDeprecationWarning",
        "RemovedInAirflow3Warning",
        "DagNotFound",
        "DagRunNotFound",
        "TaskNotFound",
        "ParamValidationError",
        "DuplicateTaskIdFound",
        "TaskAlreadyInTaskGroup",
        "TaskDeferred",
        "XComNotFound",
        "XComForMappingNotPushed",
        "UnmappableXComTypePushed",
    ),
    "exceptions",
)
_RULE: Mapping[str, str] = {"TriggerRule": "rules"}
_STATES: Mapping[str, str] = dict.fromkeys(("State", "TaskInstanceState", "DagRunState"), "states")

_PYTHON: Mapping[str, str] = dict.fromkeys(
    ("PythonOperator", "PythonVirtualenvOperator", "ExternalPythonOperator", "is_venv_installed"), "operators.python"
)
_BRANCHES: Mapping[str, str] = dict.fromkeys(
    ("BranchPythonOperator", "ShortCircuitOperator", "BranchPythonVirtualenvOperator", "BranchExternalPythonOperator"),
    "operators.branch",
)
_BASH: Mapping[str, str] = {"BashOperator": "operators.bash"}
_EMPTY: Mapping[str, str] = {"EmptyOperator": "operators.empty", "DummyOperator": "operators.empty"}
_LATEST: Mapping[str, str] = {"LatestOnlyOperator": "operators.latest"}
_BRANCH: Mapping[str, str] = {"BaseBranchOperator": "operators.branch"}
_WEEKDAY: Mapping[str, str] = {"BranchDayOfWeekOperator": "operators.branch"}
_DATETIME: Mapping[str, str] = {"BranchDateTimeOperator": "operators.branch"}
_TRIGGER: Mapping[str, str] = {
    "TriggerDagRunOperator": "operators.trigger",
    "TriggerDagRunLink": "baseoperator:BaseOperatorLink",
}
_HITL: Mapping[str, str] = dict.fromkeys(
    ("ApprovalOperator", "HITLBranchOperator", "HITLEntryOperator", "HITLOperator"), "operators.hitl"
)
_EMAIL: Mapping[str, str] = {"EmailOperator": "operators.email"}
_HTTP: Mapping[str, str] = dict.fromkeys(("HttpOperator", "SimpleHttpOperator"), "operators.http")
_POD: Mapping[str, str] = {"KubernetesPodOperator": "operators.container"}
_DOCKER: Mapping[str, str] = {"DockerOperator": "operators.container"}
_SENSOR: Mapping[str, str] = dict.fromkeys(("BaseSensorOperator", "PokeReturnValue", "poke_mode_only"), "basesensor")
_SKIP: Mapping[str, str] = {"SkipMixin": "baseoperator"}
_DEFAULTS: Mapping[str, str] = {"apply_defaults": "baseoperator"}
_CONTEXTS: Mapping[str, str] = {"DagContext": "dag"}

_SDK: Mapping[str, str] = {
    **_OPERATOR,
    **_DAG,
    **_ORDER,
    **_LABEL,
    **_GROUPS,
    **_XCOM,
    **_TASK,
    **_SETUP,
    **_RULE,
    **_SENSOR,
    **_SKIP,
    "BaseBranchOperator": "operators.branch",
    "TaskInstanceState": "states",
    "DagRunState": "states",
    "WeightRule": "rules",
}

#: Airflow's module -> name -> module here, or `module:name` where the name differs
STRUCTURE: Mapping[str, Mapping[str, str]] = {
    "airflow": {"DAG": "dag", "XComArg": "xcomarg", "AirflowException": "exceptions"},
    "airflow.sdk": _SDK,
    "airflow.sdk.definitions.dag": {**_DAG},
    "airflow.sdk.definitions.decorators": {**_TASK, **_SETUP, "dag": "dag", "task_group": "taskgroup"},
    "airflow.sdk.definitions.edges": _LABEL,
    "airflow.sdk.definitions.taskgroup": _GROUPS,
    "airflow.sdk.definitions.xcom_arg": _XCOM,
    "airflow.sdk.bases.operator": {**_OPERATOR, **_ORDER},
    "airflow.sdk.bases.sensor": _SENSOR,
    "airflow.sdk.bases.operatorlink": {"BaseOperatorLink": "baseoperator"},
    "airflow.sdk.bases.skipmixin": _SKIP,
    "airflow.sdk.bases.branch": _BRANCH,
    "airflow.sdk.exceptions": _EXCEPTIONS,
    "airflow.sdk.api.datamodels._generated": {"TaskInstanceState": "states", "DagRunState": "states"},
    "airflow.task.trigger_rule": _RULE,
    "airflow.exceptions": _EXCEPTIONS,
    "airflow.decorators": {**_TASK, **_SETUP, "dag": "dag", "task_group": "taskgroup"},
    "airflow.decorators.task_group": {"task_group": "taskgroup"},
    "airflow.models": {**_OPERATOR, "DAG": "dag", **_CONTEXTS, "XComArg": "xcomarg", **_SKIP},
    "airflow.models.dag": {**_DAG, **_CONTEXTS},
    "airflow.models.baseoperator": {**_OPERATOR, **_ORDER},
    "airflow.models.baseoperatorlink": {"BaseOperatorLink": "baseoperator"},
    "airflow.models.skipmixin": _SKIP,
    "airflow.models.xcom_arg": _XCOM,
    "airflow.utils.helpers": {**_ORDER},
    "airflow.utils.edgemodifier": _LABEL,
    "airflow.utils.task_group": {**_GROUP},
    "airflow.utils.trigger_rule": _RULE,
    "airflow.utils.weight_rule": {"WeightRule": "rules"},
    "airflow.utils.state": _STATES,
    "airflow.utils.decorators": _DEFAULTS,
    "airflow.operators.python": {**_PYTHON, **_BRANCHES, **_TASK},
    "airflow.operators.python_operator": {**_PYTHON, **_BRANCHES},
    "airflow.operators.bash": _BASH,
    "airflow.operators.bash_operator": _BASH,
    "airflow.operators.empty": _EMPTY,
    "airflow.operators.dummy": _EMPTY,
    "airflow.operators.dummy_operator": _EMPTY,
    "airflow.operators.branch": _BRANCH,
    "airflow.operators.branch_operator": _BRANCH,
    "airflow.operators.weekday": _WEEKDAY,
    "airflow.operators.datetime": _DATETIME,
    "airflow.operators.latest_only": _LATEST,
    "airflow.operators.latest_only_operator": _LATEST,
    "airflow.operators.trigger_dagrun": _TRIGGER,
    "airflow.operators.dagrun_operator": _TRIGGER,
    "airflow.operators.email": _EMAIL,
    "airflow.operators.email_operator": _EMAIL,
    "airflow.sensors.base": _SENSOR,
    "airflow.sensors.base_sensor_operator": {"BaseSensorOperator": "basesensor"},
    "airflow.providers.standard.operators.python": {**_PYTHON, **_BRANCHES},
    "airflow.providers.standard.operators.bash": _BASH,
    "airflow.providers.standard.operators.empty": _EMPTY,
    "airflow.providers.standard.operators.branch": _BRANCH,
    "airflow.providers.standard.operators.weekday": _WEEKDAY,
    "airflow.providers.standard.operators.datetime": _DATETIME,
    "airflow.providers.standard.operators.hitl": _HITL,
    "airflow.providers.standard.operators.latest_only": _LATEST,
    "airflow.providers.standard.operators.trigger_dagrun": _TRIGGER,
    "airflow.providers.smtp.operators.smtp": _EMAIL,
    "airflow.operators.http_operator": _HTTP,
    "airflow.providers.http.operators.http": _HTTP,
    "airflow.providers.cncf.kubernetes.operators.pod": _POD,
    "airflow.providers.cncf.kubernetes.operators.kubernetes_pod": _POD,
    "airflow.providers.docker.operators.docker": _DOCKER,
    "airflow.contrib.operators.kubernetes_pod_operator": _POD,
    "airflow.operators.docker_operator": _DOCKER,
    # of 1.10 and before
    "airflow.operators": {**_PYTHON, **_BRANCHES, **_BASH, **_EMPTY, **_LATEST, **_TRIGGER, **_EMAIL, **_HTTP},
}

#: modules by which a file is for several versions of Airflow -> those whose names they have
_COMPATIBLE: Mapping[str, tuple[str, ...]] = {
    "airflow.providers.common.compat.sdk": (
        "airflow.exceptions",
        "airflow.utils.state",
        "airflow.utils.helpers",
        "airflow.utils.log.logging_mixin",
        "airflow.sdk",
    ),
    "airflow.providers.common.compat.assets": ("airflow.assets",),
    "airflow.providers.common.compat.standard.operators": ("airflow.providers.standard.operators.python",),
}


@functools.cache
def vocabulary() -> Vocabulary:
    """Module of Airflow -> name in it -> what stands for it here."""
    found: dict[str, dict[str, str]] = {}
    for source in (STRUCTURE, CONTEXT, TIMETABLES, PARTITIONS):
        for module, names in source.items():
            found.setdefault(module, {}).update(_placed(names.items()))
    for module, others in _COMPATIBLE.items():
        found.setdefault(module, {}).update({name: home for each in others for name, home in found[each].items()})
    return found


def _placed(names: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, home in names:
        yield name, f"{_HERE}{home}" if ":" in home else f"{_HERE}{home}:{name}"


__all__ = ["STRUCTURE", "vocabulary"]
