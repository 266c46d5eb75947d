"""Deployments: what starts runs of a flow, with which parameters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from penstock.authoring.source import caller
from penstock.dialects.foreign import made
from penstock.dialects.prefect.event_triggers import trigger_of
from penstock.dialects.prefect.names import id_of
from penstock.dialects.prefect.noting import check_known, ignored, not_covered
from penstock.dialects.prefect.schedules import Planned, schedules_of
from penstock.dialects.prefect.sessions import either_way
from penstock.model.graph import Ignored

if TYPE_CHECKING:
    from penstock.dialects.prefect.flows import Flow

_ELSEWHERE = "penstock runs the file as it stands, where its daemon is"
_WHERE = dict.fromkeys(
    (
        "work_pool_name", "work_queue_name", "work_pool", "image", "build", "push", "job_variables", "entrypoint_type",
        "infra_overrides", "storage", "infrastructure", "path", "entrypoint", "skip_upload", "manifest_path",
        "webserver", "pull",
    ),
    _ELSEWHERE,
)  # fmt: skip
_IGNORED = {
    **_WHERE,
    "version": "penstock tells versions apart by the code itself",
    "version_type": "penstock tells versions apart by the code itself",
    "enforce_parameter_schema": "parameters are always held to their annotations",
    "is_schedule_active": "whether a trigger is on is said with `penstock triggers`",
    "pause_on_shutdown": "whether a trigger is on is said with `penstock triggers`",
}
_USED = ("name", "cron", "interval", "anchor_date", "timezone", "rrule", "schedule", "schedules", "parameters", "triggers",
         "tags", "description", "paused", "limit", "concurrency_limit", "print_starting_message", "print_next_steps",
         "ignore_warnings", "apply", "global_limit", "sla", "_sla")  # fmt: skip


class Deployment:
    """A flow under a name, with schedules, events and parameters."""

    def __init__(self, flow: Flow, name: str | None = None, **options: Any) -> None:
        check_known("a deployment", options, (*_USED, *_IGNORED))
        self.flow = flow
        self.name = name or flow.name
        self.location = caller()
        self.parameters: dict[str, Any] = dict(options.get("parameters") or {})
        self.schedules: list[Planned] = schedules_of(options)
        self.triggers = [trigger_of(each, deployed=True) for each in options.get("triggers") or ()]
        self.tags: list[str] = sorted(options.get("tags") or ())
        self.description: str = options.get("description") or ""
        self.enabled = not options.get("paused")
        self.at_most: int | None = _limit(options)
        owner = f"the deployment {self.name!r}"
        said = [note for each in self.triggers for note in each.notes(owner)]
        self.ignored: tuple[Ignored, ...] = (*ignored(owner, options, _IGNORED), *said)
        #: the names of what starts it, once that is made; and those of its schedules
        self.started_by: list[str] = []
        self.scheduled_by: list[str] = []
        flow.deployed[self.name] = self.parameters

    @property
    def full_name(self) -> str:
        return f"{self.flow.name}/{self.name}"

    @property
    def id(self) -> UUID:
        return id_of("deployment", self.full_name)

    @classmethod
    def build_from_flow(cls, flow: Flow, name: str, **options: Any) -> Deployment:
        """Of Prefect 2: the deployment of a flow."""
        return noted(cls(flow, name, **options))

    def apply(self, **_: Any) -> Any:
        """Its id: it is there once the file is registered."""
        return either_way(lambda: self.id)

    aapply = apply

    def __await__(self) -> Generator[Any, Any, Any]:
        # in asynchronous code, what makes one is awaited
        yield from ()
        return self


def _limit(options: Mapping[str, Any]) -> int | None:
    given = options.get("limit") if options.get("limit") is not None else options.get("concurrency_limit")
    if given is None or isinstance(given, int):
        return given
    found: Any = cast("dict[str, Any]", given if isinstance(given, dict) else vars(given)).get("limit")
    if isinstance(found, int):
        return found
    raise not_covered(f"concurrency_limit={given!r}", "Write a number.")


T = TypeVar("T")
_noted: ContextVar[list[Any] | None] = ContextVar("penstock_prefect_deployments", default=None)


def noted(thing: T) -> T:
    """Keep a deployment or an automation that a file makes, or what it says of these without effect."""
    gathering = _noted.get()
    if gathering is None:
        made(thing)
    else:
        gathering.append(thing)
    return thing


def gathering() -> bool:
    """Whether deployments are made here and now, and nothing else is."""
    return _noted.get() is not None


def gathered_so_far() -> list[Any]:
    """What was made here until now, where nothing else is."""
    return list(_noted.get() or ())


@contextmanager
def gathered() -> Generator[list[Any]]:
    """The deployments that are made in the block, and what is said of them without effect."""
    found: list[Any] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def serve(*deployments: Deployment, **_: Any) -> Any:
    """Deployments that are to be served; `to_deployment` has noted them."""
    return either_way(lambda: None)


def deploy(*deployments: Deployment, **_: Any) -> Any:
    """The ids of deployments that are to be deployed; `to_deployment` has noted them."""
    return either_way(lambda: [each.id for each in deployments])


__all__ = ["Deployment", "deploy", "gathered", "gathered_so_far", "gathering", "noted", "serve"]
