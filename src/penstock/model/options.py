"""How a run is to be carried out, apart from what it computes."""

from __future__ import annotations

import msgspec


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of one run; None leaves a choice to the project's settings."""

    #: `processes` or `inline`
    executor: str = "processes"
    #: how many worker processes; None for as many as there are cores
    workers: int | None = None
    #: false: take nothing from the cache (results are recorded all the same)
    cache: bool = True
    #: nodes to run anew, though there are results, and to record again: ids, or patterns with `*` and `?`; `*` is all
    refresh: tuple[str, ...] = ()
    #: run nothing: a task without a recorded result fails
    only_cached: bool = False
    #: stay with a run that only waits for answers, until they are given or their deadlines have passed; false: pause it
    wait: bool = False
    #: whether values of no known family may be stored by cloudpickle
    pickle: bool = True
    #: folder of the project's state; None for the one found from the working folder
    home: str | None = None
    #: show progress on stderr; None: where stderr is a terminal
    progress: bool | None = None
    #: show the tasks' own output live
    logs: bool = False
