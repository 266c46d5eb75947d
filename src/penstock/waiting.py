"""The built-in waits: for a time, a duration, a file, a URL, an artifact, an asset.

First what is asked again and again, in a worker: each returns what is waited for once it is there, and as long as it is
not raises `Retry`, which says what is missing, and how long it will take where that is known. Then what makes nodes of them.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Unpack, cast

from penstock.authoring.building import required_building
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.ref import Ref, expression_of
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.authoring.tasks.waits import UNCACHED, WaitingOptions, amount, built_in
from penstock.errors import DefinitionError, Fail, Retry
from penstock.model.expression import Output

#: seconds for one request
_REQUEST_TIMEOUT = 10.0


def moment_after(seconds: float | timedelta) -> float:
    """The moment that comes so long after now, in seconds since the epoch."""
    length = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    return time.time() + length


def time_reached(when: datetime | float | str) -> bool:
    """Whether a moment has come: a datetime (in local time where it names no zone), its ISO 8601 text, or seconds since
    the epoch."""
    left = as_timestamp(when) - time.time()
    if left > 0:
        raise Retry(f"{left:.0f} s to go", after=left)
    return True


def as_timestamp(when: datetime | float | str) -> float:
    """A moment in seconds since the epoch. Raises Fail for what is no moment."""
    try:
        if isinstance(when, str):
            when = datetime.fromisoformat(when)
        return when.timestamp() if isinstance(when, datetime) else float(when)
    except (TypeError, ValueError) as error:
        raise Fail(
            f"{when!r} is not a time (a datetime, its ISO 8601 text, or seconds since the epoch): {error}"
        ) from None


def file_there(path: str | Path) -> str:
    """The path of a file or folder, once there is one; as text, so that what it leads to is not stored."""
    if not Path(path).exists():
        raise Retry(f"there is no file or folder {Path(path).absolute()}")
    return str(path)


def url_answers(url: str, status: int | Sequence[int] | None = None) -> int:
    """The status that a URL answers with, once it is one of those that are wanted (None: any below 400)."""
    if not url.startswith(("http://", "https://")):
        raise Fail(f"{url!r} is not an http:// or https:// address")
    request = urllib.request.Request(url, headers={"User-Agent": "penstock"})
    try:
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT) as answer:
            found = int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            found = error.code
    except (urllib.error.URLError, OSError) as error:
        raise Retry(
            f"{url} does not answer: {error.reason if isinstance(error, urllib.error.URLError) else error}"
        ) from None
    wanted = status if isinstance(status, Sequence) or status is None else [status]
    if not (found < HTTPStatus.BAD_REQUEST if wanted is None else found in wanted):
        raise Retry(f"{url} answers with status {found}")
    return found


def artifact_there(
    pipeline: str, name: str | None = None, since: datetime | timedelta | float | str | None = None
) -> str:
    """The id of the latest run of a pipeline that succeeded and returned, or logged, something by a name (None: a run
    that succeeded). Runs that ended before `since` (a moment, or so long ago) do not count."""
    from penstock.app import Services

    services = Services()
    missing = f"no run of {pipeline} has succeeded" + (f" and made {name!r}" if name else "")
    if not services.has_store:
        raise Retry(missing)
    earliest = _earliest(since)
    with services.existing_store() as store:
        for run in store.runs(pipeline=pipeline, state="succeeded", limit=100):
            if earliest is not None and (run.finished_at or 0.0) < earliest:
                continue
            if name is None or name in run.outputs or _has_logged(store, run.run_id, name):
                return run.run_id
    raise Retry(missing)


def asset_there(asset: str, partition: str = "", since: datetime | timedelta | float | str | None = None) -> int:
    """The number of the latest version of an asset, once there is one. Versions that were made before `since` (a moment, or
    so long ago) do not count."""
    from penstock.app import Services

    services = Services()
    missing = f"no version of {asset} was made" + (f" for {partition}" if partition else "")
    if not services.has_store:
        raise Retry(missing)
    earliest = _earliest(since)
    with services.existing_store() as store:
        latest = store.catalog.latest_of(asset, [partition]).get(partition)
    if latest is None or (earliest is not None and latest.at < earliest):
        raise Retry(missing)
    return latest.version


def _earliest(since: Any) -> float | None:
    if isinstance(since, timedelta):
        return time.time() - since.total_seconds()
    return None if since is None else as_timestamp(since)


def _has_logged(store: Any, run_id: str, name: str) -> bool:
    return any(logged.attachment.name == name for logged in store.attachments(run_id))


# Nodes.


def wait_for_time(when: datetime | float | str, *, name: str | None = None, **options: Unpack[WaitingOptions]) -> bool:
    """Wait for a moment: a datetime (in local time where it names no zone), its ISO 8601 text, or seconds since the
    epoch. Returns a ref to true. Raises DefinitionError outside a pipeline, and for what is no moment."""
    if not isinstance(when, Ref):
        try:
            as_timestamp(when)
        except Fail as error:
            raise DefinitionError(error.why, where=str(caller())) from None
    return built_in(time_reached, "wait_for_time", name, options)(when)


def wait_for_duration(length: Seconds, *, name: str | None = None, **options: Unpack[WaitingOptions]) -> bool:
    """Wait for so long (seconds or a timedelta), counted from when all that comes before has ended.

    It makes two nodes: one finds out until when to wait, so that a run which is resumed does not begin anew. Returns a
    ref to true. Raises DefinitionError outside a pipeline.
    """
    building = required_building("wait_for_duration", "; in plain code, use time.sleep")
    if not isinstance(length, Ref):
        amount("the duration", length)
    order: Any = {key: value for key, value in options.items() if key in ("after", "join")}
    how: Any = {key: value for key, value in options.items() if key not in order}
    first = None if name is None else f"{name}-begin"
    begin = Task(moment_after, "wait_for_duration-begin", UNCACHED).options(name=first, **order)(length)
    end = built_in(time_reached, "wait_for_duration", name, how)(begin)
    nodes = [cast(Output, expression_of(cast(Ref, ref))).node for ref in (end, begin)]
    building.enter_by(*nodes)
    return end


def wait_for_file(path: str | Path, *, name: str | None = None, **options: Unpack[WaitingOptions]) -> str:
    """Wait until there is a file or a folder. Returns a ref to its path, as text. Raises DefinitionError outside a pipeline."""
    return built_in(file_there, "wait_for_file", name, options)(path)


def wait_for_url(
    url: str, *, status: int | Sequence[int] | None = None, name: str | None = None, **options: Unpack[WaitingOptions]
) -> int:
    """Wait until a URL answers: with a status below 400, or with the one, or one of those, that are given.

    Returns a ref to the status. Raises DefinitionError outside a pipeline.
    """
    return built_in(url_answers, "wait_for_url", name, options)(url, status)


def wait_for_artifact(
    pipeline: Any,
    name: str | None = None,
    *,
    since: datetime | timedelta | float | str | None = None,
    node_name: str | None = None,
    **options: Unpack[WaitingOptions],
) -> str:
    """Wait until a run of a pipeline (or of the one by that name) in this project has succeeded; with a name, one that
    returned or logged something by it.

    Runs that ended before `since` (a moment, or a timedelta before now) do not count. Returns a ref to the id of the
    latest such run. `node_name` is what the node is called. Raises DefinitionError outside a pipeline.
    """
    wanted = pipeline if isinstance(pipeline, (str, Ref)) else getattr(pipeline, "name", None)
    if not isinstance(wanted, (str, Ref)):
        raise DefinitionError(
            f"wait_for_artifact() takes a pipeline or its name, not {shortened(repr(pipeline))}", where=str(caller())
        )
    return built_in(artifact_there, "wait_for_artifact", node_name, options)(wanted, name, since)


def wait_for_asset(
    asset: Any,
    partition: str | None = None,
    *,
    since: datetime | timedelta | float | str | None = None,
    name: str | None = None,
    **options: Unpack[WaitingOptions],
) -> int:
    """Wait until there is a version of an asset (or of the one by that name), or of a partition of it, whichever run or
    observation it comes from.

    Versions from before `since` (a moment, or a timedelta before now) do not count. Returns a ref to the number of the
    latest one. Raises DefinitionError outside a pipeline.
    """
    wanted = asset if isinstance(asset, (str, Ref)) else getattr(asset, "name", None)
    if not isinstance(wanted, (str, Ref)):
        raise DefinitionError(
            f"wait_for_asset() takes an asset or its name, not {shortened(repr(asset))}", where=str(caller())
        )
    return built_in(asset_there, "wait_for_asset", name, options)(wanted, partition or "", since)
