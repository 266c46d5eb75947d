"""Runs as people see them: after a run, in lists, one by one; and errors.

Every view takes the run document (`run --json`), or a list of them, and returns something that a rich console
prints; `rendered` makes plain text of it. Keys that a document lacks are left out of the view.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.authoring.source import nearby
from penstock.cli.plan_view import without_effect
from penstock.cli.questions_view import open_questions_view
from penstock.cli.task_views import answers, counts, duration_of, failures, history, state_of, task_table, when
from penstock.errors import PenstockError
from penstock.model.run import NodeState
from penstock.observe.marks import ORPHANED, mark
from penstock.observe.measures import counted, duration, number, size
from penstock.observe.outline import clip
from penstock.runtime.reading.causes import cause_in_short

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["error_view", "next_steps", "pool_table", "run_table", "run_view", "summary", "when"]

Document = Mapping[str, Any]

#: holders of one pool that are listed
_HOLDERS = 10


def summary(document: Document) -> RenderableType:
    """What to say when a run has ended: how, its metrics, its outputs and how many tasks did what; of a failed run
    each failed task with the user's traceback."""
    from rich.console import Group
    from rich.text import Text

    failed = failures(document)[1:]
    space = [Text()] if failed else []
    headline = _headline(document)
    return Group(*failed, *space, *headline, *_metrics(document), *_outputs(document), *_task_counts(document))


def run_table(documents: Sequence[Document]) -> RenderableType:
    """Runs in a table, in the order given; where there is room, with their first metrics."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import ByWidth, Marked, columns

    if not documents:
        return Text("no runs yet")
    rows = [
        {
            "run": str(document.get("run_id", "")),
            "pipeline": str(document.get("pipeline", "")),
            "state": Marked(*_run_state(document)),
            "started": when(document.get("started_at")),
            "duration": duration_of(document),
            "tasks": _tasks_in_short(document.get("tasks") or ()),
            "cause": cause_in_short(document.get("cause")),
            "tags": ", ".join(document.get("tags") or ()),
            "metrics": ", ".join(f"{name} {value}" for name, value in _values(document.get("metrics"))[:2]),
        }
        for document in documents
    ]
    narrow = [{name: value for name, value in row.items() if name != "metrics"} for row in rows]
    right = ("duration",)
    table = ByWidth(columns(narrow, right=right), columns(rows, right=right, wrap=("metrics",)), limit=100)
    if not any(document.get("orphaned") for document in documents):
        return table
    return Group(table, next_steps([("penstock resume --orphans", "go on with the runs whose process is gone")]))


def pool_table(pools: Sequence[Document]) -> RenderableType:
    """Pools with their sizes, and a row for each who holds a part."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not pools:
        return Text("no pools; make one: penstock pools set NAME=SIZE")
    rows: list[Mapping[str, str]] = []
    for pool in pools:
        held = {"pool": pool["name"], "size": str(pool["size"]), "held": str(pool["held"]), "by": ""}
        for holder in pool["holders"][:_HOLDERS] or [None]:
            by = "" if holder is None else f"{holder['amount']}: run {holder['run_id']} {holder['task'] or ''}".rstrip()
            rows.append({**held, "by": by})
            held = dict.fromkeys(held, "")
        if (more := len(pool["holders"]) - _HOLDERS) > 0:
            rows.append({**held, "by": f"and {more:,} more"})
    return columns(rows, right=("size", "held"), wrap=("by",))


def run_view(document: Document) -> RenderableType:
    """A run in full: parameters, every task with what it took, metrics, outputs, failures."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    parts = [*_headline(document), *_driver(document)]
    if facts := [(name, value) for name, value in _facts(document).items() if value]:
        parts.append(pairs(facts))
    if parameters := document.get("parameters"):
        parts += titled("parameters", pairs((name, _short(value)) for name, value in parameters.items()))
    if tasks := document.get("tasks"):
        parts += [Text(), task_table(tasks), *history(tasks), *answers(tasks), *open_questions_view(document)]
    if artifacts := document.get("artifacts"):
        logged = [(f"{each.get('task', '')}.{each.get('name', '')}", described(each)) for each in artifacts]
        parts += [*_metrics(document), *_outputs(document), *titled("artifacts", pairs(logged))]
    else:
        parts += [*_metrics(document), *_outputs(document)]
    return Group(*parts, *without_effect(document.get("ignored", ())), *failures(document))


def next_steps(steps: Sequence[tuple[str, str]], title: str = "next") -> RenderableType:
    """Commands worth trying, each with what it is for."""
    from rich.console import Group

    from penstock.cli.renderables import pairs, titled

    return Group(*titled(title, pairs(steps)))


def error_view(error: PenstockError) -> Text:
    """An error in at most three parts: what happened, where, what to do."""
    from rich.text import Text

    first, *rest = error.what.splitlines() or [""]
    text = Text.assemble(("error: ", "bold red"), (first, "bold"), _below(rest))
    if error.where:
        text.append("\n  at ").append(error.where, style="cyan")
    if error.remedy:
        advice, *more = error.remedy.splitlines()
        text.append(f"\n  {advice}{_below(more)}", style="green")
    return text


def _below(lines: Sequence[str]) -> str:
    """Lines below the first one of a message, indented unless the message itself did that."""
    indent = "" if all(line.startswith("  ") for line in lines) else "  "
    return "".join(f"\n{indent}{line}" for line in lines)


def _headline(document: Document) -> list[RenderableType]:
    """`✓ training succeeded in 12 s  run 7f3a`."""
    from penstock.cli.renderables import Marked

    state, word = _run_state(document)
    took = duration_of(document)
    joint = "in" if state == NodeState.SUCCEEDED else "after"
    words = [str(document.get("pipeline", "run")), word, f"{joint} {took}" if took else ""]
    run = f"  run {document['run_id']}" if document.get("run_id") else ""
    return [Marked(state, " ".join(word for word in words if word), plain=run)]


def _run_state(document: Document) -> tuple[str, str]:
    """The state of a run, and what it is called: `running`, `orphaned`, `running, not heard of for 3 min 02 s`."""
    state = ORPHANED if document.get("orphaned") else state_of(document)
    unheard = document.get("unheard_s")
    return state, mark(state).word + ("" if unheard is None else f", not heard of for {duration(unheard)}")


def _driver(document: Document) -> list[RenderableType]:
    """That a run has lost its driver, and what goes on with it."""
    from rich.text import Text

    if document.get("orphaned"):
        told = f"  the process {document['driver']} that drove it is gone"
    elif document.get("unheard_s") is not None:
        told = (
            f"  the process {document['driver']} that drives it was not heard of for {duration(document['unheard_s'])}"
        )
    else:
        return []
    return [Text(told), Text(f"  go on with it: penstock resume {document['run_id']}")]


def _facts(document: Document) -> dict[str, str]:
    """When, of what and on what a run was."""
    provenance: Document = document.get("provenance") or {}
    cause: Document = document.get("cause") or {}
    commit = str(provenance.get("git_commit") or "")[:12]
    penstock = f"penstock {provenance['penstock']}" if provenance.get("penstock") else ""
    surroundings = (provenance.get("python"), penstock, provenance.get("platform"))
    return {
        "started": when(document.get("started_at")),
        "generation": _generation(document),
        "cause": str(cause.get("text", "")),
        "target": str(document.get("target") or ""),
        "version": "" if document.get("version") is None else str(document["version"]),
        "tags": ", ".join(document.get("tags") or ()),
        "commit": f"{commit} and changes" if commit and provenance.get("git_dirty") else commit,
        "with": ", ".join(str(each) for each in surroundings if each),
    }


def _generation(document: Document) -> str:
    """`2 of 2, see also 20261121-183305-a1b2c3.1`, of a run that was begun anew."""
    if document.get("generations", 1) < 2:
        return ""
    others = [each for each in document["earlier"] if each != document["run_id"]]
    before = f", see also {', '.join(others)}" if others else ""
    return f"{document['generation']} of {document['generations']}{before}"


def _metrics(document: Document) -> list[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    metrics = _values(document.get("metrics"))
    return titled("metrics", pairs(metrics)) if metrics else []


def _outputs(document: Document) -> list[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    outputs: Mapping[str, Document] = document.get("outputs") or {}
    # a pipeline that returns nothing is not worth a line
    told = [(name, described(value)) for name, value in outputs.items() if value.get("value", ...) is not None]
    return titled("outputs", pairs(told)) if told else []


def _task_counts(document: Document) -> list[RenderableType]:
    from rich.text import Text

    tasks = document.get("tasks") or ()
    return [Text(), Text(f"{counted(len(tasks), 'task')}: {counts(tasks)}")] if tasks else []


def _tasks_in_short(tasks: Sequence[Document]) -> str:
    """How many tasks, and of those that failed, else of the cached ones, how many."""
    states = Counter(state_of(task) for task in tasks)
    told = next((state for state in (NodeState.FAILED, NodeState.CACHED) if states[state]), None)
    return f"{len(tasks):,}, {states[told]:,} {told}" if told else f"{len(tasks):,}" if tasks else ""


def _values(metrics: Mapping[str, float] | None) -> list[tuple[str, str]]:
    """Metrics by name; what many items of a task logged alike is told once, with its range."""
    alike: dict[str, dict[str, float]] = {}
    for name, value in (metrics or {}).items():
        alike.setdefault(_ITEM.sub("[*].", name, 1), {})[name] = value
    return [
        (common, _range(list(values.values()))) if len(values) > 1 else (name, number(value))
        for common, values in alike.items()
        for name, value in list(values.items())[:1]
    ]


#: where the name of a metric says which item of a task it is of: `fit[3].score`
_ITEM = re.compile(r"\[[^\]]*\]\.")


def _range(values: Sequence[float]) -> str:
    """`0.6000 to 0.7100, 12 items`."""
    numbers = [value for value in values if not math.isnan(value)] or values
    least, most = number(min(numbers)), number(max(numbers))
    return f"{least if least == most else f'{least} to {most}'}, {counted(len(values), 'item')}"


def _short(value: object) -> str:
    return clip(value if isinstance(value, str) else repr(value), 200)


def described(output: Document) -> str:
    """An output in a line: the file it is in, if it has a `path`; else its value if that is known; else what it is."""
    taken = size(output["size"]) if output.get("size") is not None else ""
    if path := output.get("path"):
        return f"{nearby(path)}  ({taken})" if taken else nearby(path)
    if "value" in output:
        return _short(output["value"])
    return ", ".join(word for word in (str(output.get("type") or ""), taken) if word)
