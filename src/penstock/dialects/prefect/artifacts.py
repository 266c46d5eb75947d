"""Prefect's artifacts: values that are logged with a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from penstock.authoring.placing import Placing
from penstock.authoring.task import Task
from penstock.dialects.code.adapting import ADAPTS, Adapts, Text
from penstock.dialects.prefect.context import attempt
from penstock.dialects.prefect.futures import unwrapped
from penstock.dialects.prefect.sessions import current_session, either_way, end_of

_NAMESPACE = UUID("0d6f4c56-6a0b-4b25-9f2b-0d6b8a2b8f11")


def log_artifact(key: str, value: Any) -> None:
    """Log a value with the attempt at hand."""
    attempt().log_artifact(key, value)


setattr(
    log_artifact,
    ADAPTS,
    Adapts(
        text=Text(
            "(key: str, value: Any) -> None:\n    current().log_artifact(key, value)",
            imports=(("penstock", "current"), ("typing", "Any")),
            name="log_artifact",
        )
    ),
)


def _create(kind: str, key: str | None, value: Any, description: str | None = None) -> UUID:
    name = key or kind
    kept = value if description is None else {"description": description, kind: value}
    session = current_session()
    if session is None:
        log_artifact(name, kept)
    else:
        # a flow is no attempt, so a task of its own logs it
        task: Task[..., Any] = Task(log_artifact, f"artifact-{kind}", {"cache": False})
        arguments = {"key": name, "value": unwrapped(kept)}
        ref = session.building.call(task, Placing().changed({"after": list(session.latest)}), arguments)
        if session.lazy:
            session.latest = (ref,)
        else:
            end_of(ref)
    return uuid5(_NAMESPACE, f"{kind}/{name}")


def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None, **_: Any) -> Any:
    """Log a text in Markdown."""
    return either_way(lambda: _create("markdown", key, markdown, description), _)


def create_table_artifact(
    table: Mapping[str, Any] | Sequence[Any], key: str | None = None, description: str | None = None, **_: Any
) -> Any:
    """Log a table: a list of rows, or a dict of columns."""
    return either_way(lambda: _create("table", key, table, description), _)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None, **_: Any
) -> Any:
    """Log a link."""
    text = f"[{link_text or link}]({link})"
    return either_way(lambda: _create("link", key, text, description), _)


def create_image_artifact(image_url: str, key: str | None = None, description: str | None = None, **_: Any) -> Any:
    """Log where an image is."""
    return either_way(lambda: _create("image", key, image_url, description), _)


def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None, **_: Any) -> Any:
    """Say how far a task is, in percent."""

    def create() -> UUID:
        if current_session() is None:
            attempt().progress(progress, 100.0)
        return uuid5(_NAMESPACE, f"progress/{key or 'progress'}")

    return either_way(create, _)


def update_progress_artifact(artifact_id: Any, progress: float, description: str | None = None, **_: Any) -> Any:
    """Say how far a task is by now, in percent."""

    def update() -> Any:
        if current_session() is None:
            attempt().progress(progress, 100.0)
        return artifact_id

    return either_way(update, _)


for _each in (
    create_markdown_artifact,
    create_table_artifact,
    create_link_artifact,
    create_image_artifact,
    create_progress_artifact,
    update_progress_artifact,
):
    _each.composes = True  # type: ignore[attr-defined]

acreate_markdown_artifact = create_markdown_artifact
acreate_table_artifact = create_table_artifact
acreate_link_artifact = create_link_artifact
acreate_image_artifact = create_image_artifact
acreate_progress_artifact = create_progress_artifact
aupdate_progress_artifact = update_progress_artifact

__all__ = [
    "acreate_image_artifact",
    "acreate_link_artifact",
    "acreate_markdown_artifact",
    "acreate_progress_artifact",
    "acreate_table_artifact",
    "aupdate_progress_artifact",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "log_artifact",
    "update_progress_artifact",
]
