"""Airflow's exceptions. Those that say how an attempt is to be taken are penstock's own signals as well, so that a plain task
may raise them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.errors import Fail, Retry, Skip


class AirflowException(Exception):
    """The root of Airflow's exceptions."""

    status_code = 500


class AirflowSkipException(AirflowException, Skip):
    """There is nothing to do: the task is skipped."""

    def __init__(self, *args: Any) -> None:
        Skip.__init__(self, _told(args))


class AirflowFailException(AirflowException, Fail):
    """The task has failed for good, and is not repeated."""

    def __init__(self, *args: Any) -> None:
        Fail.__init__(self, _told(args))


class AirflowRescheduleException(AirflowException, Retry):
    """The task is to be asked again at a moment."""

    def __init__(self, reschedule_date: datetime) -> None:
        self.reschedule_date = reschedule_date
        left = (reschedule_date - datetime.now(reschedule_date.tzinfo or UTC)).total_seconds()
        Retry.__init__(self, f"asked again at {reschedule_date.isoformat()}", after=max(left, 0.0))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.reschedule_date,))


class AirflowSensorTimeout(AirflowException):
    """A sensor has waited for as long as it may."""


class AirflowTaskTimeout(AirflowException):
    """A task took longer than it may."""


class AirflowTaskTerminated(AirflowException):
    """A task was ended from outside."""


class AirflowNotFoundException(AirflowException):
    """Something does not exist: a connection, a DAG."""

    status_code = 404


class AirflowBadRequest(AirflowException):
    """A call that makes no sense."""

    status_code = 400


class AirflowConfigException(AirflowException):
    """The configuration is wrong, or has no such option."""


class AirflowTimetableInvalid(AirflowException):
    """A timetable that cannot be understood."""


class AirflowInvalidSubclassException(AirflowException):
    """A class that is none of those that are needed."""


class AirflowOptionalProviderFeatureException(AirflowException):
    """Something that needs a package that is not there."""


class AirflowDagCycleException(AirflowException):
    """The tasks of a DAG wait for each other in a circle."""


class AirflowDagDuplicatedIdException(AirflowException):
    """Two DAGs go by one name."""


class DuplicateTaskIdFound(AirflowException):
    """Two tasks of a DAG go by one name."""


class TaskAlreadyInTaskGroup(AirflowException):
    """A task that is in a group already."""


class TaskNotFound(AirflowNotFoundException):
    """A DAG has no such task."""


class DagNotFound(AirflowNotFoundException):
    """There is no such DAG."""


class DagRunNotFound(AirflowNotFoundException):
    """There is no such run."""


class DagRunAlreadyExists(AirflowBadRequest):
    """There is a run of that name already."""


class XComNotFound(AirflowException):
    """A task that is needed has pushed nothing."""


class XComForMappingNotPushed(AirflowException):
    """What a task is expanded over was not pushed."""


class UnmappableXComTypePushed(AirflowException):
    """What a task is expanded over is no list and no table."""


class AirflowClusterPolicyViolation(AirflowException):
    """Something that a policy of the installation forbids."""


class TaskDeferred(AirflowException):
    """An operator asks to be gone on with by Airflow's triggerer, which is not there: sensors wait by `poke`."""


class AirflowProviderDeprecationWarning(DeprecationWarning):
    """Something of a provider is out of date."""


class RemovedInAirflow3Warning(DeprecationWarning):
    """Something is not there any more in Airflow 3."""


class ParamValidationError(AirflowException, ValueError):
    """A value that a param does not take."""


class ExternalTaskNotFoundError(AirflowException):
    """The task that a sensor waits for does not exist."""


class ExternalTaskFailedError(AirflowException):
    """The task that a sensor waits for has failed."""


class ExternalTaskGroupNotFoundError(ExternalTaskNotFoundError):
    """The group of tasks that a sensor waits for does not exist."""


class ExternalTaskGroupFailedError(ExternalTaskFailedError):
    """The group of tasks that a sensor waits for has failed."""


class ExternalDagNotFoundError(ExternalTaskNotFoundError):
    """The DAG that a sensor waits for does not exist."""


class ExternalDagFailedError(ExternalTaskFailedError):
    """The DAG that a sensor waits for has failed."""


class HITLTriggerEventError(Exception):
    """A person could not be asked."""


class HITLTimeoutError(HITLTriggerEventError):
    """Nobody has answered in time."""


class HITLRejectException(AirflowException):
    """A person has said no."""


def _told(args: tuple[Any, ...]) -> str:
    return " ".join(map(str, args))


__all__ = [
    "AirflowClusterPolicyViolation",
    "AirflowProviderDeprecationWarning",
    "RemovedInAirflow3Warning",
    "TaskDeferred",
    "UnmappableXComTypePushed",
    "XComForMappingNotPushed",
    "AirflowBadRequest",
    "AirflowConfigException",
    "AirflowDagCycleException",
    "AirflowDagDuplicatedIdException",
    "AirflowException",
    "AirflowFailException",
    "AirflowInvalidSubclassException",
    "AirflowNotFoundException",
    "AirflowOptionalProviderFeatureException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTerminated",
    "AirflowTaskTimeout",
    "AirflowTimetableInvalid",
    "DagNotFound",
    "DagRunAlreadyExists",
    "DagRunNotFound",
    "DuplicateTaskIdFound",
    "ExternalDagFailedError",
    "ExternalDagNotFoundError",
    "ExternalTaskFailedError",
    "ExternalTaskGroupFailedError",
    "ExternalTaskGroupNotFoundError",
    "ExternalTaskNotFoundError",
    "HITLRejectException",
    "HITLTimeoutError",
    "HITLTriggerEventError",
    "ParamValidationError",
    "TaskAlreadyInTaskGroup",
    "TaskNotFound",
    "XComNotFound",
]
