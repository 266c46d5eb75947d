"""Tasks that ask a person, as three nodes: what is to be shown, `NAME.request`; the question, an approval that is called
`NAME.answer`; and what the answer amounts to, which has the name of the task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import msgspec

from penstock.authoring.placing import Placing
from penstock.authoring.task import Task
from penstock.authoring.tasks.approvals import Asking, fields_of
from penstock.dialects.airflow.execution import attempt_of
from penstock.dialects.airflow.inputs import Inputs, inputs_of
from penstock.dialects.airflow.mapping import MappedOperator
from penstock.dialects.airflow.operators.hitl import CHOSEN, HITLOperator
from penstock.dialects.airflow.params import ParamsDict, annotation_of
from penstock.errors import NotCoveredError
from penstock.model.action import ApprovalAction, Field

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.drawing import Drawing
    from penstock.model.outcome import Approval

#: the part of a task that takes the answer, where a worker looks for its function
ANSWER: Final = "answer"
#: options that are about how the task ends; all others, and those on its failure, are about how it begins
_OF_THE_END: Final = frozenset({"on_success", "on_failure", "on_skip", "deadline", "on_deadline"})


class Asked(NamedTuple):
    """The nodes of a task that asks."""

    request: str
    answer: str
    task: str


def ask(drawing: Drawing, task: HITLOperator, options: Mapping[str, Any]) -> Asked:
    """Add the nodes of a task that asks. `options` are those of the task."""
    if task.is_teardown:
        raise _not_covered(task, "a teardown that asks a person", "Ask in a task before it.")
    label = drawing.label(task)
    inputs = request_inputs(task)
    begin = {name: each for name, each in options.items() if name not in _OF_THE_END or name == "on_failure"}
    end = {name: each for name, each in options.items() if name in _OF_THE_END}
    asking = Task(attempt_of(task, inputs), task.label, {**begin, "cache": False})
    asking.reference = drawing.reference(task)
    request = drawing.build.call(asking, Placing(name=f"{label}.request"), drawing.arguments(task, inputs))
    answer = cast(Any, Asking(_action(task), f"{label}.{ANSWER}", Placing())(request=request))
    taking = Task(answered_by(task), task.label, {**end, "cache": False})
    taking.reference = drawing.reference(task, part=f"#{ANSWER}")
    made = drawing.build.call(taking, Placing(name=label), {"answer": answer})
    return Asked(*(drawing.added(each) for each in (request, answer, made)))


def refuse_mapped(task: BaseOperator) -> None:
    """Raise NotCoveredError for a task that asks once for every item."""
    if isinstance(task, MappedOperator) and issubclass(task.operator_class, HITLOperator):
        raise _not_covered(
            task, f"a {task.operator_class.__name__} that is expanded", "Put it into a mapped task group."
        )


def _not_covered(task: BaseOperator, what: str, remedy: str) -> NotCoveredError:
    return NotCoveredError(
        f"the task {task.task_id!r} is {what}, which is not covered by penstock's reader of Apache Airflow",
        where=str(task.location),
        remedy=remedy,
    )


def request_inputs(task: HITLOperator) -> Inputs:
    """What the node that puts a request together takes. It results in what is shown, and in nothing else."""
    return inputs_of(task)._replace(pushes=False)


def function_of(task: HITLOperator, part: str | None) -> Callable[..., Any]:
    """The function of one of the nodes of a task that asks."""
    return answered_by(task) if part == ANSWER else attempt_of(task, request_inputs(task))


def answered_by(task: HITLOperator) -> Callable[..., Any]:
    """The function that says what an answer amounts to."""

    def take(answer: Approval) -> Any:
        return task.answered(answer)

    made = cast(Any, take)
    made.__name__ = task.label
    made.__qualname__ = f"{task.dag_id}/{task.task_id}"
    made.__module__ = "" if task.dag is None else task.dag.module
    made.__annotations__ = {}
    made.__signature__ = inspect.Signature([inspect.Parameter("answer", inspect.Parameter.KEYWORD_ONLY)])
    made.location = task.location
    return made


# The question.


def _action(task: HITLOperator) -> ApprovalAction:
    # 0 is no limit either, as in Airflow
    deadline = task.response_timeout.total_seconds() if task.response_timeout else None
    default = None if deadline is None else cast(Any, "approve" if task.default_answer else "reject")
    question = task.subject if isinstance(cast(Any, task.subject), str) and task.subject.strip() else task.task_id
    return ApprovalAction(question, task.location, _form(task, late=default == "approve"), deadline, default, "return")


def _form(task: HITLOperator, late: bool) -> tuple[Field, ...]:
    """What is to be filled in. Where nobody may come to answer, nothing has to be."""
    form: dict[str, Any] = {}
    if not task.is_yes_or_no and (len(task.options) > 1 or task.multiple):
        one: Any = Literal[tuple(task.options)]  # type: ignore[valid-type]
        kind: Any = list[one] if task.multiple else one
        known = task.defaults or ()
        form[CHOSEN] = kind if not known else (kind, list(known) if task.multiple else known[0])
    params = cast(ParamsDict, task.params)
    about = {name: params.get_param(name) for name in params}
    for name, param in about.items():
        kind = annotation_of(param)
        form[name] = (kind, param.value) if param.has_value else (kind | None, None) if late else kind
    return tuple(_described(field, about) for field in fields_of(form))


def _described(field: Field, about: Mapping[str, Any]) -> Field:
    param = about.get(field.name)
    text = "" if param is None else param.description or param.schema.get("title") or ""
    return msgspec.structs.replace(field, description=str(text))


__all__ = ["ANSWER", "Asked", "answered_by", "ask", "function_of", "refuse_mapped", "request_inputs"]
