"""What a run would do, as it is told: task by task, and in all."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from penstock.errors import DefinitionError
from penstock.model.graph import Ignored, ignored_document
from penstock.model.run import item_id
from penstock.runtime.explaining.reason import Reason
from penstock.runtime.reading.nearest import nearest

State = Literal[
    "would_run",
    "asks",
    "waits",
    "unknown",
    "would_fail",
    "upstream_failed",
    "cancelled",
    "cached",
    "skipped",
    "empty",
    "opaque",
]

#: rows that a notebook shows
_SHOWN = 200


class Told(msgspec.Struct, frozen=True):
    """Why tasks have to run, and which of them."""

    reason: Reason
    #: by the ids of nodes and items
    tasks: tuple[str, ...]


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a mapped node."""

    node: str
    #: by item
    states: tuple[State, ...]
    #: what they are called, where they do not go by number
    keys: tuple[str, ...] | None = None
    #: whether there may be more
    more: bool = False

    @property
    def counts(self) -> Counter[State]:
        """How many are in each state."""
        return Counter(self.states)

    def ids(self, state: State) -> list[str]:
        """Those in a state."""
        keys = self.keys
        return [
            item_id(self.node, item, None if keys is None else keys[item])
            for item, each in enumerate(self.states)
            if each == state
        ]

    def document(self) -> dict[str, Any]:
        """As JSON-able data; the ids are those of the items that are not cached."""
        counts = self.counts
        which = {state: self.ids(state) for state in counts if state != "cached"}
        return {"count": len(self.states), "more": self.more, **counts, "which": which}


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do at a node. Times are in seconds, sizes in bytes."""

    #: `train`, `fold[3]/fit`
    id: str
    #: name of the task
    task: str
    #: of a mapped node, and of one with a body, what says most: that something of it would run, then what is not cached
    state: State
    #: the id without items and turns: `fold/fit`
    path: str
    #: whether it has a body, of which the nodes that are known follow
    body: bool = False
    #: why it, or those of its items that would run, would run; what holds for most items first
    reasons: tuple[Told, ...] = ()
    #: why it would be skipped, or fail; what it would ask
    note: str = ""
    #: of what is not yet known: the nearest nodes that come before it
    waits_for: tuple[str, ...] = ()
    #: None where it is not mapped, or its items are not known
    items: Items | None = None
    #: what cannot be seen of its code, where that has never run: a result of it is cached all the same
    limits: tuple[str, ...] = ()
    #: `file:line` of where its dynamic body waits for something that would have to run
    dynamic_at: str = ""
    #: how long what would run of it takes, from earlier runs; None where there is none
    expected_s: float | None = None
    #: the most memory that an attempt takes
    expected_memory: int | None = None
    #: how many nodes and items that are no bodies are in each state
    counts: Mapping[State, int] = {}

    @property
    def reason(self) -> Reason | None:
        """Why it would run; of a mapped node, what holds for most of the items that would."""
        return self.reasons[0].reason if self.reasons else None

    def document(self) -> dict[str, Any]:
        """As JSON-able data."""
        document: dict[str, Any] = {
            "id": self.id,
            "task": self.task,
            "state": self.state,
            "reason": None if self.reason is None else msgspec.to_builtins(self.reason),
            "waits_for": list(self.waits_for),
            "expected_s": _rounded(self.expected_s),
            "expected_memory": self.expected_memory,
        }
        if self.path != self.id:
            document["path"] = self.path
        if self.body:
            document["body"] = True
        if self.note:
            document["note"] = self.note
        if self.limits:
            document["limits"] = list(self.limits)
        if self.dynamic_at:
            document["dynamic_at"] = self.dynamic_at
        if self.items is not None:
            document["items"] = self.items.document()
            document["reasons"] = [
                {"reason": msgspec.to_builtins(told.reason), "count": len(told.tasks), "which": list(told.tasks)}
                for told in self.reasons
            ]
        return document


class Plan:
    """What a run of a pipeline would do now. Nothing of it has been done."""

    def __init__(
        self,
        pipeline: str,
        parameters: Mapping[str, Any],
        tasks: tuple[PlannedTask, ...],
        *,
        dynamic_at: str = "",
        waits_for: tuple[str, ...] = (),
        failure: str = "",
        expected: float | None = None,
        unmeasured: int = 0,
        generation: int | None = None,
        kept: tuple[str, ...] = (),
        dropped: tuple[str, ...] = (),
        new: tuple[str, ...] = (),
        ignored: tuple[Ignored, ...] = (),
    ) -> None:
        self.pipeline = pipeline
        #: JSON-able
        self.parameters = dict(parameters)
        #: the nodes that are known, in the order of the graph
        self.tasks = tasks
        #: `file:line` of where the body of the pipeline waits for something that would have to run; what follows there
        #: is not known. Empty where all of it is
        self.dynamic_at = dynamic_at
        #: what it waits for there
        self.waits_for = waits_for
        #: what the body of the pipeline itself raises, as text; empty for nothing
        self.failure = failure
        #: about how many seconds the run takes, from earlier ones, with what is not yet known taken to run; None where
        #: nothing of it has ever run
        self.expected = expected
        #: how many nodes and items would run, or may, that never ran before, and are left out of that
        self.unmeasured = unmeasured
        #: the generation that a run would have that begins anew; None for a new run
        self.generation = generation
        #: the ids of the nodes and items that would keep the result of an earlier generation; they count as cached
        self.kept = list(kept)
        #: the ids of the nodes and items of the generation before that are no longer in the pipeline, and those of nodes
        #: that were not in it
        self.dropped, self.new = list(dropped), list(new)
        #: what the file says, where it is written for another system, and what has no effect
        self.ignored = ignored
        #: why a run is refused, of a pipeline with what no run can have; None where it is not
        self.refusal: DefinitionError | None = None
        self.counts: Counter[State] = Counter()
        for task in tasks:
            self.counts.update(task.counts)

    @property
    def cached(self) -> list[str]:
        """The ids of the nodes and items that would be taken from the cache."""
        return list(self._in("cached"))

    @property
    def would_run(self) -> list[str]:
        """The ids of the nodes and items that would run."""
        return list(self._in("would_run"))

    @property
    def unknown(self) -> list[str]:
        """The ids of the nodes and items of which it is not yet known."""
        return list(self._in("unknown"))

    @property
    def invalidated(self) -> dict[str, Reason]:
        """The ids of the nodes and items that would run though an earlier generation has a result, and why."""
        told = (told for task in self.tasks for told in task.reasons if told.reason.cause in INVALIDATING)
        return {name: each.reason for each in told for name in each.tasks}

    def _in(self, state: State) -> Iterator[str]:
        for task in self.tasks:
            if task.items is not None and not task.body:
                yield from task.items.ids(state)
            elif task.state == state and task.counts:
                yield task.id

    def task(self, name: str) -> PlannedTask:
        """The node of that id. Raises LookupError, naming near ones."""
        for task in self.tasks:
            if task.id == name:
                return task
        near = nearest(name, [task.id for task in self.tasks])
        raise LookupError(f"the plan has no task {name!r}{'; did you mean ' + ' or '.join(near) + '?' if near else ''}")

    @property
    def document(self) -> dict[str, Any]:
        """The plan as JSON-able data, as `penstock plan --json` prints it."""
        anew: dict[str, Any] = {}
        if self.generation is not None:
            invalidated = [{"id": name, "reason": msgspec.to_builtins(why)} for name, why in self.invalidated.items()]
            anew = {"generation": self.generation, "kept": self.kept, "invalidated": invalidated}
            anew |= {"dropped": self.dropped, "new": self.new}
        return {
            "pipeline": self.pipeline,
            "parameters": self.parameters,
            **anew,
            "tasks": [task.document() for task in self.tasks],
            "summary": {
                **{state: self.counts[state] for state in ("would_run", "cached", "unknown", "skipped")},
                **{state: count for state, count in self.counts.items() if count},
                "expected_s": _rounded(self.expected),
                "unmeasured": self.unmeasured,
            },
            "dynamic_at": self.dynamic_at or None,
            "waits_for": list(self.waits_for),
            "error": self.failure or None,
            "ignored": ignored_document(self.ignored),
            **({} if self.refusal is None else {"refused": _told(self.refusal)}),
        }

    def __repr__(self) -> str:
        return f"<plan of {self.pipeline}: {in_words(self.counts)}>"

    def _repr_html_(self) -> str:
        """A table of the tasks, for notebooks."""
        rows = "".join(_row(task) for task in self.tasks[:_SHOWN])
        more = f"<p>and {len(self.tasks) - _SHOWN} more</p>" if len(self.tasks) > _SHOWN else ""
        return (
            f"<p><b>{html.escape(self.pipeline)}</b> {html.escape(in_words(self.counts))}</p>"
            f"<table><tr><th>task</th><th>plan</th><th></th></tr>{rows}</table>{more}"
        )


#: why something runs in a run that begins anew, although it has a result
INVALIDATING = frozenset({"invalidated", "gone", "undone"})

#: state -> what a count of it says
WORDS: Mapping[State, str] = {
    "would_run": "to run",
    "asks": "to be answered",
    "waits": "to wait for",
    "cached": "cached",
    "unknown": "not yet known",
    "skipped": "skipped",
    "would_fail": "bound to fail",
    "upstream_failed": "not reached",
    "cancelled": "cancelled",
    "opaque": "opaque",
}


def in_words(counts: Mapping[Any, int], nothing: str = "nothing to run") -> str:
    """`3 to run, 41 cached, 5 not yet known`; `nothing` stands first where nothing would run."""
    told = [f"{counts.get(state, 0):,} {word}" for state, word in WORDS.items() if counts.get(state)]
    if nothing and not counts.get("would_run"):
        told.insert(0, nothing)
    return ", ".join(told)


def _row(task: PlannedTask) -> str:
    items = "" if task.items is None else in_words(task.items.counts)
    waits = f"waits for {', '.join(task.waits_for)}" if task.waits_for else ""
    told = "; ".join(part for part in (items, task.note, *(each.reason.text for each in task.reasons), waits) if part)
    return (
        f"<tr><td>{html.escape(task.id)}</td><td>{task.state.replace('_', ' ')}</td><td>{html.escape(told)}</td></tr>"
    )


def _told(error: DefinitionError) -> dict[str, str | None]:
    return {"message": error.what, "where": error.where, "remedy": error.remedy}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


__all__ = ["WORDS", "Items", "Plan", "PlannedTask", "State", "Told", "in_words"]
