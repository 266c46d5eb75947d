"""Approvals: the run asks a person, and waits for the answer without using anything."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import typing
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NoReturn, cast
from uuid import UUID

from penstock.authoring.building import required_building
from penstock.authoring.decorated import Uncalled, check_name
from penstock.authoring.kinds.annotations import kind_of
from penstock.authoring.kinds.conversion import Form, Mismatch, listed, nearest, shortened
from penstock.authoring.kinds.outputs import RESULT
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.options.policy import Refused, Seconds, seconds
from penstock.authoring.placing import Placing
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.errors import DefinitionError, ParameterError
from penstock.model.action import ApprovalAction, Field
from penstock.model.graph import Port
from penstock.model.graph import Task as TaskNoun
from penstock.model.outcome import Approval


def approval(
    question: str,
    *,
    name: str = "approval",
    form: type | Mapping[str, Any] | None = None,
    deadline: Seconds | None = None,
    default: Literal["approve", "reject"] | None = None,
    on_reject: Literal["skip", "fail", "return"] = "skip",
    after: Any = (),
    join: Any = None,
) -> Asking:
    """Ask a person, and go on when the answer is there.

    What this returns is called with what is to be shown with the question, by name, and gives a ref to the `Approval`:
    `approval("Ship it?", form={"traffic": float})(model=model)`. `form` says what is to be filled in: a dataclass, or a
    dict of types (or of `(type, default)`). Unless there is an answer by the `deadline` (seconds or a timedelta from
    when the question was put), `default` is it; without one, the node fails. A rejection skips the node and what depends
    on it, or fails it, or is returned like any other answer, as `on_reject` says.

    Meanwhile the run uses nothing: where only approvals are left, it is paused until `penstock approve`. Raises
    DefinitionError for a form with types that a person cannot fill in, and for one with a field that has no default, where
    `default` approves.
    """
    if not isinstance(question, str) or not question.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"an approval needs a question, not {shortened(repr(question))}", where=str(caller()))
    if default not in (None, "approve", "reject"):
        raise DefinitionError(f'default must be "approve" or "reject", not {default!r}', where=str(caller()))
    if on_reject not in ("skip", "fail", "return"):
        raise DefinitionError(f'on_reject must be "skip", "fail" or "return", not {on_reject!r}', where=str(caller()))
    if default is not None and deadline is None:
        raise DefinitionError(
            "default is the answer once the deadline has passed, and there is no deadline",
            where=str(caller()),
            remedy="Give a deadline in seconds, or as a timedelta.",
        )
    check_name(name)
    fields = fields_of(form)
    if default == "approve":
        _check_filled(fields)
    action = ApprovalAction(question, caller(), fields, _deadline(deadline), default, on_reject)
    options = {"after": after} if join is None else {"after": after, "join": join}
    return Asking(action, name, Placing().changed(options))


def _check_filled(fields: Iterable[Field]) -> None:
    """Raise DefinitionError for fields that would have no value where nobody answers."""
    empty = [field.name for field in fields if field.required]
    if empty:
        raise DefinitionError(
            f"who does not answer by the deadline approves, and then {', '.join(empty)} would have no value",
            where=str(caller()),
            remedy=f'Give it a default, form={{"{empty[0]}": (type, value)}}, or take "reject" as the default.',
        )


def _deadline(value: Any) -> float | None:
    try:
        found = None if value is None else seconds(value)
    except Refused as refusal:
        raise DefinitionError(f"deadline must be {refusal}, not {value!r}", where=str(caller())) from None
    if found == 0:
        raise DefinitionError("deadline must be above 0", where=str(caller()))
    return found


class Asking(Uncalled):
    """An approval, without what is to be shown with it. See `approval`."""

    written = "approval(...)"

    def __init__(self, action: ApprovalAction, name: str, placing: Placing) -> None:
        self._action = action
        self._name = name
        self._placing = placing

    def __call__(self, **shown: Any) -> Approval:
        """Add the node. `shown` are refs and values that the person sees with the question."""
        building = required_building("approval", "; in plain code, ask with input()")
        asked = _Question(self._action, self._name, list(shown))
        return building.call(asked, self._placing, shown)  # pyright: ignore[reportReturnType]


class _Question(Task[..., Approval]):
    """A task that is a question, with the inputs that are shown."""

    def __init__(self, action: ApprovalAction, name: str, shown: list[str]) -> None:
        super().__init__(functools.partial(_unanswered), name, {"cache": False})
        self._action = action
        self._shown = shown

    @functools.cached_property
    def shape(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self._shown])

    @functools.cached_property
    def noun(self) -> TaskNoun:
        ports = tuple(Port(name) for name in self._shown)
        output = (Port(RESULT, "penstock.Approval"),)
        return TaskNoun(self.name, self._action, ports, output, description=self._action.question)


def _unanswered(**_: Any) -> NoReturn:
    raise DefinitionError("an approval is only asked in a run", remedy="Run the pipeline that it is in.")


# Forms.


def fields_of(form: Any) -> tuple[Field, ...]:
    """The fields of a form: a dataclass, or a dict of types, or of `(type, default)`. Raises DefinitionError for types that a
    person cannot fill in."""
    if form is None:
        return ()
    if isinstance(form, type) and dataclasses.is_dataclass(form):
        hints = typing.get_type_hints(form)
        return tuple(_field_of(field, hints.get(field.name, Any)) for field in dataclasses.fields(form) if field.init)
    if not isinstance(form, Mapping):
        raise DefinitionError(
            f"a form is a dataclass or a dict of types, not {shortened(repr(cast(Any, form)))}",
            where=str(caller()),
            remedy='Write form={"traffic": float, "note": (str, "")}.',
        )
    found: list[Field] = []
    for name, given in cast(Mapping[str, Any], form).items():
        annotation, *default = cast("tuple[Any, ...]", given) if isinstance(given, tuple) else (given,)
        found.append(_field(name, annotation, not default, default[0] if default else None))
    return tuple(found)


def _field_of(field: dataclasses.Field[Any], annotation: Any) -> Field:
    default: Any = None
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if not required:
        default = field.default if field.default is not dataclasses.MISSING else cast(Any, field).default_factory()
    return _field(field.name, annotation, required, default)


def _field(name: str, annotation: Any, required: bool, default: Any) -> Field:
    try:
        text = kind_of(annotation).name
        kind = kind_of(_annotation(text))
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            f"{name} is of a type that a person cannot fill in: {shortened(str(annotation))} ({error})",
            where=str(caller()),
            remedy="Use int, float, str, bool, a date or a time, Literal[...], or lists and dicts of these.",
        ) from None
    if not required:
        try:
            kind.read(default, Form.OBJECT)
        except Mismatch as mismatch:
            raise DefinitionError(
                f"the default of {name} is not of its type: {mismatch.problems[0].text}", where=str(caller())
            ) from None
    return Field(name, text, required, to_json(default))


_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, list, dict, tuple, set, frozenset)},
    **{kind.__name__: kind for kind in (date, datetime, time, timedelta, Decimal, UUID, Path)},
    "Any": Any,
    "None": None,
    "Literal": Literal,
}


def _annotation(text: str) -> Any:
    """The annotation that a text stands for, of the types that a person can fill in. Raises ValueError for others."""
    try:
        return _type_of(ast.parse(text, mode="eval").body)
    except SyntaxError:
        raise ValueError(f"{text} is no type") from None


def _type_of(node: ast.expr) -> Any:
    match node:
        case ast.Name(name) if name in _NAMES:
            return _NAMES[name]
        case ast.Constant(value):
            return value
        case ast.Subscript(ast.Name("Literal"), choice):
            values = choice.elts if isinstance(choice, ast.Tuple) else [choice]
            return cast(Any, Literal)[tuple(ast.literal_eval(value) for value in values)]
        case ast.Subscript(of, ast.Tuple(elts)):
            return _type_of(of)[tuple(_type_of(element) for element in elts)]
        case ast.Subscript(of, element):
            return _type_of(of)[_type_of(element)]
        case ast.BinOp(left, ast.BitOr(), right):
            return cast(Any, typing.Union)[_type_of(left), _type_of(right)]
        case _:
            raise ValueError(f"{ast.unparse(node)} is no type that can be filled in")


def check_answer(action: ApprovalAction, values: Mapping[str, Any], *, texts: bool = False) -> dict[str, Any]:
    """What was filled in, of the types that were asked for, with the defaults for what was not.

    With `texts`, the values are as typed by a person; else they are objects or data. Raises one ParameterError that
    names everything that is unknown, missing or of the wrong type.
    """
    fields = {field.name: field for field in action.fields}
    faults = [f"{name}: there is no such field{nearest(name, fields)}" for name in values if name not in fields]
    found: dict[str, Any] = {}
    for name, field in fields.items():
        kind = kind_of(_annotation(field.type))
        if name not in values and field.required:
            faults.append(f"{name}: missing; it takes {kind.words}")
            continue
        given, form = (
            (values[name], Form.TEXT if texts else Form.OBJECT) if name in values else (field.default, Form.DATA)
        )
        try:
            found[name] = kind.read(given, form)
        except Mismatch as mismatch:
            faults += [f"{name}{path}: {text}" for path, text in mismatch.problems]
    if faults:
        asked = ", ".join(f"{field.name}: {field.type}" for field in action.fields) or "nothing"
        raise ParameterError(
            listed(faults, "the answer"),
            where=str(action.location),
            remedy=f"The question asks for {asked}.",
        )
    return found
