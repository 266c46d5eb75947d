"""What records lead to: the blobs that values are kept in, those of their parts included, and captured files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from penstock.errors import ArtifactDamagedError, ArtifactMissingError
from penstock.model.graph import from_json
from penstock.model.run import RunRecord
from penstock.model.value import Argument, Artifact
from penstock.ports import Blobs, Store
from penstock.values.files import manifest_of
from penstock.values.parts import artifacts_in
from penstock.values.tree import Tree

#: codecs of artifacts that others, or blobs, are parts of
_COMPOSED = frozenset({"tree", "file"})


class Reach:
    """What is reached from the arguments that were added."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._tree = Tree(_never, _never)
        #: the composed artifacts that were looked into
        self._seen: set[bytes] = set()
        #: of blobs
        self.addresses: set[bytes] = set()
        #: digests of captured files and folders
        self.files: set[bytes] = set()

    def add(self, argument: Argument) -> None:
        """Add all that an argument leads to. Raises StoreError where it cannot be told, and then not all may be added."""
        for artifact in artifacts_in(argument):
            self._visit(artifact)

    def _visit(self, artifact: Artifact) -> None:
        if artifact.blob is not None:
            self.addresses.add(artifact.blob)
        # not the digest: equal values may be stored as different bytes
        key = cast(bytes, artifact.blob or artifact.payload)
        if artifact.codec not in _COMPOSED or key in self._seen:
            return
        self._seen.add(key)
        if artifact.codec == "file":
            self.files.add(artifact.digest)
        try:
            data = self._blobs.read(key) if artifact.blob is not None else key
        except (ArtifactMissingError, ArtifactDamagedError):
            # nobody can load it any more, nor tell what it consisted of
            return
        if artifact.codec == "file":
            self.addresses.update(entry.address for entry in manifest_of(data).entries if entry.address is not None)
        else:
            for leaf in self._tree.leaves(data):
                self._visit(leaf)


def reached_from(artifact: Artifact, blobs: Blobs) -> set[bytes]:
    """The addresses of the blobs that an artifact is kept in."""
    if artifact.blob is None and artifact.codec not in _COMPOSED:
        return set()
    reach = Reach(blobs)
    reach.add(artifact)
    return reach.addresses


def _never(*_: object) -> Any:
    raise AssertionError("only the leaves of trees are looked at")


def arguments_of(store: Store, run: RunRecord) -> Iterator[Argument]:
    """Everything stored that the records of one run refer to. `Store.arguments` is quicker for all runs together; this
    is for telling what some of them refer to."""
    records: list[Any] = [
        run.outputs,
        store.basis(run.run_id).parameters,
        from_json(store.graph(run.run_id)),
        [attempt.outputs for attempt in store.attempts(run.run_id)],
        [logged.attachment for logged in store.attachments(run.run_id)],
    ]
    yield from _within(records)
    for _, events in store.journal(run.run_id):
        yield from _within(events)


def _within(records: Iterable[Any]) -> Iterator[Argument]:
    """The arguments anywhere in records."""
    left: list[Any] = list(records)
    while left:
        record = left.pop()
        if isinstance(record, Argument):
            yield record
        elif isinstance(record, (list, tuple)):
            left += cast("list[Any]", record)
        elif isinstance(record, dict):
            left += cast("dict[Any, Any]", record).values()
        elif isinstance(record, msgspec.Struct):
            left += (getattr(record, name) for name in record.__struct_fields__)


__all__ = ["Reach", "arguments_of", "reached_from"]
