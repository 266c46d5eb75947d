"""Plugins: what they bring besides timetables and strategies has no effect here."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from penstock.authoring.source import caller
from penstock.dialects.foreign import made, made_in
from penstock.model.graph import Ignored
from penstock.model.place import Location

_PAGES: Final = "Airflow's own pages are not served here"
#: what else a plugin may bring -> why it has no effect
_WITHOUT_EFFECT: Final = {
    "macros": "templates have the macros of Airflow, and those of user_defined_macros",
    **dict.fromkeys(
        (
            "admin_views",
            "flask_blueprints",
            "fastapi_apps",
            "fastapi_root_middlewares",
            "external_views",
            "react_apps",
            "menu_links",
            "appbuilder_views",
            "appbuilder_menu_items",
            "global_operator_extra_links",
            "operator_extra_links",
        ),
        _PAGES,
    ),
    "listeners": "runs tell of themselves by the hooks and events of penstock",
    "hook_lineage_readers": "penstock records itself what runs have read and made",
    "deadline_references": "deadlines have no effect",
}


class AirflowPlugin:
    """A plugin. Its timetables and strategies are found by importing them, so that nothing has to be registered."""

    name: str | None = None
    location: Location

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.location = caller()
        made(cls)

    @classmethod
    def validate(cls) -> None:
        """Accepted as it is."""

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Not called."""


def of_plugins(module: ModuleType) -> Iterator[Ignored]:
    """What the plugins say that a file defines, or its own modules do, and that has no effect."""
    for plugin in made_in(module):
        if isinstance(plugin, type) and issubclass(plugin, AirflowPlugin):
            for name, why in _WITHOUT_EFFECT.items():
                if getattr(plugin, name, None):
                    yield Ignored(f"the plugin {plugin.name or plugin.__name__}: {name}", plugin.location, why)


__all__ = ["AirflowPlugin", "of_plugins"]
