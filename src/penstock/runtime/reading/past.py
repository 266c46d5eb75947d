"""A run read back with the inputs of everything that ran in it.

Nothing is recorded of inputs as such: they follow from the outputs in the journal, the parameters and the graph, in the
same way in which the driver made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from penstock.errors import NotFoundError
from penstock.kernel.joins import EARLY
from penstock.kernel.state import NodeProgress, Phase, RunProgress
from penstock.model.action import ApprovalAction
from penstock.model.event import AnyEvent, Grown, Hit, Missed, Started
from penstock.model.graph import Graph, PipelineAction, from_json
from penstock.model.growth import ungrown
from penstock.model.identity import TaskIdentity
from penstock.model.run import AttemptRecord, RunRecord, item_id
from penstock.model.value import Argument, Artifact
from penstock.model.work import Local
from penstock.ports import Store
from penstock.runtime.driving.contents import Contents
from penstock.runtime.driving.fingerprints import Composition, counted
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Cell, Nodes, TaskCode
from penstock.runtime.driving.recovery import replay
from penstock.runtime.reading.nearest import nearest
from penstock.values import Values

#: how many near names a message has
_NAMED = 5


class Past:
    """A run as its journal and its basis tell it. It may still be under way: then it is as it was when this was made."""

    def __init__(self, store: Store, values: Values, run: RunRecord) -> None:
        self.store = store
        self.values = values
        self.run = run
        #: with the nodes that have appeared while it ran
        self.graph: Graph = from_json(store.graph(run.run_id))
        self.journal: Sequence[tuple[float, list[AnyEvent]]] = store.journal(run.run_id)
        self.progress = self._unbegun()
        self.ledger = Ledger(self.progress)
        replay(self.progress, self.ledger, self.journal)
        self.basis = store.basis(run.run_id)
        self._contents = Contents(values, self.code_in)
        self._texts: dict[bytes, str | None] = {}
        #: of what is made up of several values; kept beside it, so that nothing else can come to have its address
        self._digests: dict[int, tuple[Argument, bytes]] = {}

    def _unbegun(self) -> RunProgress:
        growth = [event for _, events in self.journal for event in events if isinstance(event, Grown)]
        return RunProgress(ungrown(self.graph, growth) if growth else self.graph)

    @cached_property
    def identities(self) -> dict[str, TaskIdentity]:
        """What the code of each task was, by its key; without those of which nothing is kept."""
        known = self.store.identities(set(self.basis.tasks.values()))
        return {key: known[digest] for key, digest in self.basis.tasks.items() if digest in known}

    @cached_property
    def classes(self) -> dict[str, TaskIdentity]:
        """What the code of classes and functions in inputs was, by their names."""
        known = self.store.identities(set(self.basis.classes.values()))
        return {name: known[digest] for name, digest in self.basis.classes.items() if digest in known}

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The values of the parameters."""
        return {name: self.values.load(argument) for name, argument in self.basis.parameters.items()}

    @cached_property
    def attempts(self) -> dict[Cell, list[AttemptRecord]]:
        """What is recorded of each node and item, in order."""
        found: dict[Cell, list[AttemptRecord]] = {}
        for record in self.store.attempts(self.run.run_id):
            found.setdefault((record.node, record.item), []).append(record)
        return found

    @cached_property
    def nodes(self) -> Nodes:
        """What prepares the inputs of nodes."""
        return self._preparing(self.progress, self.ledger)

    def _preparing(self, progress: RunProgress, ledger: Ledger) -> Nodes:
        tasks = {
            key: TaskCode(Local(key), identity.digest, identity.record) for key, identity in self.identities.items()
        }
        nodes = Nodes(self.run.run_id, progress, tasks, _Parameters(self), self.values, ledger)
        # a path that is a parameter counts by what it led to then, and nothing large is stored again
        nodes.resolver.know(self.basis.parameters)
        return nodes

    # Nodes and items.

    def cells(self) -> Iterator[Cell]:
        """Every node, with -1 for its item, or every item of a mapped one."""
        for name, progress in self.progress.nodes.items():
            if progress.items is None:
                yield name, -1
            else:
                yield from ((name, item) for item in range(len(progress.items.phases)))

    def name(self, cell: Cell) -> str:
        """How a node or an item is called: `train`, `fit[rf]`."""
        return self.progress.nodes[cell[0]].cell_id(cell[1])

    def find(self, name: str) -> Cell:
        """The node or the item of a name, by key or by number. Raises NotFoundError, naming near ones."""
        if name in self.progress.nodes:
            return name, -1
        if (found := self._items.get(name)) is not None:
            return found
        near = nearest(name, [*self.progress.nodes, *self._items], _NAMED)
        nodes = list(self.progress.nodes)
        there = ", ".join(nodes[:_NAMED]) + (", ..." if len(nodes) > _NAMED else "")
        raise NotFoundError(
            f"run {self.run.run_id} has no task {name!r}",
            remedy=f"Did you mean {' or '.join(near)}?" if near else f"There are: {there or 'none'}",
        )

    @cached_property
    def _items(self) -> dict[str, Cell]:
        """The items by their numbers, and by what they are called."""
        items = [cell for cell in self.cells() if cell[1] >= 0]
        return {item_id(*cell): cell for cell in items} | {self.name(cell): cell for cell in items}

    def progress_of(self, cell: Cell) -> NodeProgress:
        """Where the node is."""
        return self.progress.nodes[cell[0]]

    @cached_property
    def wanted(self) -> dict[Cell, bytes]:
        """Under what the results of nodes and items were looked for in the cache, in vain."""
        return {
            (event.node, event.item): event.fingerprint
            for _, events in self.journal
            for event in events
            if isinstance(event, Missed) and event.fingerprint is not None
        }

    @cached_property
    def started(self) -> dict[Cell, float]:
        """When the latest attempts at nodes and items began, in seconds since the epoch."""
        return {
            (event.node, event.item): at
            for at, events in self.journal
            for event in events
            if isinstance(event, Started)
        }

    def is_approval(self, cell: Cell) -> bool:
        """Whether it is a question to people."""
        return isinstance(self.progress.tasks[self.progress_of(cell).node.task].action, ApprovalAction)

    # What they were made of.

    def identity(self, cell: Cell) -> TaskIdentity | None:
        """What the code of a node's task was; None where nothing is kept of it."""
        return self.identities.get(self.progress_of(cell).node.task)

    def text_of(self, digest: bytes) -> str | None:
        """The text of a source file, by its digest; None where it is not kept."""
        if digest not in self._texts:
            self._texts[digest] = self.store.texts([digest]).get(digest)
        return self._texts[digest]

    def code_in(self, name: str) -> bytes:
        """The digest of the code of a class or a function in an input, as it was; empty where it did not count."""
        return self.basis.classes.get(name, b"")

    def digest(self, argument: Argument) -> bytes:
        """What a value and the code in it count for, computed once."""
        if isinstance(argument, Artifact):
            return self._contents.digest(argument)
        known = self._digests.get(id(argument))
        if known is None:
            known = self._digests[id(argument)] = argument, self._contents.digest(argument)
        return known[1]

    def inputs(self, cell: Cell) -> dict[str, Argument]:
        """What the latest attempt at a node or an item was handed, by name; what it would be handed, where there was
        none.

        Raises what resolving it raises: MissingError for what something that did not run would have made; NotFoundError
        where nothing is kept of the code; LookupError for a mapped node as a whole.
        """
        progress = self.progress_of(cell)
        if progress.node.each is not None and cell[1] < 0:
            raise LookupError(f"{self.name(cell)} is mapped: its items have inputs, and not it")
        task = self.progress.tasks[progress.node.task]
        if self.identity(cell) is None and not isinstance(task.action, (PipelineAction, ApprovalAction)):
            raise NotFoundError(
                f"nothing is kept of the code of {self.name(cell)} in run {self.run.run_id}",
                remedy="The run was made by an older penstock; run the pipeline again.",
            )
        if _may_begin_early(progress):
            return self._as_it_was(cell)
        return _inputs(self.nodes, cell)

    def fingerprint(self, cell: Cell, inputs: Mapping[str, Argument]) -> bytes | None:
        """Under what the cache has the result of an attempt with these inputs; None where that cannot be told."""
        progress, identity = self.progress_of(cell), self.identity(cell)
        caching = progress.node.policy.caching
        files = {name: self.basis.files[name] for name in caching.reads if name in self.basis.files}
        if identity is None or identity.edited or identity.altered or caching.keyed or len(files) < len(caching.reads):
            return None
        return Composition(
            identity=identity.digest,
            environment=self.progress.tasks[progress.node.task].environment,
            version=caching.version,
            files=files,
            inputs={name: self.digest(inputs[name]) for name in counted(caching, inputs)},
        ).fingerprint()

    # Nodes that begin before all of their upstream has ended.

    def _as_it_was(self, cell: Cell) -> dict[str, Argument]:
        """The inputs as they were when they were prepared: some of what the node depends on may have ended since.

        The journal does not tell that moment exactly. Of those that it may have been, it is the first that leads to the
        fingerprint that is recorded.
        """
        record = next((each for each in reversed(self.attempts.get(cell, ())) if each.fingerprint is not None), None)
        first: dict[str, Argument] | None = None
        for nodes in self._moments(cell):
            inputs = _inputs(nodes, cell)
            if record is None or self.fingerprint(cell, inputs) == record.fingerprint:
                return inputs
            first = first or inputs
        return _inputs(self.nodes, cell) if first is None else first

    def _moments(self, cell: Cell) -> Iterator[Nodes]:
        """The run as it was whenever the inputs of a cell may have been prepared."""
        progress = self._unbegun()
        ledger = Ledger(progress)
        for at, events in self.journal:
            prepared = any(_is_of(event, cell) for event in events)
            for event in events:
                if prepared and _is_ready(progress, cell, event):
                    yield self._preparing(progress, ledger)
                replay(progress, ledger, [(at, [event])])


def _inputs(nodes: Nodes, cell: Cell) -> dict[str, Argument]:
    progress = nodes.run.nodes[cell[0]]
    template = nodes.template(progress)
    return {**template.fixed, **nodes.prepared(progress, template, cell[1]).inputs}


def _may_begin_early(progress: NodeProgress) -> bool:
    """Whether a node, or what it is in, may begin before all of its upstream has ended."""
    owner: NodeProgress | None = progress
    while owner is not None:
        if owner.node.join in EARLY:
            return True
        owner = owner.frame.owner
    return False


def _is_of(event: AnyEvent, cell: Cell) -> bool:
    """Whether the inputs of a cell were prepared before an event."""
    return isinstance(event, (Missed, Hit, Started)) and (event.node, event.item) == cell


def _is_ready(progress: RunProgress, cell: Cell, event: AnyEvent) -> bool:
    """Whether the inputs of a cell may be prepared before an event."""
    node = progress.nodes.get(cell[0])
    phase = None if node is None else node.phase_of_item(cell[1]) if cell[1] >= 0 else node.phase
    return phase == Phase.CHECKING or (phase == Phase.QUEUED and _is_of(event, cell))


class _Parameters(Mapping[str, Any]):
    """The parameters of a run, loaded when one is asked for."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def __getitem__(self, name: str) -> Any:
        return self._past.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._past.basis.parameters)

    def __len__(self) -> int:
        return len(self._past.basis.parameters)


__all__ = ["Past"]
