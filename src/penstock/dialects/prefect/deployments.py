"""Deployments: what starts runs of a flow, with which parameters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.authoring.source import caller
from penstock.dialects.foreign import made
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
        self.triggers: list[Any] = list(options.get("triggers") or ())
        self.tags: list[str] = sorted(options.get("tags") or ())
        self.description: str = options.get("description") or ""
        self.enabled = not options.get("paused")
        self.at_most: int | None = _limit(options)
        self.ignored: tuple[Ignored, ...] = ignored(f"the deployment {self.name!r}", options, _IGNORED)
        flow.deployed[self.name] = self.parameters

    @classmethod
    def build_from_flow(cls, flow: Flow, name: str, **options: Any) -> Deployment:
        """Of Prefect 2: the deployment of a flow."""
        return noted(cls(flow, name, **options))

    def apply(self, **_: Any) -> Any:
        """It is there once the file is registered."""
        return either_way(lambda: self.name)

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


T = TypeVar("T", "Deployment", Ignored)
_noted: ContextVar[list[Any] | None] = ContextVar("penstock_prefect_deployments", default=None)


def noted(thing: T) -> T:
    """Keep a deployment that a file makes, or what it says of these without effect."""
    gathering = _noted.get()
    if gathering is None:
        made(thing)
    else:
        gathering.append(thing)
    return thing


def gathering() -> bool:
    """Whether deployments are made here and now, and nothing else is."""
    return _noted.get() is not None


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
    """Deployments that are to be deployed; `to_deployment` has noted them."""
    return either_way(lambda: [each.name for each in deployments])


__all__ = ["Deployment", "deploy", "gathered", "gathering", "noted", "serve"]
