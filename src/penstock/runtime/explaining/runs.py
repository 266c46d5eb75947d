"""In what two runs differ: causes before effects."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.model.run import Provenance, RunState
from penstock.model.value import Argument
from penstock.runtime.explaining.account import Comparison
from penstock.runtime.explaining.consequences import Consequences
from penstock.runtime.explaining.data import DataComparison, DataDifference
from penstock.runtime.explaining.difference import Difference, in_order
from penstock.runtime.explaining.graphs import graph_differences
from penstock.runtime.explaining.shown import shown
from penstock.runtime.explaining.tasks import TaskDifference, Tasks
from penstock.runtime.explaining.told import lines_of
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.document import metrics_document
from penstock.runtime.reading.origins import logged_in
from penstock.runtime.reading.past import Past

#: options that only say how a run is shown, or where, or what it keeps of the generation before
_PRIVATE = frozenset({"progress", "logs", "home", "wait", "generation"})


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that has one value in one run and another in the other; None where it is not there."""

    name: str
    before: Any = None
    after: Any = None


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """In what two runs differ. Every list is empty where nothing differs."""

    before: str
    after: str
    pipelines: tuple[str, str]
    states: tuple[str, str]
    #: what the runs were given, and what they were made of, told once for all tasks
    causes: tuple[Difference, ...] = ()
    #: calls of tasks that are other ones, which follows, or may, from the parameters, or from what other tasks have made
    consequences: tuple[Difference, ...] = ()
    #: further circumstances, which do not count for fingerprints: packages that no task reads, machine, options
    circumstances: tuple[Change, ...] = ()
    #: in the order of the graph
    tasks: tuple[TaskDifference, ...] = ()
    #: how many nodes and items are the same
    same: int = 0
    #: how many have yet to end in a run that is under way
    unfinished: int = 0
    data: tuple[DataDifference, ...] = ()
    metrics: tuple[Change, ...] = ()
    outputs: tuple[Change, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing differs of what counts, nor of what came of it."""
        return not (self.causes or self.consequences or self.tasks or self.metrics or self.outputs)

    def __repr__(self) -> str:
        counts = f"{len(self.tasks):,} tasks touched, {self.same:,} the same"
        told = "nothing differs" if self.empty else counts
        differences = (*self.causes, *self.consequences)
        lines = [line.text for each in differences for line in lines_of(msgspec.to_builtins(each), most=None)]
        changes = [f"{each.name}: {each.before} -> {each.after}" for each in (*self.metrics, *self.outputs)]
        return "\n  ".join([f"{self.before} and {self.after}: {told}", *lines, *changes])


def diff_runs(before: Past, after: Past) -> RunDiff:
    """Compare two runs. Nothing large is loaded but the frames that differ, for what is told of their data."""
    comparison = Comparison()
    tasks = Tasks(before, after, comparison)
    touched = [each.difference for each in tasks.touched]
    data = DataComparison(before.values)
    causes, consequences = _causes(before, after, touched, comparison)
    return RunDiff(
        before=before.run.run_id,
        after=after.run.run_id,
        pipelines=(before.run.pipeline, after.run.pipeline),
        states=(before.run.state.value, after.run.state.value),
        causes=causes,
        consequences=consequences,
        circumstances=tuple(_circumstances(before, after, causes)),
        tasks=tuple(_narrowed(touched)),
        same=tasks.same,
        unfinished=tasks.unfinished,
        data=tuple(each for one in tasks.touched for each in data.of(one)),
        metrics=tuple(_changes(_metrics(before), _metrics(after))),
        outputs=tuple(_outputs(before, after)),
    )


def _narrowed(tasks: Iterable[TaskDifference]) -> Iterator[TaskDifference]:
    """Of the nodes that a task was given something of, only those that made something else."""
    tasks = list(tasks)
    changed = {task.id.rpartition("[")[0] if task.id.endswith("]") else task.id for task in tasks}
    changed |= {task.id for task in tasks}
    for task in tasks:
        because = tuple(node for node in task.because_of if node in changed)
        yield msgspec.structs.replace(task, because_of=because) if because else task


def _causes(
    before: Past, after: Past, tasks: Sequence[TaskDifference], comparison: Comparison
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """What differs of what the runs were given and made of, and what may follow from that; each once, though several
    tasks may have it."""
    parameters = list(_parameters(before, after, comparison))
    # where it has other parameters, or another name, the pipeline itself is another one
    decisive = before.run.pipeline == after.run.pipeline and any(each.change == "changed" for each in parameters)
    consequences = Consequences(before, after, tasks, parameters=decisive)
    calls = list(graph_differences(before, after))
    certain, following = list(parameters), list[Difference]()
    for path, each in calls:
        (following if consequences.follows(path) else certain).append(each)
    for path, each in _of_tasks(tasks, {each.name for _, each in calls}):
        follows = each.kind == "input" and consequences.follows_from_tasks(path)
        (following if follows else certain).append(each)
    return tuple(in_order(certain)), tuple(in_order(following))


def _parameters(before: Past, after: Past, comparison: Comparison) -> Iterator[Difference]:
    stores = after.values, after.store
    old, new = before.basis.parameters, after.basis.parameters
    for name in dict.fromkeys([*old, *new]):
        if (found := comparison.difference("parameter", name, old.get(name), new.get(name), stores)) is not None:
            yield found


def _of_tasks(tasks: Iterable[TaskDifference], told: Container[str]) -> Iterator[tuple[str, Difference]]:
    """What differs of what tasks are made of and given, each once, with the path of the first. `told` are the names of
    what is told of their calls."""
    seen: set[Any] = set()
    for task in tasks:
        for each in task.causes:
            # parameters are told; so is what the pipeline gives a task, unless only its content is another
            key = each.kind, each.name if each.kind != "input" else f"{task.path}.{each.name}", each.where
            if each.kind != "parameter" and key not in seen and not (each.kind == "input" and key[1] in told):
                seen.add(key)
                yield task.path, each if each.kind != "input" else msgspec.structs.replace(each, name=key[1])


def _circumstances(before: Past, after: Past, causes: Iterable[Difference]) -> Iterator[Change]:
    told = {f"package {each.name}" if each.kind == "package" else each.kind for each in causes}
    old, new = (_facts(past.store.provenance(past.run.run_id)) for past in (before, after))
    yield from (change for change in _changes(old, new) if change.name not in told)


def _facts(provenance: Provenance) -> dict[str, Any]:
    """What else a run had, by name."""
    facts: dict[str, Any] = {
        "penstock": provenance.penstock,
        "python": provenance.python,
        "platform": provenance.platform,
        "git commit": provenance.git_commit,
        "uncommitted changes": provenance.git_dirty,
    }
    facts |= {f"package {name}": version for name, version in provenance.packages.items()}
    facts |= {f"machine {name}": value for name, value in provenance.machine.items()}
    facts |= {f"option {name}": value for name, value in provenance.configuration.items() if name not in _PRIVATE}
    return facts | {f"variable {name}": value for name, value in provenance.environment.items()}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        # NaN differs from itself
        if was != now and not (was != was and now != now):
            yield Change(name, was, now)


def _metrics(past: Past) -> dict[str, float]:
    """The last value of every metric; those of cached tasks included."""
    attempts = [record for records in past.attempts.values() for record in records]
    logged = logged_in(past.store, past.run.run_id, attempts).metrics
    return metrics_document(logged, Cells(past.graph, attempts))


def _outputs(before: Past, after: Past) -> Iterator[Change]:
    """What the pipeline returned; of a run that has not ended well, nothing."""
    if RunState.RUNNING in (before.run.state, after.run.state):
        return
    old, new = before.run.outputs, after.run.outputs
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        if was is None or now is None or before.values.digest(was) != after.values.digest(now):
            yield Change(name, _told(was, before), _told(now, after))


def _told(value: Argument | None, past: Past) -> str | None:
    return None if value is None else shown(value, past.values, past.store)


__all__ = ["Change", "RunDiff", "diff_runs"]
