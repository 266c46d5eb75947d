"""Templates of Prefect's over events: in parameters, as penstock's places; in messages, as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from penstock.dialects.prefect.noting import not_covered
from penstock.errors import DefinitionError
from penstock.model.place import Location

#: a place for a part of an event, of its run or of the flow of that, alone in braces
_PLACE = re.compile(
    r"""\{\{\s*(event|flow_run|flow)((?:\.\w+|\[\s*(?:'[^']*'|"[^"]*")\s*\])*)\s*(?:\|\s*tojson\s*)?\}\}"""
)
_STEP = re.compile(r"""\.(\w+)|\[\s*['"]([^'"]*)['"]\s*\]""")
_FIELDS = {"id": "id", "event": "type", "occurred": "at"}
#: what a place that begins so stands for, and whether more may follow: of events of the user's own, and of ends of runs
_PLACES: Mapping[tuple[str, ...], tuple[str, bool]] = {
    ("event", "payload"): ("data", True),
    ("event", "resource", "id"): ("subject", False),
    ("event", "resource", "prefect.resource.id"): ("subject", False),
    ("event", "resource"): ("data.prefect.labels", True),
    ("flow_run", "id"): ("data.prefect.run_id", False),
    **{("event", name): (field, False) for name, field in _FIELDS.items()},
}
_OF_RUNS: Mapping[tuple[str, ...], tuple[str, bool]] = {
    ("flow_run", "id"): ("data.run_id", False),
    ("flow_run", "name"): ("data.run_id", False),
    ("flow_run", "parameters"): ("data.parameters", True),
    ("flow_run", "tags"): ("data.tags", False),
    ("flow", "name"): ("data.pipeline", False),
    **{("event", name): (field, False) for name, field in _FIELDS.items()},
}
#: what a message may take, and what any part of may be taken
_TAKEN = (
    *("event.id", "event.event", "event.occurred", "event.payload.*", "event.resource.*", "event.related"),
    *("flow_run.id", "flow_run.name", "flow_run.tags", "flow_run.parameters.*", "flow_run.state_name"),
    *("flow_run.state_type", "flow_run.state.name", "flow_run.state.type", "flow_run.state.message"),
    *("flow.name", "automation.name", "automation.description"),
)


def placed(value: Any, where: Location, *, of_runs: bool = False) -> Any:
    """A value of a parameter with penstock's places, for events of the user's own or for ends of runs. Raises NotCoveredError
    for a template that is anything else."""
    if isinstance(value, Mapping):
        return _placed_kind(cast("Mapping[str, Any]", value), where, of_runs=of_runs)
    if isinstance(value, (list, tuple)):
        return [placed(each, where, of_runs=of_runs) for each in cast("Sequence[Any]", value)]
    if not isinstance(value, str):
        return value
    if "{{" not in value and "{%" not in value:
        return value.replace("{", "{{").replace("}", "}}")
    found: list[str] = []
    at = 0
    for match in _PLACE.finditer(value):
        found += [
            _text(value[at : match.start()], value, where),
            _place(match, where, _OF_RUNS if of_runs else _PLACES),
        ]
        at = match.end()
    return "".join([*found, _text(value[at:], value, where)])


def is_template(value: Any) -> bool:
    """Whether a value takes anything from events."""
    if isinstance(value, Mapping):
        return any(map(is_template, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_template, cast("Sequence[Any]", value)))
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _placed_kind(given: Mapping[str, Any], where: Location, *, of_runs: bool) -> Any:
    """A dict, which says with `__prefect_kind` what is to become of it."""
    kind = given.get("__prefect_kind")
    if "__prefect_kind" not in given:
        return {key: placed(each, where, of_runs=of_runs) for key, each in given.items()}
    if kind not in ("jinja", "json", "none", None):
        raise not_covered(f"a parameter of the kind {kind!r}", "Write {'__prefect_kind': 'jinja', ...}.", where)
    # a place alone takes the value as it is, whatever writes it out
    return placed(given["template" if kind == "jinja" else "value"], where, of_runs=of_runs)


def _text(text: str, whole: str, where: Location) -> str:
    if "{{" in text or "{%" in text:
        raise not_covered(f"the template {whole!r}", 'Take parts of the event: "{{ event.payload.path }}".', where)
    return text.replace("{", "{{").replace("}", "}}")


def _place(found: re.Match[str], where: Location, places: Mapping[tuple[str, ...], tuple[str, bool]]) -> str:
    steps = (found[1], *(step[1] or step[2] for step in _STEP.finditer(found[2])))
    for length in (3, 2):
        known = places.get(steps[:length])
        if known is not None and len(steps) >= length and (known[1] or len(steps) == length):
            further = ".".join(steps[length:]) if known[0].endswith("labels") else None
            rest = "".join(map(_further, steps[length:])) if further is None else f".{further}" * bool(further)
            return f"{{event.{known[0]}{rest}}}"
    names = ", ".join(dict.fromkeys(".".join(each[:2]) for each in places))
    raise not_covered(f"the template {found[0]!r}", f"There are: {names}.", where)


def _further(step: str) -> str:
    return f".{step}" if re.fullmatch(r"\w+", step) else f"[{step}]"


# Messages.


def check_message(text: str, where: Location) -> None:
    """Raise NotCoveredError for a message that takes what is not there, and DefinitionError for one that cannot be read."""
    if "{{" not in text and "{%" not in text:
        return
    nodes = _library("jinja2.nodes")
    environment = _environment()
    try:
        tree = environment.parse(text)
    except _library("jinja2").TemplateSyntaxError as error:
        raise DefinitionError(f"the template {text!r} cannot be read: {error}", where=str(where)) from None
    unknown = next((each.name for each in tree.find_all(nodes.Filter) if each.name not in environment.filters), None)
    if unknown is not None:
        raise not_covered(f"the filter {unknown!r} of a template", "A run is shown by `penstock show RUN`.", where)
    own = {each.name for each in tree.find_all(nodes.Name) if each.ctx == "store"}
    inner = {id(each.node) for each in tree.find_all((nodes.Getattr, nodes.Getitem))}
    for each in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        path = None if id(each) in inner else _path(each, nodes)
        if path is not None and path[0] not in own and not _is_taken(path):
            raise not_covered(f"{{{{ {'.'.join(path)} }}}} in a message", f"There are: {', '.join(_TAKEN)}.", where)


def _path(node: Any, nodes: Any) -> list[str] | None:
    """The names that lead to what is taken; None for what is taken of something that has no name."""
    if isinstance(node, nodes.Name):
        return [node.name]
    inner = _path(node.node, nodes)
    if inner is None:
        return None
    if isinstance(node, nodes.Getattr):
        return [*inner, node.attr]
    return [*inner, str(node.arg.value)] if isinstance(node.arg, nodes.Const) else [*inner, "*"]


def _is_taken(path: Iterable[str]) -> bool:
    text = ".".join(path)
    return any(
        text == each or (each.endswith(".*") and (text == each[:-2] or text.startswith(each[:-1]))) for each in _TAKEN
    )


def rendered(text: str, context: Mapping[str, Any]) -> str:
    """A message, filled in."""
    if "{{" not in text and "{%" not in text:
        return text
    return _environment().from_string(text).render(**context)


def _environment() -> Any:
    library = _library("jinja2.sandbox")
    return library.SandboxedEnvironment(undefined=_library("jinja2").ChainableUndefined)


def _library(name: str) -> Any:
    from penstock.dialects.airflow.extras import needed

    return needed(name, "templates of automations")


__all__ = ["check_message", "is_template", "placed", "rendered"]
