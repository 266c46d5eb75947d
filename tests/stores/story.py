"""What files and databases of older schemas were made from."""

from __future__ import annotations

from typing import Any

from penstock.model.event import Expanded, Failed, Fault, Missed, RunStarted, Skipped, Started, Succeeded
from penstock.model.graph import from_json
from penstock.model.identity import Basis, CodePart, SourceText, TaskIdentity
from penstock.model.request import AnswerGiven, CancelAsked
from penstock.model.run import NodeState, RunState
from penstock.model.value import Artifact, Collection, Description, Selection
from penstock.model.work import Attachment, Line, Metric
from penstock.ports import Holder, Result, Said, Store
from penstock.testing.records import artifact, attempt, graph, provenance, result, run_record, turn
from penstock.testing.store_agenda import definition, fire, firing, occurrence, start
from penstock.testing.store_catalog import RUNNING, change, version
from penstock.testing.store_conformance import contents
from penstock.testing.store_journal import EVENTS, dynamic_graph

#: a time that no test lives to see
FAR = 4_000_000_000.0
DIGESTS = [bytes(range(32)), b"\x00" * 32]


def tell_story(store: Store) -> None:
    """Two runs with something in every table: what `schema_1.sql` was made from. It has to stay as it is."""
    value = Artifact("json", "int", DIGESTS[0], 2, b"42")
    frame = Artifact("frame", "pandas.DataFrame", DIGESTS[1], 1 << 33, None, DIGESTS[0])
    fault = Fault("ValueError", "größer als 1", "Traceback ...", b"\x80\x05N.")
    store.create(
        run_record("20261121-first", parameters={"rate": 0.1, "names": ["é"]}, target="pipeline.py", driver="host:1"),
        graph(200),
        provenance(packages={"numpy": "2.3.5"}, seeds={"seed": 2**64}, git_commit="ab" * 20, git_dirty=False),
    )
    store.create(run_record("20261121-second", started_at=1_700_000_100.0), graph(1), provenance())
    started = [RunStarted(), Expanded("fit", 2), Missed("fit", 0, DIGESTS[0]), Started("fit", 0, 1)]
    store.commit("20261121-first", turn(0, events=started))
    lines = (Line("stdout", "erste Zeile", 1.5), Line("warning", "", 2.0))
    said = Said("fit", 0, 1, lines, (Metric("loss", 0.25, 3, 2.5),), (Attachment("plot", frame),))
    ended = [Succeeded("fit", 0, 1, (value, frame)), Failed("fit", 1, 1, fault), Skipped("report", "not good enough")]
    attempts = [
        attempt("fit", 0, duration=0.5, peak_memory=2**30, fingerprint=DIGESTS[0], outputs=(value, frame)),
        attempt("fit", 1, state=NodeState.FAILED, fault=fault),
        attempt("report", number=0, state=NodeState.SKIPPED, reason="not good enough"),
    ]
    results = {DIGESTS[0]: Result("fit", 0, 1, (value, frame))}
    described = [Description(DIGESTS[1], {"rows": 3, "head": [[1.5, None, "é"]]})]
    store.commit(
        "20261121-first",
        turn(1, events=ended, attempts=attempts, results=results, said=[said], descriptions=described),
    )
    outputs = {"model": frame, "all": Collection("list", (value, Selection(frame, "column")))}
    store.commit("20261121-first", turn(2, end=RunState.SUCCEEDED, outputs=outputs))
    store.commit("20261121-second", turn(0, events=[RunStarted()]))


def tell_more(store: Store) -> None:
    """What came with schema 2, on top: `schema_2.sql` was made from both. It has to stay as it is."""
    store.create(run_record("20261121-third", driver="host:1"), dynamic_graph(), provenance())
    store.commit("20261121-third", turn(0, events=EVENTS))
    whole = Collection("dict", (artifact(1), artifact(2, blob=True)), ("rf", "größe"))
    ended = [attempt("fold[rf]/fit", 0, key="größe", outputs=(whole,)), attempt("fold[rf]/fit", 1)]
    results = {DIGESTS[1]: result(whole, node="fold[rf]/fit", item=0)}  # type: ignore[arg-type]
    store.commit("20261121-third", turn(1, attempts=ended, results=results))
    store.size_pools({"db": 4, "api": 1})
    store.hold(Holder("20261121-third", "fold[rf]/fit", 1), {"db": 3}, FAR)
    store.hold(Holder("20261121-second"), {"api": 1}, FAR)
    store.ask("20261121-third", AnswerGiven("sign", True, "ada", 2.5, "größer", {"n": 2**70}))
    store.ask("20261121-third", CancelAsked("enough", "bob", 3.5, now=True))
    store.create(run_record("20261121-fourth"), graph(1), provenance())
    store.commit("20261121-fourth", turn(0, end=RunState.PAUSED))


def tell_of_code(store: Store) -> None:
    """What came with schema 3, on top: `schema_3.sql` was made from all of it. It has to stay as it is."""
    kept = SourceText(DIGESTS[0], "def größer():\n    return 1\n")
    part = CodePart("m:größer", DIGESTS[1], "m.py", 1, 2, kept.digest)
    store.keep([TaskIdentity(digest=DIGESTS[1], parts=(part,), limits=("m.py:3: eval",))], [kept])
    frame = Artifact("frame", "pandas.DataFrame", DIGESTS[1], 1 << 33, None, DIGESTS[0])
    basis = Basis(
        parameters={"data": frame},
        tasks={"größer": DIGESTS[1]},
        files={"in.csv": DIGESTS[0]},
        classes={"m:Größe": DIGESTS[1]},
    )
    store.create(run_record("20261121-fifth"), graph(1), provenance(), basis)
    store.commit("20261121-fifth", turn(0, claims={b"\x01" * 32: ("größer", -1)}))
    store.tag("20261121-fifth", add=["keep", "größer"])


def tell_of_drivers(store: Store) -> None:
    """What came with schema 4, on top: `schema_4.sql` was made from all of it. It has to stay as it is."""
    store.reopen("20261121-second", "host:2")
    store.beat("20261121-second", 2, 1_700_000_900.5)
    store.commit("20261121-second", turn(store.pulse("20261121-second").turns, token=2))
    store.tag("20261121-first", add=["largest"])
    again = run_record("20261121-first", started_at=1_700_000_800.0, driver="host:3")
    store.regenerate(again, graph(1), provenance(python="3.12"))


def tell_of_triggers(store: Store) -> None:
    """What came with schema 5 of the file, and schema 2 of the database."""
    made = firing("1", tags=("größer",))
    store.agenda.register([definition("nightly", document={"source": "größer"})])
    fire(store.agenda, made)
    store.agenda.claim(made.run_id, "host:1", 1.0)
    start(store, made, version=1)
    told = [occurrence("größer", data={"n": 2**70})]
    parts = [change(RUNNING, "b", run_id=made.run_id)]
    versions = [version(1, "a", run_id=made.run_id)]
    store.commit(made.run_id, turn(0, occurrences=told, partitions=parts, materializations=versions))
    store.agenda.emit(told)
    store.catalog.add_partitions("customers", ["größer"])


def triggers_of(store: Store) -> list[Any]:
    """What a store says of all that."""
    agenda, catalog = store.agenda, store.catalog
    told = [agenda.definitions(), agenda.standings(), agenda.firings(), agenda.under_way(), agenda.occurrences()]
    made = [catalog.latest(), catalog.states("features"), catalog.dynamic_partitions("customers")]
    return [store.find("nightly-1"), *told, *made]


#: in this order, all of it
STORY = (tell_story, tell_more, tell_of_code, tell_of_drivers)
#: the runs that it leaves
RUNS = tuple(f"20261121-{name}" for name in ("first", "first.1", "second", "third", "fourth", "fifth"))


def story_of(store: Store, *more: str) -> list[Any]:
    """All that a store says of the two runs, and of others."""
    runs = ["20261121-first", "20261121-second", *more]
    details = [(contents(store, run), from_json(store.graph(run)), store.provenance(run)) for run in runs]
    return [*details, store.runs(), store.recorded(DIGESTS), store.origins(DIGESTS), store.descriptions(DIGESTS)]
