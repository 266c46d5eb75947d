"""Pauses: a flow that waits for a person is an approval."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from penstock.authoring.ref import Ref, value_of
from penstock.authoring.tasks.approvals import approval
from penstock.dialects.prefect.blocks import Fields
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import current_session, either_way, end_of
from penstock.errors import DefinitionError

#: seconds that Prefect waits
_PATIENCE = 3600.0
_MISSING: Any = object()


class RunInput(Fields):
    """What a person fills in: the annotated fields of a class."""

    @classmethod
    def with_initial_data(cls, description: str | None = None, **defaults: Any) -> Any:
        """The same, with other defaults, and a text for the person."""
        return _Asked(cls, description, defaults)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A class that is to be filled in, with what is known already."""

    kind: Any
    description: str | None
    defaults: dict[str, Any]


def pause_flow_run(
    wait_for_input: Any = None, timeout: float | None = _PATIENCE, poll_interval: int = 10, key: str | None = None
) -> Any:
    """Wait for a person. Gives what was filled in; the flow fails where nobody answers in time, or the answer is no."""
    return either_way(lambda: _paused(wait_for_input, timeout, key or "pause"))


def suspend_flow_run(
    wait_for_input: Any = None, flow_run_id: Any = None, timeout: float | None = _PATIENCE, key: str | None = None
) -> Any:
    """The same as `pause_flow_run`: a run that waits for a person uses nothing meanwhile."""
    if flow_run_id is not None:
        raise not_covered("suspending another run")
    return either_way(lambda: _paused(wait_for_input, timeout, key or "suspend"))


def _paused(wanted: Any, timeout: float | None, name: str) -> Any:
    session = current_session()
    if session is None:
        raise DefinitionError("a run is paused in its flow, and not in a task")
    asked = wanted if isinstance(wanted, _Asked) else _Asked(wanted, None, {})
    question = asked.description or f"Go on with {session.flow.name}?"
    form = _form(asked)
    made = cast(Any, approval(question, name=name, form=form, deadline=timeout, on_reject="fail", after=session.latest))
    answer: Ref = made()
    if wanted is None:
        if session.lazy:
            session.latest = (answer,)
        else:
            end_of(answer)
        return None
    try:
        values = value_of(answer).values
    finally:
        session.latest = ()
    return _filled(asked.kind, values)


def _form(asked: _Asked) -> dict[str, Any] | None:
    kind: Any = asked.kind
    if kind is None:
        return None
    defaults: dict[str, Any]
    hints: dict[str, Any]
    if isinstance(kind, type) and issubclass(cast("type[Any]", kind), Fields):
        defaults, hints = {**cast("Any", kind).fields(), **asked.defaults}, cast("Any", kind).hints()
    elif hasattr(kind, "model_fields"):
        fields: dict[str, Any] = cast("Any", kind).model_fields
        hints = {name: each.annotation for name, each in fields.items()}
        known = {name: each.default for name, each in fields.items() if not each.is_required()}
        defaults = {**dict.fromkeys(fields, _MISSING), **known, **asked.defaults}
    else:
        return {"value": kind}
    return {name: hint if _is_missing(defaults[name]) else (hint, defaults[name]) for name, hint in hints.items()}


def _is_missing(default: Any) -> bool:
    return type(default) is object


def _filled(kind: Any, values: Any) -> Any:
    return kind(**values) if hasattr(kind, "fields") or hasattr(kind, "model_fields") else values["value"]


def resume_flow_run(*_: Any, **__: Any) -> None:
    raise not_covered("resume_flow_run()", "Answer with `penstock approve RUN`.")


pause_flow_run.composes = True  # type: ignore[attr-defined]
suspend_flow_run.composes = True  # type: ignore[attr-defined]

__all__ = ["RunInput", "pause_flow_run", "resume_flow_run", "suspend_flow_run"]
