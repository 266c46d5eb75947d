"""Files of automations, as `prefect automation create --from-file` takes them: YAML, or JSON, which is YAML as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.dialects import Maker, Reading
from penstock.dialects.foreign import made
from penstock.dialects.prefect.automating import automated, known_of, notes_of
from penstock.dialects.prefect.automations import Automation
from penstock.dialects.prefect.names import id_of
from penstock.errors import DefinitionError
from penstock.model.place import Location

#: the attribute of a module that stands for a file of automations
_AUTOMATIONS = "__prefect_automations__"
_KEYS = re.compile(
    r"""["']?\btrigger["']?\s*:.*["']?\bactions["']?\s*:|["']?\bactions["']?\s*:.*["']?\btrigger["']?\s*:""", re.DOTALL
)
_KINDS = re.compile(
    r"""["']?type["']?\s*:\s*["']?(do-nothing|(run|pause|resume)-deployment|(pause|resume)-(automation|work-pool|work-queue)|"""
    r"""(cancel|delete|suspend|resume)-flow-run|change-flow-run-state|send-notification|call-webhook|declare-incident)\b"""
)
#: what a server adds to them
_ADDED = ("id", "created", "updated", "account", "workspace", "actor", "labels")


def claims(text: str) -> bool:
    """Whether a file of data is one of Prefect's automations."""
    return _KINDS.search(text) is not None and _KEYS.search(text) is not None


def execute(module: ModuleType) -> None:
    """Load a file of automations. Raises DefinitionError."""
    file = Path(str(module.__file__))
    found: list[Automation] = []
    for line, entry in _entries(file):
        where = Location(str(file), line)
        try:
            made_here = Automation(**{name: each for name, each in entry.items() if name not in _ADDED})
        except DefinitionError as error:
            raise type(error)(error.what, where=str(where), remedy=error.remedy) from None
        made_here.id, made_here.created = id_of("automation", made_here.name), True
        _place(made_here, where)
        made(made_here)
        found.append(made_here)
    vars(module)[_AUTOMATIONS] = found


def _place(automation: Automation, where: Location) -> None:
    parts: list[Any] = [automation, automation.trigger, *automation.actions, *automation.actions_on_trigger]
    for each in parts:
        each.location = where
        parts += getattr(each, "triggers", ())


def read_automations(module: ModuleType, make: Maker) -> Reading | None:
    """What a file of automations defines; None for any other module."""
    found = cast("list[Automation] | None", vars(module).get(_AUTOMATIONS))
    if found is None:
        return None
    others = automated(module, known_of(found, ()), {}, {}, make, tuple(notes_of(found)))
    return Reading(others.pipelines, others.triggers)


def _entries(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The automations in a file, each with its line."""
    import yaml

    text = file.read_text()
    try:
        tree: Any = cast(Any, yaml).compose(text)
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DefinitionError(f"{file} is no YAML: {error}") from None
    if isinstance(content, dict) and "automations" in content:
        content = cast("dict[str, Any]", content)["automations"]
        tree = next(value for key, value in tree.value if key.value == "automations")
    several: list[Any] = cast("list[Any]", content) if isinstance(content, list) else [content]
    nodes = tree.value if isinstance(content, list) else [tree]
    for node, entry in zip(nodes, several, strict=True):
        yield node.start_mark.line + 1, entry


__all__ = ["claims", "execute", "read_automations"]
