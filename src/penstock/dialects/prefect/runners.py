"""Task runners: where tasks run is for the executor of a run to say."""

from __future__ import annotations

from typing import Any


class TaskRunner:
    """Something that Prefect runs tasks in."""

    #: why it has no effect; empty where that makes no difference
    without_effect = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._given = [*map(repr, args), *(f"{name}={each!r}" for name, each in options.items())]
        if self._given and not self.without_effect:
            self.without_effect = "the executor of the run says how many tasks run at once"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._given)})"


class ThreadPoolTaskRunner(TaskRunner):
    """Prefect's own: many tasks at once."""


class ConcurrentTaskRunner(ThreadPoolTaskRunner):
    """What Prefect 2 calls it."""


class ProcessPoolTaskRunner(ThreadPoolTaskRunner):
    """Tasks in processes, as penstock runs them."""


class SequentialTaskRunner(TaskRunner):
    """Of Prefect 2: one task after the other."""

    without_effect = "what is submitted runs beside other tasks; call tasks directly to run them in order"


class DaskTaskRunner(TaskRunner):
    """Tasks on Dask."""

    without_effect = "the executor of the run says where tasks run"


class RayTaskRunner(TaskRunner):
    """Tasks on Ray."""

    without_effect = "the executor of the run says where tasks run"


__all__ = [
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "ProcessPoolTaskRunner",
    "RayTaskRunner",
    "SequentialTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
]
