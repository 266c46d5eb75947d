"""What stands for values in the commands of containers, and for what only a run knows."""

from __future__ import annotations

from typing import Any

from penstock.authoring.source import caller
from penstock.dialects.kfp.structures import Concat, IfPresent, Word
from penstock.errors import DefinitionError

PIPELINE_JOB_NAME_PLACEHOLDER = "{{$.pipeline_job_name}}"
PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER = "{{$.pipeline_job_resource_name}}"
PIPELINE_JOB_ID_PLACEHOLDER = "{{$.pipeline_job_uuid}}"
PIPELINE_TASK_NAME_PLACEHOLDER = "{{$.pipeline_task_name}}"
PIPELINE_TASK_ID_PLACEHOLDER = "{{$.pipeline_task_uuid}}"
PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER = "{{$.outputs.output_file}}"
PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER = "{{$}}"
PIPELINE_ROOT_PLACEHOLDER = "{{$.pipeline_root}}"
PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER = "{{$.pipeline_job_create_time_utc}}"
PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER = "{{$.pipeline_job_schedule_time_utc}}"
#: the first version's
RUN_ID_PLACEHOLDER = PIPELINE_JOB_ID_PLACEHOLDER
EXECUTION_ID_PLACEHOLDER = PIPELINE_TASK_ID_PLACEHOLDER


class ContainerSpec:
    """What a container component does."""

    def __init__(
        self,
        image: str,
        command: list[Any] | None = None,
        args: list[Any] | None = None,
    ) -> None:
        self.image = image
        self.command = command or []
        self.args = args or []


class ConcatPlaceholder:
    """Parts of a command, put together."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items


class IfPresentPlaceholder:
    """Parts of a command that are there where an input is given."""

    def __init__(self, input_name: str, then: Any, else_: Any = None) -> None:
        self.input_name = input_name
        self.then = then
        self.else_ = else_


class Metadata:
    """The metadata of an artifact, in a command."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __getitem__(self, key: str) -> str:
        return f"{{{{$.{self._place}.metadata['{key}']}}}}"

    def __str__(self) -> str:
        return f"{{{{$.{self._place}.metadata}}}}"


class ArtifactPlaceholder:
    """An artifact, as the function of a container component sees it."""

    def __init__(self, direction: str, name: str) -> None:
        self._place = f"{direction}.artifacts['{name}']"

    @property
    def path(self) -> str:
        return f"{{{{$.{self._place}.path}}}}"

    @property
    def uri(self) -> str:
        return f"{{{{$.{self._place}.uri}}}}"

    @property
    def metadata(self) -> Metadata:
        return Metadata(self._place)

    def __str__(self) -> str:
        return f"{{{{$.{self._place}}}}}"


def input_value(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def output_file(name: str) -> str:
    return f"{{{{$.outputs.parameters['{name}'].output_file}}}}"


def word_of(value: Any) -> Word:
    """A part of a command as data. Raises DefinitionError for what cannot be one."""
    match value:
        case str():
            return value
        case bool() | int() | float() | Metadata() | ArtifactPlaceholder():
            return str(value)
        case ConcatPlaceholder():
            return Concat(tuple(word_of(each) for each in value.items))
        case IfPresentPlaceholder():
            return IfPresent(value.input_name, _words(value.then), _words(value.else_))
        case _:
            raise DefinitionError(f"a part of a command cannot be {value!r}", where=str(caller()))


def _words(value: Any) -> tuple[Word, ...]:
    if value is None:
        return ()
    return tuple(word_of(each) for each in value) if isinstance(value, (list, tuple)) else (word_of(value),)  # pyright: ignore[reportUnknownVariableType]


__all__ = [
    "ArtifactPlaceholder",
    "ConcatPlaceholder",
    "ContainerSpec",
    "IfPresentPlaceholder",
    "input_value",
    "output_file",
    "word_of",
]
