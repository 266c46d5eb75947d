"""Tasks that follow their like in the run before: `depends_on_past`, `wait_for_downstream`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.exceptions import AirflowFailException

_GOOD = frozenset({"succeeded", "cached", "skipped"})


def past_of(dag_id: str, nodes: Iterable[str], after: Iterable[str]) -> Callable[..., None]:
    """What looks at a task, and those after it, in the run before."""
    return functools.update_wrapper(
        functools.partial(follow, dag_id, (*nodes, *(name.replace(".", "/") for name in after))), follow
    )


def follow(dag_id: str, nodes: tuple[str, ...], logical_date: datetime) -> None:
    """Raises AirflowFailException where one of some tasks did not succeed in the run before; in a first run, nothing."""
    own = recorded.attempt().run_id
    runs = [run for run in recorded.runs_of(dag_id) if run.run_id != own and run.logical < logical_date.timestamp()]
    before: Any = max(runs, key=lambda run: run.logical, default=None)
    if before is None:
        return
    states = recorded.tasks_of(before.run_id)
    bad = [name for name in nodes if name in states and states[name] not in _GOOD]
    if bad:
        raise AirflowFailException(f"depends_on_past: {bad[0]} was {states[bad[0]]} in the run before, {before.run_id}")


__all__ = ["follow", "past_of"]
