"""Which events start a run: patterns for one event, and conditions over several."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.options.reading import duration, option
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.occurrence import (
    OWN_SOURCE,
    Absence,
    AllOf,
    AnyOf,
    Condition,
    Count,
    Crossing,
    Debounce,
    EachSubject,
    InOrder,
    Pattern,
    Where,
)
from penstock.triggers.conditions import patterns

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition

#: what a field of the data of an event is declared to be
FIELD_TYPES = ("str", "int", "float", "bool", "list", "dict", "any")
_PYTHON: Mapping[Any, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list: "list",
    dict: "dict",
    Any: "any",
}

_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "matches", "not matches", "exists")
_STATES = ("succeeded", "failed", "cancelled", "any")


def event(
    type: str,
    *,
    source: str = "*",
    subject: str = "*",
    where: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    name: str = "event",
) -> Pattern:
    """Events of a type. `type`, `source` and `subject` are shell patterns (`*`, `?`, `[abc]`).

    `where` are conditions on the data, all of which have to hold: `{"status": "done", "size >": 100, "path matches":
    "*.csv", "region in": ["eu", "us"], "label exists": True}`; a dot leads into what is nested (`"metrics.accuracy >="`), a
    number to a place in a list. What is not there meets no condition but `exists: False`. `fields` declares the fields of the
    data with their types, so that templates that use them can be checked. `name` is what templates call the event.

    Raises DefinitionError for what cannot be a type, a condition or a declaration.
    """
    for label, value in (("type", type), ("source", source), ("subject", subject)):
        if not isinstance(value, str) or not value:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _refused(label, "a text, or a shell pattern for texts", value)
    return Pattern(type, source, subject, _where(where), _fields(fields), _name(name))


def all_of(*conditions: Condition, within: Seconds | str | None = None) -> AllOf:
    """All of several conditions have come to hold, in any order; `within` so long of each other by the times of the events,
    if it is given. Of each, what happened last counts. Then all begin anew.

    Raises DefinitionError, also for two events that go by the same name.
    """
    return AllOf(_told_apart("all_of", conditions), _length("within", within))


def in_order(*conditions: Condition, within: Seconds | str | None = None) -> InOrder:
    """All of several conditions have come to hold, in the order in which they are given; `within` so long of each other by the
    times of the events, if it is given. Of each, what happened last counts. Then all begin anew.

    Raises DefinitionError, also for two events that go by the same name.
    """
    return InOrder(_told_apart("in_order", conditions), _length("within", within))


def absence_of(expected: Condition, *, after: Condition, within: Seconds | str) -> Absence:
    """A condition (`after`) has come to hold, and what is expected then has not `within` so long. Templates find the events of
    `after`. One event may be both: `absence_of(beat, after=beat, within="5m")` is a heartbeat that has stopped. Raises
    DefinitionError."""
    expected, after = _conditions("absence_of", (expected, after))
    return Absence(after, expected, option("within", duration, within))


def each_subject(condition: Condition) -> EachSubject:
    """A condition over several events, which all have to be about one subject; it is kept apart for each:
    `each_subject(count_of(run_ends("*", "failed"), 3, within="1h"))` is the third failure of one pipeline. Raises
    DefinitionError."""
    (condition,) = _conditions("each_subject", (condition,))
    return EachSubject(condition)


def any_of(*conditions: Condition) -> AnyOf:
    """One of several conditions has come to hold. Raises DefinitionError."""
    return AnyOf(_conditions("any_of", conditions))


def count_of(condition: Condition, count: int, *, within: Seconds | str | None = None) -> Count:
    """A condition has come to hold `count` times, `within` so long by the times of the events, if it is given. Then the count
    begins anew. Templates find the last event by its name, and all of them as `{events}`. Raises DefinitionError."""
    (condition,) = _conditions("count_of", (condition,))
    if type(count) is not int or count < 1:
        raise _refused("count", "a whole number from 1 up", count)
    return Count(condition, count, _length("within", within))


def debounce(condition: Condition, quiet: Seconds | str, *, longest: Seconds | str | None = None) -> Debounce:
    """A condition has come to hold, and then not again for `quiet`; or it has held again and again for `longest`. Templates
    find the last event by its name. Raises DefinitionError."""
    (condition,) = _conditions("debounce", (condition,))
    found = Debounce(condition, option("quiet", duration, quiet), _length("longest", longest))
    if found.longest is not None and found.longest < found.quiet:
        raise DefinitionError(
            f"longest ({found.longest:g} s) is less than quiet ({found.quiet:g} s)", where=str(caller())
        )
    return found


def run_ends(
    pipeline: Composition[..., Any] | str = "*",
    state: Literal["succeeded", "failed", "cancelled", "any"] = "succeeded",
    *,
    where: Mapping[str, Any] | None = None,
    name: str = "event",
) -> Pattern:
    """A run of a pipeline (or of one whose name fits a shell pattern) has ended, in one way or in any. The data of the event:
    `run_id`, `pipeline`, `state`, `tags`, `outputs`, `metrics`, `artifacts`, `parameters`. Raises DefinitionError."""
    if state not in _STATES:
        raise _refused("state", ", ".join(f'"{each}"' for each in _STATES), state)
    ended = "run.*" if state == "any" else f"run.{state}"
    subject = pipeline_name(pipeline)
    return Pattern(ended, f"{OWN_SOURCE}/run/*", subject, _where(where), None, _name(name))


def artifact_made(artifact: str, *, pipeline: Composition[..., Any] | str = "*", name: str = "event") -> Pattern:
    """A run has succeeded that made an artifact of a name (`current().log_artifact`). The data of the event is
    that of `run_ends`. Raises DefinitionError."""
    return run_ends(pipeline, where={"artifacts matches": _plain("artifact", artifact)}, name=name)


def model_promoted(model: str = "*", *, stage: str = "*", name: str = "event") -> Pattern:
    """A version of a model was promoted to a stage. The data of the event: `model`, `version`, `stage`. Raises
    DefinitionError."""
    where = None if stage == "*" else {"stage matches": _plain("stage", stage)}
    return Pattern("model.promoted", "*", _plain("model", model), _where(where), None, _name(name))


def metric_crosses(
    metric: str,
    *,
    above: float | None = None,
    below: float | None = None,
    pipeline: Composition[..., Any] | str = "*",
    name: str = "event",
) -> Crossing:
    """A metric of a run that succeeded has come to lie above a line, or below one: in the last run of the same pipeline that
    had the metric it did not, or there was none. The data of the event is that of `run_ends`. Raises DefinitionError."""
    lines = {label: value for label, value in (("above", above), ("below", below)) if value is not None}
    if len(lines) != 1:
        raise DefinitionError(
            "metric_crosses() needs one line, above or below",
            where=str(caller()),
            remedy=f'Write metric_crosses("{metric}", above=0.9). For two lines, combine two with any_of().',
        )
    for label, value in lines.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise _refused(label, "a number", value)
    return Crossing(
        run_ends(pipeline, name=name),
        ("metrics", _plain("metric", metric)),
        None if above is None else float(above),
        None if below is None else float(below),
    )


def asset_updated(asset: Any = "*", *, partition: str = "*", name: str = "event") -> Pattern:
    """A new version of an asset (or of one whose name fits a shell pattern) was recorded, or of a partition of it. The data of
    the event: `asset`, `partition`, `version`, `run_id`, `digest`. Raises DefinitionError."""
    known = asset if isinstance(asset, str) else getattr(asset, "name", None)
    where = None if partition == "*" else {"partition matches": _plain("partition", partition)}
    subject = _plain("asset", known)
    return Pattern("asset.materialized", f"{OWN_SOURCE}/asset/*", subject, _where(where), None, _name(name))


def pipeline_name(pipeline: Any) -> str:
    """The name of a pipeline that is given as itself or by its name. Raises DefinitionError."""
    from penstock.authoring.pipeline import Composition

    if isinstance(pipeline, Composition):
        return cast("Composition[..., Any]", pipeline).name
    return _plain("pipeline", pipeline)


def _conditions(called: str, conditions: tuple[Any, ...]) -> tuple[Condition, ...]:
    if not conditions:
        raise DefinitionError(f"{called}() needs a condition", where=str(caller()))
    for each in conditions:
        if not isinstance(each, Condition):
            raise DefinitionError(
                f"{called}() takes conditions over events, not {shortened(repr(each))}",
                where=str(caller()),
                remedy='Write event("type") for the events of a type; schedules and files have triggers of their own.',
            )
    return conditions


def _told_apart(called: str, conditions: tuple[Any, ...]) -> tuple[Condition, ...]:
    """Conditions whose events go by names of their own. Raises DefinitionError."""
    found = _conditions(called, conditions)
    names = [name for part in found for name in dict.fromkeys(each.name for each in patterns(part))]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DefinitionError(
            f"two of the events of {called}() go by the name {twice!r}",
            where=str(caller()),
            remedy='Name them, so that templates can tell them apart: event("upload.done", name="upload").',
        )
    return found


def _length(name: str, value: Any) -> float | None:
    return None if value is None else option(name, duration, value)


def _plain(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _refused(name, "a name, or a shell pattern for names", value)
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier() or value == "events":
        raise _refused("name", "an identifier other than `events`", value)
    return value


def _fields(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _refused("fields", "a dict from names to types", given)
    found: dict[str, str] = {}
    for name, kind in cast("Mapping[Any, Any]", given).items():
        written = kind if kind in FIELD_TYPES else _PYTHON.get(kind)
        if not isinstance(name, str) or written is None:
            raise DefinitionError(
                f"the field {name!r} is declared as {kind!r}, which is no type of a field",
                where=str(caller()),
                remedy=f"The types are: {', '.join(FIELD_TYPES)}.",
            )
        found[name] = written
    return found


def _where(given: Any) -> tuple[Where, ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise _refused("where", 'a dict such as {"size >": 100}', given)
    return tuple(_condition(key, value) for key, value in cast("Mapping[Any, Any]", given).items())


def _condition(key: Any, value: Any) -> Where:
    text = key.strip() if isinstance(key, str) else ""
    path, _, operator = text.partition(" ")
    operator = operator.strip() or "=="
    steps = re.split(r"\.", path)
    if not all(steps):
        raise _refused("a key of where", 'a path, and an operator if it is not "==": "metrics.accuracy >"', key)
    if operator not in _OPERATORS:
        raise DefinitionError(
            f"where has no operator {operator!r}{nearest(operator, _OPERATORS)} (in {key!r})",
            where=str(caller()),
            remedy=f"The operators are: {' '.join(_OPERATORS)}.",
        )
    found = _value(operator, key, value)
    return Where(tuple(int(step) if step.isdigit() else step for step in steps), cast(Any, operator), found)


def _value(operator: str, key: Any, value: Any) -> Any:
    """What an operator compares with. Raises DefinitionError."""
    wanted = ""
    if operator == "in":
        wanted = "" if isinstance(value, (list, tuple, set, frozenset)) else "a list of values"
    elif operator == "exists":
        wanted = "" if type(value) is bool else "true or false"
    elif operator in ("matches", "not matches"):
        wanted = "" if isinstance(value, str) else "a shell pattern"
    elif operator not in ("==", "!="):
        wanted = "" if type(value) in (int, float, str) else "a number or a text"
    if not wanted:
        found = list(cast("Iterable[Any]", value)) if operator == "in" else cast(Any, value)
        if is_data(found):
            return found
        wanted = "what JSON can hold"
    raise _refused(repr(key), wanted, value)


def is_data(value: Any) -> bool:
    """Whether JSON can hold a value, and gives it back as it is."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value)) == value
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return False


def _refused(name: str, wanted: str, value: Any) -> DefinitionError:
    return DefinitionError(f"{name} must be {wanted}, not {shortened(repr(value))}", where=str(caller()))
