"""How a flow is deployed: `serve`, `deploy`, `to_deployment`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from penstock.dialects.prefect.noting import not_covered

if TYPE_CHECKING:
    from penstock.dialects.prefect.deployments import Deployment


class Deployable:
    """What can be deployed. Nothing is started: what is said becomes triggers, once the file is registered."""

    def to_deployment(self, name: str | None = None, **options: Any) -> Deployment:
        """The flow under a name, with schedules, events and parameters."""
        from penstock.dialects.prefect.deployments import Deployment, noted

        return noted(Deployment(cast(Any, self), name, **options))

    def serve(self, name: str | None = None, **options: Any) -> None:
        """Make a deployment. Prefect would go on to serve it; penstock's daemon does once the file is registered."""
        self.to_deployment(name, **options)

    def deploy(self, name: str | None = None, **options: Any) -> str:
        """Make a deployment, and return its name."""
        return self.to_deployment(name, **options).name

    @staticmethod
    def from_source(*_: Any, **__: Any) -> Any:
        raise not_covered("flow.from_source(...)", "Register the file itself.")

    def visualize(self, *_: Any, **__: Any) -> None:
        raise not_covered("flow.visualize()", "Write `penstock graph FILE`.")


__all__ = ["Deployable"]
