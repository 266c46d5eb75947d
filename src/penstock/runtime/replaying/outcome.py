"""What has come of making a task of a past run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from penstock.model.value import Argument
from penstock.runtime.explaining.data import DataDifference
from penstock.values import Values


class ComparedOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An output, made again and as it is recorded."""

    name: str
    #: as in the run document; absent where it was not made
    made: dict[str, Any] | None = None
    #: hexadecimal, of what is recorded; empty where nothing is
    recorded: str = ""
    #: `unknown`: values of its type have no digest that is the same in every process; `unrecorded`: there is nothing to
    #: compare it with; `missing`: it is recorded, and was not made
    verdict: Literal["same", "different", "unknown", "unrecorded", "missing"] = "unrecorded"
    #: where they differ: what was recorded and what was made, in a few words
    before: str = ""
    after: str = ""
    #: in what two frames differ
    data: DataDifference | None = None


class Replay:
    """A task of a past run, made again. Values are loaded when they are asked for."""

    def __init__(
        self,
        document: dict[str, Any],
        outputs: Mapping[str, Argument],
        values: Values,
        error: BaseException | None,
    ) -> None:
        #: all of it as JSON-able data, as `penstock replay --json` prints it
        self.document = document
        self._outputs = outputs
        self._values = values
        self.run_id: str = document["run_id"]
        #: of the node or the item: `train`, `fit[rf]`
        self.id: str = document["id"]
        #: `stored` or `today`
        self.code: str = document["code"]
        #: `succeeded`, `failed`, `skipped`, or `waiting`: what it waits for is not there
        self.state: str = document["state"]
        #: seconds
        self.duration: float = document["duration_s"]
        #: what it raised
        self.error = error
        #: whether it did what is recorded, that is, gave the same outputs or failed in the same way; None where that
        #: cannot be told
        self.same: bool | None = document["same"]
        #: what is to be known about it, such as that the code has changed since
        self.notes: list[str] = document["notes"]
        #: the last value of every metric that it logged
        self.metrics: dict[str, float] = document["metrics"]

    @property
    def outputs(self) -> dict[str, Any]:
        """The values by output name; empty where there are none."""
        return {name: self._values.load(output) for name, output in self._outputs.items()}

    @property
    def output(self) -> Any:
        """The value of the only output. Raises what the task raised, and LookupError where there is no output or more
        than one."""
        if self.error is not None:
            raise self.error
        outputs = self.outputs
        if len(outputs) != 1:
            raise LookupError(f"{self.id} has {len(outputs)} outputs: {', '.join(outputs) or 'it was ' + self.state}")
        return next(iter(outputs.values()))

    def __repr__(self) -> str:
        return f"<replay of {self.id} in run {self.run_id}: {self.state}>"


__all__ = ["ComparedOutput", "Replay"]
