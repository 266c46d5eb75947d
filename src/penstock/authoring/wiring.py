"""Whether what is passed to a task can be what the task takes, as far as that can be told before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.kinds.outputs import type_text
from penstock.authoring.ref import Ref, outputs_of
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError
from penstock.secrets import Secret

if TYPE_CHECKING:
    from penstock.authoring.task import Task

#: builtin classes whose values are told apart without doubt
_PLAIN = frozenset({int, float, complex, bool, str, bytes, list, tuple, dict, set})
#: what makes a value pass for a number: an int may stand for a float (PEP 484), and so may numbers of numpy
_NUMERIC = {int: "__index__", float: "__float__", complex: "__float__"}


def check_wiring(task: Task[..., Any], arguments: Iterable[tuple[str, Any]]) -> None:
    """Raise DefinitionError where an argument (name, value) can never be of the declared type.

    Only plain classes are compared, and only where neither is a subclass of the other; all else is left to the type
    checker and to the task itself.
    """
    annotations = task.annotations
    for name, value in arguments:
        wanted = annotations.get(name)
        if not isinstance(wanted, type):
            continue
        if wanted is Secret and isinstance(value, str):
            raise DefinitionError(
                f"{task.name}() takes {name}: Secret, and is given a text, which would be recorded",
                where=str(caller()),
                remedy=f'Name where the secret is: {task.name}({name}=Secret("env:NAME")).',
            )
        given = _class_of(value)
        if given is not None and given is not wanted and _contradict(given, wanted):
            what = f"a value of type {type_text(given)}" if isinstance(value, Ref) else repr(value)
            raise DefinitionError(
                f"{task.name}() takes {name}: {type_text(wanted)}, and is given {what}",
                where=str(caller()),
                remedy=f"{task.name} is defined at {location_of(task.function)}.",
            )


def _class_of(value: Any) -> Any:
    """The class of a value, or of the one that a ref stands for, as far as it counts here; None where it does not."""
    if isinstance(value, Ref):
        annotation = None if (outputs := outputs_of(value)) is None else outputs.annotation
        return annotation if isinstance(annotation, type) else None
    kind = cast(Any, type(value))
    return kind if kind in _PLAIN else None


def _contradict(given: type, wanted: type) -> bool:
    if wanted in _NUMERIC and hasattr(given, _NUMERIC[wanted]):
        return False
    return given not in (object, Any) and _concrete(given) and _concrete(wanted) and not _related(given, wanted)


def _concrete(kind: type) -> bool:
    """Whether instances of unrelated classes can never pass for this one (no protocol, no abstract class)."""
    return kind in _PLAIN or (
        kind.__module__ != "typing" and type(kind) is type and not getattr(kind, "_is_protocol", False)
    )


def _related(one: type, other: type) -> bool:
    return issubclass(one, other) or issubclass(other, one)
