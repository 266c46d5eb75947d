"""The generations of a run: what each keeps of the one before, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.model.run import AttemptRecord, NodeState, RunRecord

#: what the reason of a result begins with that was kept from an earlier generation
_KEPT = "kept from generation "
#: the name of a choice in the configuration of a run
_KEY = "generation"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a new generation of a run keeps of the one before, as far as somebody has said so."""

    #: patterns of nodes whose results are kept although their code or their inputs are others now
    keep: tuple[str, ...] = ()
    #: patterns of nodes that run anew although nothing of them changed
    invalidate: tuple[str, ...] = ()
    #: nodes and items that run again, with all that depends on them: patterns as typed (none for what failed), or names
    #: once they are settled; None where none are to
    again: tuple[str, ...] | None = None


def recorded(choice: Choice) -> dict[str, Any]:
    """A choice as a part of the configuration of a run."""
    return {_KEY: msgspec.to_builtins(choice)}


def choice_in(configuration: Mapping[str, Any]) -> Choice:
    """The choice that is recorded in the configuration of a run."""
    return msgspec.convert(configuration.get(_KEY) or {}, Choice)


def root_of(run_id: str) -> str:
    """The id that all generations of a run share: that of the latest one."""
    return run_id.partition(".")[0]


def is_earlier(run: RunRecord) -> bool:
    """Whether a run is an earlier generation of another one."""
    return run.run_id != root_of(run.run_id)


def earlier_id(run: RunRecord, generation: int) -> str:
    """The id by which an earlier generation of a run goes."""
    return f"{root_of(run.run_id)}.{generation}"


def kept_from(generation: int) -> str:
    """The reason of a result that was kept."""
    return f"{_KEPT}{generation}"


def origin_of(record: AttemptRecord) -> int:
    """The generation that a result was kept from; 0 for one that was not kept."""
    if record.state is not NodeState.CACHED or not record.reason.startswith(_KEPT):
        return 0
    return int(record.reason.removeprefix(_KEPT))


__all__ = ["Choice", "choice_in", "earlier_id", "is_earlier", "kept_from", "origin_of", "recorded", "root_of"]
