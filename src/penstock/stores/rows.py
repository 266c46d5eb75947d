"""Records as rows of tables, and back.

What people may want to read in the database is JSON, the rest is msgpack. `key` is the number by which the tables of a
run refer to it. Rows are made while they are inserted: lists of them would set off the garbage collector.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import convert
from msgspec.structs import replace

from penstock.model.event import AnyEvent, Fault, Grown
from penstock.model.expression import Expression
from penstock.model.graph import Graph, Node, Task, to_json, written
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, NodeState, Provenance, RunRecord, RunState
from penstock.model.trigger import Cause
from penstock.model.value import Argument, Artifact, Description
from penstock.model.work import Attachment, Line, Metric
from penstock.ports import LoggedAttachment, LoggedLine, LoggedMetric, Turn

#: the columns of the rows made and read here, in order
RUN = (
    "run_id, pipeline, state, parameters, started_at, finished_at, target, driver, outputs, token, generation, cause, "
    "version"
)
ATTEMPT = (
    "node, item, attempt, state, started_at, duration, cpu, peak_memory, worker, fingerprint, outputs, fault, reason, "
    "key"
)
RESULT = "fingerprint, outputs, run, node, item, attempt, created_at"
DESCRIPTION = "digest, preview"
LINE = "node, item, attempt, stream, text, at"
METRIC = "node, item, attempt, name, value, step, at"
ATTACHMENT = "node, item, attempt, name, artifact"

Row = tuple[Any, ...]

#: bytes of a graph from which it is compressed
_LARGE = 16_384
#: the level of compression: more would make the documents of the largest graphs a tenth smaller, and take twice as long
_QUICK = 1

encode = msgspec.msgpack.Encoder().encode
decode_events = msgspec.msgpack.Decoder(list[AnyEvent]).decode
decode_outputs = msgspec.msgpack.Decoder(tuple[Argument, ...]).decode
decode_argument = msgspec.msgpack.Decoder(Argument).decode
decode_results = msgspec.msgpack.Decoder(dict[str, Argument]).decode
_decode_artifact = msgspec.msgpack.Decoder(Artifact).decode
_decode_fault = msgspec.msgpack.Decoder(Fault).decode
# The standard library's JSON keeps nan, infinities and lone surrogates, which msgspec's does not. A preview that holds
# more than JSON does is shown as text: it is not worth failing a run.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_preview_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def plain(text: str) -> str:
    """The text as UTF-8 can hold it: lone surrogates, as undecodable bytes leave them, become `\\udc80`.

    In JSON that is the escape that reads back as the surrogate.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def run_row(run: RunRecord) -> Row:
    return (
        run.run_id,
        run.pipeline,
        str(run.state),
        plain(_to_json(run.parameters)),
        run.started_at,
        run.finished_at,
        plain(run.target),
        plain(run.driver),
        encode(run.outputs),
        run.token,
        run.generation,
        None if run.cause is None else json_document(run.cause),
        run.version,
    )


def run_of(row: Row) -> RunRecord:
    run_id, pipeline, state, parameters, started_at, finished_at, target, driver, outputs, *more = row
    token, generation, cause, version = more
    return RunRecord(
        run_id=run_id,
        pipeline=pipeline,
        state=RunState(state),
        parameters=json.loads(parameters),
        started_at=started_at,
        finished_at=finished_at,
        target=target,
        driver=driver,
        outputs=decode_results(outputs),
        token=token,
        generation=generation,
        cause=None if cause is None else cause_of(cause),
        version=version,
    )


def json_document(value: Any) -> str:
    """A record, or what JSON can hold, as JSON."""
    return plain(_to_json(msgspec.to_builtins(value)))


def cause_of(document: str) -> Cause:
    return convert(json.loads(document), Cause)


def graph_document(graph: Graph) -> bytes:
    """The graph as JSON, compressed when it is large."""
    document = to_json(graph, indent=-1)
    return document if len(document) < _LARGE else zlib.compress(document, _QUICK)


def graph_of(document: bytes) -> bytes:
    """The graph as JSON."""
    return document if document.startswith(b"{") else zlib.decompress(document)


def events_document(events: Sequence[AnyEvent]) -> bytes:
    """The events of a turn. What they hold of the user's own values is kept as the graph's document keeps it."""
    if not grows(events):
        return encode(events)
    return encode([_kept(event) if type(event) is Grown else event for event in events])


def grows(events: Sequence[AnyEvent]) -> bool:
    """Whether there are nodes that appear in a turn with these events."""
    return Grown in map(type, events)


def _kept(event: Grown) -> Grown:
    return replace(
        event,
        nodes=convert(_packable(written(event.nodes)), tuple[Node, ...]),
        tasks=convert(_packable(written(event.tasks)), dict[str, Task]),
        result=convert(_packable(written(event.result)), Expression),
    )


def _packable(value: Any) -> Any:
    """What JSON holds as msgpack can: it has no integers beyond 64 bits."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        return {"repr": repr(value)}
    if type(value) is list:
        return [_packable(element) for element in cast("list[Any]", value)]
    if type(value) is dict:
        return {key: _packable(element) for key, element in cast("dict[str, Any]", value).items()}
    return value


def request_document(request: Request) -> str:
    return plain(_to_json(msgspec.to_builtins(request)))


def request_of(document: str) -> Request:
    return convert(json.loads(document), Request)


def provenance_document(provenance: Provenance) -> str:
    return plain(_to_json(msgspec.to_builtins(provenance)))


def provenance_of(document: str) -> Provenance:
    return convert(json.loads(document), Provenance)


def attempt_rows(key: int, turn: Turn) -> Iterator[Row]:
    return (
        (
            key,
            a.node,
            a.item,
            a.attempt,
            str(a.state),
            a.started_at,
            a.duration,
            a.cpu,
            a.peak_memory,
            a.worker,
            a.fingerprint,
            encode(a.outputs),
            None if a.fault is None else encode(a.fault),
            a.reason and plain(a.reason),
            a.key if a.key is None else plain(a.key),
        )
        for a in turn.attempts
    )


def attempt_of(row: Row) -> AttemptRecord:
    node, item, attempt, state, *measured, fingerprint, outputs, fault, reason, key = row
    started_at, duration, cpu, peak_memory, worker = measured
    return AttemptRecord(
        node=node,
        item=item,
        attempt=attempt,
        state=NodeState(state),
        started_at=started_at,
        duration=duration,
        cpu=cpu,
        peak_memory=peak_memory,
        worker=worker,
        fingerprint=fingerprint,
        outputs=decode_outputs(outputs),
        fault=None if fault is None else _decode_fault(fault),
        reason=reason,
        key=key,
    )


def result_rows(key: int, turn: Turn) -> Iterator[Row]:
    return (
        (fingerprint, encode(made.outputs), key, made.node, made.item, made.attempt, turn.at)
        for fingerprint, made in turn.results.items()
    )


def description_rows(turn: Turn) -> Iterator[Row]:
    # of several of one digest the last counts
    latest = {d.digest: d.preview for d in turn.descriptions}
    return ((digest, plain(_preview_to_json(preview))) for digest, preview in latest.items())


def description_of(row: Row) -> Description:
    digest, preview = row
    return Description(digest, json.loads(preview))


def line_rows(key: int, turn: Turn) -> Iterator[Row]:
    return (
        (key, said.node, said.item, said.attempt, line.stream, plain(line.text), line.at)
        for said in turn.said
        for line in said.lines
    )


def line_of(row: Row) -> LoggedLine:
    node, item, attempt, stream, text, at = row
    return LoggedLine(node, item, attempt, Line(stream, text, at))


def metric_rows(key: int, turn: Turn) -> Iterator[Row]:
    # SQLite has no nan: it takes one for NULL, which `metric_of` takes for one.
    return (
        (key, said.node, said.item, said.attempt, plain(metric.name), metric.value, metric.step, metric.at)
        for said in turn.said
        for metric in said.metrics
    )


def metric_of(row: Row) -> LoggedMetric:
    node, item, attempt, name, value, step, at = row
    return LoggedMetric(node, item, attempt, Metric(name, float("nan") if value is None else value, step, at))


def attachment_rows(key: int, turn: Turn) -> Iterator[Row]:
    return (
        (key, said.node, said.item, said.attempt, plain(attachment.name), encode(attachment.artifact))
        for said in turn.said
        for attachment in said.attachments
    )


def attachment_of(row: Row) -> LoggedAttachment:
    node, item, attempt, name, artifact = row
    return LoggedAttachment(node, item, attempt, Attachment(name, _decode_artifact(artifact)))
