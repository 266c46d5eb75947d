"""`get_client`, as far as files use it to say what there is to be: automations, and the ids of deployments."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

from penstock.authoring.source import caller
from penstock.dialects.foreign import loading
from penstock.dialects.prefect.automations import Automation, found_by
from penstock.dialects.prefect.deployments import gathering, noted
from penstock.dialects.prefect.names import Named
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import either_way
from penstock.dialects.uncovered import Uncovered
from penstock.model.graph import Ignored


class GetClient(Uncovered):
    """`get_client` itself, which flows cannot use: there is no server to ask while they run."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        if not (loading() or gathering()):
            raise self.error(caller())
        return Client()

    def noted(self) -> Ignored:
        found = super().noted()
        return Ignored(
            found.what, found.location, "automations and ids of deployments can be had of it, outside of flows"
        )


class Client:
    """What `get_client()` gives while a file is loaded."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_covered(f"{name}() of a client", "There is no server: `penstock --help` says what can be asked.")

    def read_deployment_by_name(self, name: str) -> Any:
        """A deployment of this file, or of another one that is registered: its name and its id."""

        def read() -> Any:
            known = noted(Named("deployment", name))
            return SimpleNamespace(id=known.id, name=name.partition("/")[2])

        return either_way(read)

    def create_automation(self, automation: Automation) -> Any:
        """Let an automation be there. Gives its id."""

        def create() -> UUID:
            automation.create(_sync=True)
            return automation.id

        return either_way(create)

    def read_automations_by_name(self, name: str) -> Any:
        return either_way(lambda: [found_by(name=name)])

    def read_automation(self, automation_id: Any) -> Any:
        return either_way(lambda: found_by(automation_id))

    def pause_automation(self, automation_id: Any) -> Any:
        return either_way(_then(automation_id, lambda each: each.disable(_sync=True)))

    def resume_automation(self, automation_id: Any) -> Any:
        return either_way(_then(automation_id, lambda each: each.enable(_sync=True)))

    def delete_automation(self, automation_id: Any) -> Any:
        return either_way(_then(automation_id, lambda each: each.delete(_sync=True)))


def _then(automation_id: Any, act: Callable[[Automation], Any]) -> Callable[[], None]:
    def carried_out() -> None:
        act(found_by(automation_id))

    return carried_out


__all__ = ["Client", "GetClient"]
