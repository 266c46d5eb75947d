"""What is known by name: pipelines, assets and triggers that were registered, in versions."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["pipeline", "asset", "trigger"]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline, an asset or a trigger, as it was registered."""

    kind: Kind
    name: str
    #: counts from 1, and grows when `digest` is another one; 0 where the store has yet to give one
    version: int = 0
    #: what loads it, from any folder: `FILE:NAME` with an absolute path, or `package.module:NAME`
    target: str
    #: of all that makes it what it is: for a pipeline its graph and the code of its tasks, for a trigger its document
    digest: bytes
    #: part of it, by name -> digest of that part, so that it can be said what changed: a task, the graph, a parameter
    parts: dict[str, bytes] = {}
    #: JSON-able: of a trigger, `penstock.model.trigger.Trigger`; of an asset, `AssetSpec` and the identity of its code; of a
    #: pipeline, its parameters and its description
    document: Any = None
    registered_at: float = 0.0
    registered_by: str = ""
    #: who registered it last: the file, folder or module that was named; what it no longer has is retired
    origin: str = ""
    #: no longer there
    retired: bool = False
