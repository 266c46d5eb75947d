"""Automations of their own: what is done once events have come, or have not."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from penstock.dialects.foreign import loading, made_so_far
from penstock.dialects.prefect.actions import actions_of
from penstock.dialects.prefect.declared import Declared
from penstock.dialects.prefect.deployments import gathered_so_far, gathering, noted
from penstock.dialects.prefect.event_triggers import trigger_of
from penstock.dialects.prefect.names import id_of
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import either_way
from penstock.errors import DefinitionError


class Automation(Declared):
    """A trigger, and the actions that it leads to. It is there once its file is registered."""

    name: str
    description: str = ""
    enabled: bool = True
    tags: Any = None
    trigger: Any
    actions: Any
    actions_on_trigger: Any = None
    actions_on_resolve: Any = None
    owner_resource: Any = None
    id: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.trigger = trigger_of(self.trigger)
        for name in ("actions", "actions_on_trigger", "actions_on_resolve"):
            setattr(self, name, actions_of(getattr(self, name)))
        self.tags = list(self.tags or ())
        #: whether it is one that is to be there, and not only written down
        self.created = False
        noted(self)

    def _created(self) -> Self:
        self._check("create")
        self.id, self.created = id_of("automation", self.name), True
        return self

    def create(self, **options: Any) -> Any:
        """Let it be there."""
        return either_way(self._created, options)

    def update(self, **options: Any) -> Any:
        """Take it as it has been changed."""
        return either_way(lambda: self._check("update"), options)

    def _deleted(self) -> bool:
        self._check("delete")
        self.created = False
        return True

    def delete(self, **options: Any) -> Any:
        """Let it not be there any more."""
        return either_way(self._deleted, options)

    def _switched(self, enabled: bool) -> bool:
        self._check("enable" if enabled else "disable")
        self.enabled = enabled
        return True

    def enable(self, **options: Any) -> Any:
        """Switch it on."""
        return either_way(lambda: self._switched(True), options)

    def disable(self, **options: Any) -> Any:
        """Switch it off."""
        return either_way(lambda: self._switched(False), options)

    acreate, aupdate, adelete, aenable, adisable = create, update, delete, enable, disable

    @classmethod
    def read(cls, id: Any = None, name: str | None = None, **options: Any) -> Any:
        """One that the file has created, by its id or its name. Raises NotCoveredError for any other."""
        if (id is None) == (name is None):
            raise DefinitionError("Automation.read() takes an id or a name")
        return either_way(lambda: found_by(id, name), options)

    aread = read

    def _check(self, what: str) -> None:
        if not (loading() or gathering()):
            raise at_run_time(f"Automation.{what}() while a flow runs")


class AutomationCore(Automation):
    """Prefect's name for one that a client creates."""


def found_by(id: UUID | str | None = None, name: str | None = None) -> Automation:
    """The automation of a name or an id that the file has created until now. Raises NotCoveredError."""
    if not (loading() or gathering()):
        raise at_run_time("Automation.read() while a flow runs")
    known = [each for each in (*made_so_far(), *gathered_so_far()) if isinstance(each, Automation) and each.created]
    found = next((each for each in known if each.name == name or str(each.id) == str(id)), None)
    if found is None:
        raise not_covered(
            f"the automation {name or id}, which this file does not create,",
            "Triggers that are registered are switched with `penstock triggers enable` and `disable`.",
        )
    return found


def at_run_time(what: str) -> Exception:
    return not_covered(what, "Write it at the top level of a file, and register that: penstock register FILE.")


__all__ = ["Automation", "AutomationCore", "at_run_time", "found_by"]
