"""How tasks and pipelines are to be run, apart from what they compute. Times are in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Literal

import msgspec


class Retries(msgspec.Struct, frozen=True):
    """When a failed attempt is repeated, and how soon."""

    #: how many times an attempt that failed by the user's code is repeated
    count: int = 0
    #: the waits before the first repeated attempts; later ones wait as long as the last, times `factor` for each
    delays: tuple[float, ...] = (0.0,)
    factor: float = 1.0
    #: no wait is longer
    cap: float | None = None
    #: by how much of itself a wait may be shortened or lengthened by chance, from 0 to 1
    jitter: float = 0.0
    #: only for these exceptions and their subclasses, by `module.qualname` (`builtins.OSError`); empty: for all
    on: tuple[str, ...] = ()
    #: never for these exceptions and their subclasses
    never: tuple[str, ...] = ()
    #: how many attempts that the infrastructure lost are repeated besides
    lost: int = 3

    def delay(self, repeat: int) -> float:
        """The wait before a repeated attempt, without jitter; `repeat` counts from 1."""
        listed = len(self.delays)
        if listed == 0:
            return 0.0
        wait = self.delays[min(repeat, listed) - 1] * self.factor ** max(0, repeat - listed)
        return wait if self.cap is None else min(wait, self.cap)


class Timeouts(msgspec.Struct, frozen=True):
    """How long things may take; None for as long as they like."""

    #: one attempt
    attempt: float | None = None
    #: all attempts and the waits between them, from when the node could first start
    total: float | None = None
    #: from when an attempt could start to when it does
    queue: float | None = None


class Resources(msgspec.Struct, frozen=True):
    """What an attempt needs of the machine, and of what runs share."""

    #: cores
    cpu: float = 1.0
    #: most memory of the attempt's process; 0 for no limit
    memory: int = 0
    #: up to how much memory an attempt that ran out of it is repeated with, doubled each time; 0: it is not
    memory_cap: int = 0
    #: devices, each for this attempt alone
    gpu: int = 0
    #: pool -> how much of it
    pools: dict[str, int] = {}
    #: refuse before anything runs what is more than the whole machine, rather than run it alone
    strict: bool = False


class Caching(msgspec.Struct, frozen=True):
    """What a recorded result has to be like to be used, and what of a task makes it another one."""

    #: seconds for which a result may be used after it was made; None for any time
    lifetime: float | None = None
    #: a text of the author's that counts as a part of the code
    version: str = ""
    #: inputs that do not count
    ignored: tuple[str, ...] = ()
    #: files and folders that the task reads besides its inputs, as absolute paths: their content counts, in this order
    reads: tuple[str, ...] = ()
    #: what a function of the author's makes of the inputs counts in their place
    keyed: bool = False
    #: run, though there is a result, and record the new one
    refresh: bool = False
    #: the task does something besides returning a result: why it is not cached
    effects: bool = False


class Policy(msgspec.Struct, frozen=True):
    """How a task is to be run."""

    retries: Retries = Retries()
    timeouts: Timeouts = Timeouts()
    #: whether a recorded result may be used in place of running; also false for a task that has effects besides its
    #: result
    cache: bool = True
    caching: Caching = Caching()
    resources: Resources = Resources()
    #: how many attempts at this task may run at once, in all runs of the store; None for any number
    concurrency: int | None = None
    #: of attempts that could start, those with the higher one start first
    priority: int = 0
    #: seconds after the start of the run by which the task should have ended; missing it only tells hooks
    deadline: float | None = None
    #: environment variable of an attempt -> reference to the secret that it holds
    secrets: dict[str, str] = {}
    #: results may contain secrets that the task has read
    allow_secrets: bool = False
    #: a process of its own while it runs, or a thread beside others in one process; `async def` functions share a loop
    run_in: Literal["process", "thread", "loop"] = "process"
    tags: tuple[str, ...] = ()


class RunPolicy(msgspec.Struct, frozen=True):
    """How a pipeline is to be run as a whole."""

    #: go on with what does not depend on a failed node, or end the run
    on_failure: Literal["continue", "stop"] = "continue"
    timeout: float | None = None
    #: how many runs of this pipeline may be under way at once in the store; None for any number
    concurrency: int | None = None
