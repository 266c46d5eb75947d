"""Questions that a run has put to people: those that are open, and how others were answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from penstock.kernel import NodeProgress, Phase, RunProgress
from penstock.model.action import ApprovalAction, Field
from penstock.model.expression import Constant, Expression, Input, Item, Output, describe
from penstock.model.outcome import Approval
from penstock.model.request import AnswerGiven, Request
from penstock.model.run import timestamp
from penstock.model.value import Argument, Artifact
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.reading.argument_documents import argument_type, plain_value
from penstock.values import Values


class Question(NamedTuple):
    """A question that is open."""

    #: what to call it in an answer: `sign_off`, `sign_off[rf]`, `fold[3]/sign_off`
    id: str
    action: ApprovalAction
    #: seconds since the epoch
    asked_at: float
    progress: NodeProgress
    item: int

    @property
    def deadline_at(self) -> float | None:
        """When it is too late to answer, in seconds since the epoch; None if never."""
        return None if self.action.deadline is None else self.asked_at + self.action.deadline


def open_questions(run: RunProgress, ledger: Ledger) -> list[Question]:
    """The questions of a run that wait for an answer, in the order in which they were put."""
    return list(_open(run, ledger))


def _open(run: RunProgress, ledger: Ledger) -> Iterator[Question]:
    for (node, item), asked in ledger.asked.items():
        progress = run.nodes[node]
        action = run.tasks[progress.node.task].action
        if progress.phase_of(item) is Phase.AWAITING and isinstance(action, ApprovalAction):
            yield Question(progress.cell_id(item), action, asked, progress, item)


def question_document(question: Question, values: Values) -> dict[str, Any]:
    """A question as JSON-able data, with the form that an answer fills in."""
    action, bindings = question.action, question.progress.node.bindings
    return {
        "id": question.id,
        "question": action.question,
        "fields": [_field_document(field) for field in action.fields],
        "inputs": {name: _shown(source, question.progress, question.item, values) for name, source in bindings.items()},
        "asked_at": timestamp(question.asked_at),
        "deadline_at": None if question.deadline_at is None else timestamp(question.deadline_at),
        "default": action.default,
        "on_reject": action.on_reject,
        "where": str(action.location),
    }


def _field_document(field: Field) -> dict[str, Any]:
    document: dict[str, Any] = {"name": field.name, "type": field.type, "required": field.required}
    if not field.required:
        document["default"] = field.default
    if field.description:
        document["description"] = field.description
    return document


def _shown(source: Expression, progress: NodeProgress, item: int, values: Values) -> Any:
    """What an input is: its value where that is small and known, else what it is, or where it comes from."""
    frame, each = progress.frame, progress.node.each
    if isinstance(source, Constant):
        return source.value
    if isinstance(source, Input) and frame.owner is not None and frame.turn == 0:
        given = frame.owner.node.bindings.get(source.name)
        return describe(source) if given is None else _shown(given, frame.owner, frame.item, values)
    if isinstance(source, Item) and each is not None and each.mode == "zip":
        over = each.over[source.name]
        if isinstance(over, Constant) and isinstance(over.value, (list, tuple, range)):
            return cast("Sequence[Any]", over.value)[item]
    if isinstance(source, Output) and source.port is None:
        outputs = frame.nodes[source.node].outputs
        if outputs is not None and len(outputs) == 1:
            shown, value = plain_value(outputs[0], values)
            return value if shown else argument_type(outputs[0])
    return describe(source)


def approval_document(
    name: str, outputs: tuple[Argument, ...], asked: Iterable[tuple[int, Request]], values: Values
) -> dict[str, Any] | None:
    """How a question was answered, by whom and when; None where nobody has."""
    if len(outputs) == 1 and isinstance(outputs[0], Artifact):
        approval = values.load(outputs[0])
        if isinstance(approval, Approval):
            return _answer_document(
                approval.approved, approval.by, approval.at.timestamp(), approval.why, approval.values
            )
    for _, request in asked:
        if isinstance(request, AnswerGiven) and request.node == name:
            return _answer_document(request.approved, request.by, request.at, request.why, request.values)
    return None


def _answer_document(approved: bool, by: str, at: float, why: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"approved": approved, "by": by, "at": timestamp(at), "why": why, "values": dict(values)}


__all__ = ["Question", "approval_document", "open_questions", "question_document"]
