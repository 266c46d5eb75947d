"""How a flow is deployed: `serve`, `deploy`, `to_deployment`, `from_source`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.source import caller
from penstock.dialects.prefect.noting import not_covered, note
from penstock.dialects.prefect.sessions import either_way

if TYPE_CHECKING:
    from penstock.dialects.prefect.deployments import Deployment
    from penstock.dialects.prefect.flows import Flow


class Deployable:
    """What can be deployed. Nothing is started: what is said becomes triggers, once the file is registered."""

    def to_deployment(self, name: str | None = None, **options: Any) -> Deployment:
        """The flow under a name, with schedules, events and parameters."""
        from penstock.dialects.prefect.deployments import Deployment, noted

        return noted(Deployment(cast(Any, self), name, **options))

    ato_deployment = to_deployment

    def serve(self, name: str | None = None, **options: Any) -> Any:
        """Make a deployment. Prefect would go on to serve it; penstock's daemon does once the file is registered."""
        self.to_deployment(name, **options)
        return either_way(lambda: None)

    def deploy(self, name: str | None = None, **options: Any) -> Any:
        """Make a deployment, and return its id."""
        found = self.to_deployment(name, **options).id
        return either_way(lambda: found)

    adeploy = deploy

    @staticmethod
    def from_source(source: Any, entrypoint: str, **_: Any) -> Any:
        """The flow at an entrypoint, in a folder, or, of a source that is somewhere else, where the file at hand is a part of
        it. Raises NotCoveredError where it is not there."""
        found = _flow_of(source, entrypoint)
        return either_way(lambda: found)

    afrom_source = from_source

    def visualize(self, *_: Any, **__: Any) -> None:
        raise not_covered("flow.visualize()", "Write `penstock graph FILE`.")


def _flow_of(source: Any, entrypoint: str) -> Flow:
    from penstock.dialects.prefect.deployments import noted
    from penstock.dialects.prefect.flows import Flow
    from penstock.dialects.prefect.projects import module_of

    place, _, name = entrypoint.rpartition(":") if ":" in entrypoint else (entrypoint, "", "")
    path = place if place.endswith(".py") else f"{place.replace('.', '/')}.py"
    local = isinstance(source, (str, Path)) and Path(source).expanduser().is_dir()
    folders = [Path(source).expanduser()] if local else _around()
    target = next(((each / path).resolve() for each in folders if (each / path).is_file()), None)
    held = {} if target is None else _being_loaded(target) or vars(module_of(target))
    flows = {key: each for key, each in held.items() if isinstance(each, Flow)}
    found = flows.get(name) if name else next(iter(flows.values()), None) if len(flows) == 1 else None
    if found is None:
        raise not_covered(
            f"flow.from_source({source!r}, {entrypoint!r})",
            f"There is no flow {entrypoint} beside this file, or above it: run and register the file that has it.",
        )
    if not local:
        noted(note(f"flow.from_source({source!r})", "the file is taken as it lies here"))
    return found


def _around() -> list[Path]:
    """The folder of the user's file; and those around it up to that of its repository, where it is in one."""
    folder = Path(caller().file).resolve().parent
    root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    return [each for each in (folder, *folder.parents) if each.is_relative_to(root)]


def _being_loaded(file: Path) -> dict[str, Any]:
    """What a file has that calls here; nothing for any other."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        known = frame.f_globals.get("__file__")
        if known is not None and Path(known).resolve() == file:
            return frame.f_globals
        frame = frame.f_back
    return {}


__all__ = ["Deployable"]
