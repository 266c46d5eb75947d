"""Which results of the generation before are kept, and which are made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Literal, NamedTuple

import msgspec

from penstock.authoring.assets.checks import outcome_of
from penstock.errors import NotFoundError
from penstock.kernel.state import NodeProgress
from penstock.model.action import ApprovalAction
from penstock.model.generation import Choice, choice_in, earlier_id, kept_from, origin_of
from penstock.model.graph import Task
from penstock.model.run import AttemptRecord, NodeState, RunRecord
from penstock.model.value import Argument
from penstock.ports import Store
from penstock.runtime.assets.recording import checked_by
from penstock.runtime.driving.fingerprints import counted, versioned
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared
from penstock.runtime.driving.refreshing import Refreshing
from penstock.runtime.generations.dependents import Dependents, Used
from penstock.runtime.generations.earlier import Earlier, Made, Scope
from penstock.runtime.reading.past import Past
from penstock.values import Values

#: `unfinished` has no result to keep, `chosen` and `invalidated` are anew by somebody's choice, `dependent` comes after
#: what was chosen, `undone` was taken down meanwhile, `changed` has another identity now
Cause = Literal["unfinished", "chosen", "invalidated", "dependent", "undone", "changed"]


class Found(NamedTuple):
    """The latest result of a node or an item."""

    earlier: Earlier
    cell: Cell
    record: AttemptRecord


class Verdict(NamedTuple):
    """What becomes of a node or an item."""

    #: the result that is kept; None where it is made anew
    record: AttemptRecord | None
    #: the node or the item in the generation before; None where it was not there
    before: Cell | None = None
    #: why it is made anew
    cause: Cause = "unfinished"
    #: it was kept by somebody's choice, whatever has changed
    by_choice: bool = False
    #: the latest result that there is, kept or not
    found: Found | None = None

    @property
    def fresh(self) -> bool:
        """Whether it is to run again, whatever the cache has."""
        return self.record is None and self.cause in ("chosen", "invalidated", "dependent")


def keeping_of(store: Store, values: Values, run: RunRecord) -> Keeping | None:
    """What decides for a run that was begun anew; None for one in its first generation, or where the one before is gone."""
    if run.generation == 1:
        return None
    try:
        before = store.find(earlier_id(run, run.generation - 1))
    except NotFoundError:
        return None
    return Keeping(Past(store, values, before), choice_in(store.provenance(run.run_id).configuration))


class Level:
    """A generation, and what it was itself to make again of those before it."""

    def __init__(self, earlier: Earlier) -> None:
        self.earlier = earlier
        run = earlier.past.run
        self._choice = (
            Choice() if run.generation == 1 else choice_in(earlier.past.store.provenance(run.run_id).configuration)
        )
        self._dependents = Dependents(self._choice.again or ())
        self._invalidate: Refreshing | None = None

    def attach(self, tasks: Mapping[str, Task], used: Used) -> None:
        """See `Keeping.attach`."""
        self._invalidate = Refreshing(self._choice.invalidate, tasks) if self._choice.invalidate else None
        self._dependents.used = used

    def redoes(self, progress: NodeProgress, item: int) -> bool:
        """Whether it was to run again in this generation, so that older results do not count."""
        if self._invalidate is not None and self._invalidate.covers(progress, item):
            return True
        dependents = self._dependents
        return bool(dependents) and (dependents.named(progress, item) or dependents.due(progress, item))


class Keeping:
    """Decides for the nodes and items of a generation. `past` is the generation before; `choice` is settled: what runs
    again goes by names. To be attached to the run first."""

    def __init__(self, past: Past, choice: Choice) -> None:
        self.earlier = Earlier(past)
        self.choice = choice
        self.dependents = Dependents(choice.again or ())
        #: the same for the nodes as they were
        self._before = Dependents(choice.again or ())
        self._keep: Refreshing | None = None
        self._invalidate: Refreshing | None = None
        #: whether what scopes were for is done, by what takes them down
        self._done: dict[str, bool] = {}
        self._tasks: Mapping[str, Task] = {}
        self._known = [Level(self.earlier)]

    def attach(self, tasks: Mapping[str, Task], used: Used | None = None) -> None:
        """Name the tasks of the run, of which there may come to be more; and what dynamic bodies had used before they
        called a node."""
        choice = self.choice
        self._keep = Refreshing(choice.keep, tasks) if choice.keep else None
        self._invalidate = Refreshing(choice.invalidate, tasks) if choice.invalidate else None
        if used is not None:
            self.dependents.used = used
        self._tasks = tasks
        for level in self._known:
            level.attach(tasks, self.dependents.used)

    @property
    def _levels(self) -> Iterator[Level]:
        """The generations before, the latest first, read back as they are asked for."""
        for level in count():
            if level == len(self._known):
                run = self._known[-1].earlier.past.run
                further = None if run.generation == 1 else self._read(run)
                if further is None:
                    return
                self._known.append(further)
            yield self._known[level]

    def _read(self, run: RunRecord) -> Level | None:
        """The generation before one."""
        past = self.earlier.past
        try:
            before = past.store.find(earlier_id(run, run.generation - 1))
        except NotFoundError:
            return None
        level = Level(Earlier(Past(past.store, past.values, before)))
        level.attach(self._tasks, self.dependents.used)
        return level

    def find(self, progress: NodeProgress, item: int) -> Found | None:
        """The latest result of a node or an item: that of the generation before, or, where it was not reached there, of one
        before that, unless it was to run again since. None where it failed or was skipped since."""
        for level in self._levels:
            cell = level.earlier.cell(progress, item)
            if cell is not None:
                record = level.earlier.finished(cell)
                if record is not None:
                    return Found(level.earlier, cell, record)
                if level.earlier.decided(cell):
                    return None
            if level.redoes(progress, item):
                return None
        return None

    def verdict(self, progress: NodeProgress, item: int, prepared: Prepared, nodes: Nodes) -> Verdict:
        """What becomes of a node or an item that is about to be looked for in the cache. Raises nothing of its own."""
        cell, found = self.earlier.cell(progress, item), self.find(progress, item)
        if self.dependents and self.dependents.named(progress, item):
            return Verdict(None, cell, "chosen")
        if self._invalidate is not None and self._invalidate.covers(progress, item):
            return Verdict(None, cell, "invalidated")
        if found is None:
            due = bool(self.dependents) and self.dependents.due(progress, item)
            return Verdict(None, cell, "dependent" if due else "unfinished")
        if self._keep is not None and self._keep.covers(progress, item):
            return self._kept(found, cell, by_choice=True)
        if self.dependents and self.dependents.due(progress, item):
            return Verdict(None, cell, "dependent", found=found)
        if self._is_undone(progress, found.earlier, nodes):
            return Verdict(None, cell, "undone", found=found)
        if self._has_changed(progress, found, prepared, nodes):
            return Verdict(None, cell, "changed", found=found)
        if self._did_not_pass(progress, found):
            return Verdict(None, cell, "unfinished", found=found)
        return self._kept(found, cell)

    def _did_not_pass(self, progress: NodeProgress, found: Found) -> bool:
        """Whether a node is a check of an asset that has not passed: what it looks at may be mended since."""
        if checked_by(progress, self._tasks) is None:
            return False
        try:
            return not outcome_of(found.earlier.past.values.load(found.record.outputs[0])).passed
        except Exception:
            # an answer that is none, or that is gone
            return True

    def _kept(self, found: Found, cell: Cell | None, *, by_choice: bool = False) -> Verdict:
        generation = origin_of(found.record) or found.earlier.past.run.generation
        record = msgspec.structs.replace(found.record, state=NodeState.CACHED, reason=kept_from(generation))
        return Verdict(record, cell, by_choice=by_choice, found=found)

    # What was taken down.

    def _is_undone(self, progress: NodeProgress, earlier: Earlier, nodes: Nodes) -> bool:
        """Whether what a node did does not last: handlers run at the end of each generation, and what was set up and then
        taken down is set up again where something is left to be done with it."""
        scopes = self._scopes(progress, earlier)
        if progress.final and not scopes:
            return True
        return any(self._was_left(scope, earlier) and not self._is_done(scope, earlier, nodes) for scope in scopes)

    def _scopes(self, progress: NodeProgress, earlier: Earlier) -> list[Scope]:
        """The scopes that a node, or something that it is in, sets up or takes down."""
        found = list(earlier.scopes_of(progress.id))
        owner = progress.frame.owner
        return found if owner is None else found + self._scopes(owner, earlier)

    def _was_left(self, scope: Scope, earlier: Earlier) -> bool:
        """Whether the taking down has begun."""
        progress = earlier.past.progress.nodes[scope.teardown]
        return progress.phase.fruitful or bool(progress.attempts) or progress.items is not None

    def _is_done(self, scope: Scope, earlier: Earlier, nodes: Nodes) -> bool:
        """Whether all that was to be done between setting up and taking down is finished, and nothing of it is due."""
        if scope.teardown not in self._done:
            inside = (
                each
                for name, each in earlier.past.progress.nodes.items()
                if any(name == node or name.startswith((f"{node}/", f"{node}[")) for node in scope.body)
            )
            self._done[scope.teardown] = all(self._lasts(each, earlier, nodes) for each in inside)
        return self._done[scope.teardown]

    def _lasts(self, was: NodeProgress, earlier: Earlier, nodes: Nodes) -> bool:
        """Whether a node is finished as it was, and neither its code nor anybody's choice is against that."""
        now, known = nodes.identity(was), earlier.past.basis.tasks.get(was.node.task)
        items = range(-1, 0 if was.items is None else len(was.items.phases))
        return (
            was.phase.fruitful
            and now in (None, known)
            and not self._before.touches(was)
            and not (self._invalidate is not None and any(self._invalidate.covers(was, item) for item in items))
        )

    # What is another one now.

    def _has_changed(self, progress: NodeProgress, found: Found, prepared: Prepared, nodes: Nodes) -> bool:
        record = found.record
        if record.fingerprint is not None and prepared.fingerprint is not None:
            return record.fingerprint != prepared.fingerprint
        made = found.earlier.made(found.cell, record)
        template = nodes.template(progress)
        if template.question is not None:
            if _asked_otherwise(made, template.question):
                return True
        elif _is_other_code(made, progress, nodes):
            return True
        inputs = {**template.fixed, **prepared.inputs}
        return _are_others(made, inputs, progress, nodes)


def _asked_otherwise(made: Made, question: ApprovalAction) -> bool:
    """Whether it is not the question that was answered."""
    progress = made.past.progress_of(made.cell)
    before = made.past.progress.tasks[progress.node.task].action
    if not isinstance(before, ApprovalAction):
        return True
    return msgspec.structs.replace(before, location=question.location) != question


def _is_other_code(made: Made, progress: NodeProgress, nodes: Nodes) -> bool:
    """Whether a result was not made by the code of now, as far as that is known."""
    before = made.past.progress_of(made.cell).node
    known = made.past.identity(made.cell)
    if nodes.is_stale(progress) or (known is not None and bool(known.edited or known.altered)):
        return True
    now = nodes.identity(progress)
    was = made.past.basis.tasks.get(before.task)
    if was is not None and now is not None and was != now:
        return True
    task, old = nodes.run.tasks[progress.node.task], made.past.progress.tasks[before.task]
    settings = (task.environment, versioned(progress.node.policy), progress.node.wait is None)
    return settings != (old.environment, versioned(before.policy), before.wait is None)


def _are_others(made: Made, inputs: dict[str, Argument], progress: NodeProgress, nodes: Nodes) -> bool:
    """Whether what counts of the inputs is not what it was. What cannot be hashed is the same where it is the very same."""
    past, caching = made.past, progress.node.policy.caching
    try:
        before = past.inputs(made.cell)
    except Exception:
        # nothing is kept by which to tell
        return False
    names = sorted(set(inputs) - set(caching.ignored))
    if names != sorted(set(before) - set(caching.ignored)):
        return True
    code_of = nodes.code_of
    for name in names if not caching.keyed else counted(caching, inputs):
        if past.values.digest(before[name]) != past.values.digest(inputs[name]):
            return True
        classes = past.values.classes(inputs[name]) & past.basis.classes.keys()
        if any(code_of(each) != past.basis.classes[each] for each in classes):
            return True
    return False


__all__ = ["Cause", "Keeping", "Verdict", "keeping_of"]
