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
    #: whether values of no known family may be stored by cloudpickle
    pickle: bool = True
    #: folder of the project's state; None for the one found from the working folder
    home: str | None = None
    #: show progress on stderr; None: where stderr is a terminal
    progress: bool | None = None
    #: show the tasks' own output live
    logs: bool = False
