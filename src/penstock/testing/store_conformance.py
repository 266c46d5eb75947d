"""What every `penstock.ports.Store` has to do, as tests.

An adapter's own tests inherit `StoreConformance` and say how a store is made:

    class TestMyStore(StoreConformance):
        def make_store(self, folder: Path) -> Store:
            return MyStore(folder)
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.event import RunStarted
from penstock.model.graph import Graph, to_json
from penstock.model.run import NodeState, RunState
from penstock.model.value import Collection, Description, Record, Selection
from penstock.model.work import Attachment, Line, Metric
from penstock.ports import LoggedLine, Origin, Recorded, Said, Store, Timing
from penstock.testing.records import (
    FAULT,
    TEXT,
    UNFIT,
    artifact,
    attempt,
    fingerprint,
    graph,
    provenance,
    result,
    run_record,
    turn,
)
from penstock.testing.store_agenda import (
    BackfillConformance,
    OccurrenceConformance,
    RegistrationConformance,
    StandingConformance,
)
from penstock.testing.store_catalog import CheckConformance, PartitionConformance, VersionConformance
from penstock.testing.store_claims import ClaimConformance
from penstock.testing.store_collection import CodeConformance, CollectionConformance
from penstock.testing.store_compaction import CompactionConformance
from penstock.testing.store_drivers import GenerationConformance, LeaseConformance
from penstock.testing.store_firings import FiringConformance
from penstock.testing.store_journal import JournalConformance
from penstock.testing.store_races import RaceConformance
from penstock.testing.store_sharing import PoolConformance, RequestConformance


def contents(store: Store, run_id: str) -> list[Any]:
    """All that the store says about a run."""
    return [
        store.find(run_id),
        store.journal(run_id),
        store.attempts(run_id),
        store.lines(run_id),
        store.metrics(run_id),
        store.attachments(run_id),
    ]


class StoreConformance(
    JournalConformance,
    RequestConformance,
    PoolConformance,
    ClaimConformance,
    CodeConformance,
    CollectionConformance,
    LeaseConformance,
    GenerationConformance,
    CompactionConformance,
    RegistrationConformance,
    StandingConformance,
    FiringConformance,
    OccurrenceConformance,
    BackfillConformance,
    VersionConformance,
    PartitionConformance,
    CheckConformance,
    RaceConformance,
):
    """Tests of the `Store` port. A subclass implements `make_store`."""

    # Runs.

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.runs() == []
        assert store.recorded([fingerprint(1)]) == {}
        assert store.origins([fingerprint(1)]) == {}
        assert store.descriptions([b"\x00" * 32]) == {}
        for name in ("latest", "run-1", ""):
            with pytest.raises(NotFoundError):
                store.find(name)

    def test_a_run_comes_back_as_it_was_created(self, store: Store) -> None:
        parameters: dict[str, Any] = {
            "text": TEXT,
            "number": 2**70,
            "real": 0.1,
            "endless": [math.inf, -math.inf],
            "nothing": None,
            "": {"nested": [True, 1, 1.0, {}]},
        }
        outputs = {
            "model": artifact(1, blob=True),
            "all": Collection("dict", (artifact(2), Collection("list", ())), ("a", TEXT)),
            "named": Record("module:Pair", ("x",), (Selection(artifact(3), "key"),)),
            "part": Selection(artifact(3), -1, attribute=True),
        }
        run = run_record(
            "run-1",
            pipeline=TEXT,
            state=RunState.CANCELLED,
            parameters=parameters,
            finished_at=1_700_000_001.123456,
            target=TEXT,
            driver=TEXT,
            outputs=outputs,
        )
        store.create(run, graph(), provenance())
        assert store.find("run-1") == run
        assert store.runs() == [run]
        assert [type(value) for value in store.find("run-1").parameters[""]["nested"]] == [bool, int, float, dict]

    def test_a_parameter_that_is_no_number_stays_one_that_is_none(self, store: Store) -> None:
        store.create(run_record(parameters={"rate": math.nan}), graph(), provenance())
        assert math.isnan(store.find("run-1").parameters["rate"])

    def test_bytes_that_were_no_text_do_not_stop_a_run(self, store: Store) -> None:
        stray = b"data/\xff\xfe.csv".decode(errors="surrogateescape")
        store.create(run_record(parameters={"path": stray}, target=stray), graph(), provenance(command=(stray,)))
        store.commit("run-1", turn(said=[Said("fit", -1, 1, (Line("stdout", f"before {stray} after\x00"),))]))
        assert store.find("run-1").parameters == {"path": stray}
        assert store.provenance("run-1").command == (stray,)
        [(_, logged)] = store.lines("run-1")
        assert logged.line.text.startswith("before data/")
        assert ".csv after" in logged.line.text

    @pytest.mark.parametrize("nodes", [1, 2000])
    def test_the_graph_comes_back_as_json(self, store: Store, nodes: int) -> None:
        store.create(run_record(), graph(nodes), provenance())
        document = store.graph("run-1")
        assert msgspec.json.decode(document) == msgspec.json.decode(to_json(graph(nodes)))
        assert msgspec.json.decode(document, type=Graph) == graph(nodes)

    def test_the_provenance_comes_back(self, store: Store) -> None:
        full = provenance(
            machine={"cores": 2, "memory": 2**40},
            packages={"numpy": "2.3"},
            configuration={"executor": "processes", "workers": None},
            command=("penstock", "run", TEXT),
            git_commit="0" * 40,
            git_dirty=True,
            source={"pipeline.py": TEXT * 1000},
            seeds={"seed": 2**80, "rate": 0.1},
            environment={"LANG": TEXT},
        )
        store.create(run_record("full"), graph(), full)
        store.create(run_record("bare"), graph(), provenance())
        assert store.provenance("full") == full
        assert store.provenance("bare") == provenance()

    def test_an_id_is_given_once(self, store: Store, run_id: str) -> None:
        before = contents(store, run_id)
        with pytest.raises(StoreError):
            store.create(run_record(run_id, pipeline="other"), graph(3), provenance(python="4"))
        assert contents(store, run_id) == before
        assert msgspec.json.decode(store.graph(run_id), type=Graph) == graph()
        assert store.provenance(run_id) == provenance()

    def test_an_unknown_run_is_not_found(self, store: Store, run_id: str) -> None:
        unknown = f"{run_id}0"
        for read in (store.graph, store.provenance, store.attempts, store.journal, store.lines):
            with pytest.raises(NotFoundError, match=unknown):
                read(unknown)
        for read in (store.metrics, store.attachments):
            with pytest.raises(NotFoundError, match=unknown):
                read(unknown)
        with pytest.raises(StoreError, match=unknown):
            store.commit(unknown, turn())

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        for number, started in enumerate([30.0, 10.0, 20.0, 20.0]):
            store.create(run_record(f"run-{number}", started_at=started), graph(), provenance())
        assert [run.run_id for run in store.runs()] == ["run-0", "run-3", "run-2", "run-1"]
        assert [run.run_id for run in store.runs(limit=2)] == ["run-0", "run-3"]
        assert store.find("latest").run_id == "run-0"

    def test_runs_are_listed_by_pipeline_and_state(self, store: Store) -> None:
        states = [RunState.RUNNING, RunState.FAILED, RunState.FAILED, RunState.SUCCEEDED]
        for number, state in enumerate(states):
            run = run_record(f"run-{number}", started_at=float(number), state=state, pipeline=f"p{number % 2}")
            store.create(run, graph(), provenance())

        def listed(**only: Any) -> list[str]:
            return [run.run_id for run in store.runs(**only)]

        assert listed(pipeline="p1") == ["run-3", "run-1"]
        assert listed(state="failed") == ["run-2", "run-1"]
        assert listed(pipeline="p1", state="failed") == ["run-1"]
        assert listed(pipeline="p1", limit=1) == ["run-3"]
        assert listed(pipeline="p%") == []

    def test_a_run_is_found_by_the_start_of_its_id(self, store: Store) -> None:
        for run_id in ("abc", "abcd", "b_1", "bx2", "c%1", "cx2", "Z", "ü1"):
            store.create(run_record(run_id), graph(), provenance())
        assert store.find("abc").run_id == "abc"
        assert store.find("abcd").run_id == "abcd"
        assert store.find("b_").run_id == "b_1"
        assert store.find("c%").run_id == "c%1"
        assert store.find("ü").run_id == "ü1"
        for name in ("z", "%", "_", "abcde", "*"):
            with pytest.raises(NotFoundError):
                store.find(name)

    def test_an_ambiguous_start_names_the_newest_it_could_mean(self, store: Store) -> None:
        for number in range(7):
            run = run_record(f"2026-{number}", started_at=1_700_000_000.0 + number, pipeline=f"pipe{number}")
            store.create(run, graph(), provenance())
        with pytest.raises(NotFoundError) as caught:
            store.find("2026")
        message = str(caught.value)
        assert [number for number in range(7) if f"2026-{number}" in message] == [2, 3, 4, 5, 6]
        assert "pipe6, started 2023-11-14T22:13:26.000Z" in message

    def test_a_name_that_is_not_there_brings_up_the_nearest(self, store: Store) -> None:
        for run_id in ("20260101-quick-fox", "20260202-lazy-dog"):
            store.create(run_record(run_id), graph(), provenance())
        with pytest.raises(NotFoundError, match="20260202-lazy-dog") as caught:
            store.find("20260202-lzay-dog")
        assert "training, started 2023-11-14T22:13:20.250Z" in str(caught.value)

    # Turns.

    @pytest.mark.parametrize("number", [0, 1, 3, -1])
    @pytest.mark.parametrize("end", [None, RunState.FAILED])
    def test_a_turn_that_is_not_the_next_one_changes_nothing(
        self, store: Store, run_id: str, number: int, end: RunState | None
    ) -> None:
        store.commit(run_id, turn(0, attempts=[attempt("a")]))
        store.commit(run_id, turn(1, attempts=[attempt("b")]))
        before = contents(store, run_id)
        late = turn(
            number,
            events=[RunStarted()],
            attempts=[attempt("c")],
            results={fingerprint(1): result(artifact(1))},
            said=[Said("c", -1, 1, (Line("stdout", "late"),), (Metric("m", 1.0),), (Attachment("a", artifact(1)),))],
            descriptions=[Description(b"d" * 32, {})],
            end=end,
            outputs={"result": artifact(1)},
        )
        with pytest.raises(StoreError, match=run_id):
            store.commit(run_id, late)
        assert contents(store, run_id) == before
        assert store.recorded([fingerprint(1)]) == {}
        assert store.descriptions([b"d" * 32]) == {}
        store.commit(run_id, turn(2))

    def test_a_turn_is_committed_whole_or_not_at_all(self, store: Store, run_id: str) -> None:
        before = contents(store, run_id)
        results = {fingerprint(1): result(artifact(1))}
        with pytest.raises(StoreError):
            store.commit(run_id, turn(0, events=[RunStarted()], results=results, attempts=[attempt(), UNFIT]))
        assert contents(store, run_id) == before
        assert store.recorded(list(results)) == {}
        store.commit(run_id, turn(0, attempts=[attempt()]))
        with pytest.raises(StoreError):
            store.commit(run_id, turn(1, attempts=[attempt("other"), UNFIT]))
        assert store.attempts(run_id) == [attempt()]

    def test_the_last_turn_ends_the_run(self, store: Store, run_id: str) -> None:
        store.commit(run_id, turn(0))
        assert store.find(run_id) == run_record()
        outputs = {"model": artifact(1, blob=True), "scores": Collection("list", (artifact(2), artifact(3)))}
        store.commit(run_id, turn(1, end=RunState.SUCCEEDED, outputs=outputs))
        ended = run_record(state=RunState.SUCCEEDED, finished_at=turn(1).at, outputs=outputs)
        assert store.find(run_id) == ended
        assert store.runs(state="succeeded") == [ended]
        assert store.runs(state="running") == []

    def test_runs_do_not_mix(self, store: Store) -> None:
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        for number in range(3):
            for run_id in ("a", "b"):
                said = [Said(run_id, -1, 1, (Line("stdout", f"{run_id}{number}"),), (Metric(run_id, number),))]
                store.commit(run_id, turn(number, attempts=[attempt(f"{run_id}{number}")], said=said))
        assert [record.node for record in store.attempts("a")] == ["a0", "a1", "a2"]
        assert [logged.line.text for _, logged in store.lines("b")] == ["b0", "b1", "b2"]
        assert [logged.metric for logged in store.metrics("b")] == [
            Metric("b", 0.0),
            Metric("b", 1.0),
            Metric("b", 2.0),
        ]
        assert len(store.journal("a")) == 3

    # Attempts.

    def test_an_attempt_comes_back_whole(self, store: Store, run_id: str) -> None:
        full = attempt(
            TEXT,
            item=2**40,
            number=3,
            state=NodeState.FAILED,
            started_at=1_700_000_000.123456,
            duration=1e-7,
            cpu=12.5,
            peak_memory=2**45,
            worker=2**31,
            fingerprint=fingerprint(1),
            outputs=(artifact(1), artifact(2, blob=True), Collection("dict", (artifact(3),), (TEXT,))),
            fault=FAULT,
            reason=TEXT,
            key=TEXT,
        )
        store.commit(run_id, turn(attempts=[full]))
        assert store.attempts(run_id) == [full]

    @pytest.mark.parametrize("state", list(NodeState))
    def test_an_attempt_may_have_any_state(self, store: Store, run_id: str, state: NodeState) -> None:
        store.commit(run_id, turn(attempts=[attempt(number=0, state=state)]))
        [record] = store.attempts(run_id)
        assert record.state is state
        assert record == attempt(number=0, state=state)

    def test_attempts_are_in_the_order_of_node_item_attempt(self, store: Store, run_id: str) -> None:
        cells = [
            ("fit", 10, 1),
            ("fit", 2, 2),
            ("b", -1, 1),
            ("fit", 2, 1),
            ("fit", -1, 0),
            ("fit/x", 0, 1),
            ("B", 0, 1),
        ]
        store.commit(run_id, turn(0, attempts=[attempt(*cell) for cell in cells[:4]]))
        store.commit(run_id, turn(1, attempts=[attempt(*cell) for cell in cells[4:]]))
        found = [(record.node, record.item, record.attempt) for record in store.attempts(run_id)]
        assert found == sorted(cells)

    def test_attempts_of_a_node_include_its_items_only(self, store: Store, run_id: str) -> None:
        cells = [("fit", -1), ("fit", 0), ("fit", 1), ("fit2", -1), ("fit/x", -1), ("f_t", -1), ("FIT", -1)]
        store.commit(run_id, turn(0, attempts=[attempt(*cell) for cell in cells]))
        assert [(record.node, record.item) for record in store.attempts(run_id, "fit")] == cells[:3]
        assert [record.node for record in store.attempts(run_id, "f_t")] == ["f_t"]
        assert store.attempts(run_id, "f%") == []
        assert store.attempts(run_id, "") == []

    # The cache.

    def test_results_are_found_by_their_fingerprints(self, store: Store, run_id: str) -> None:
        many = {fingerprint(seed): result(artifact(seed)) for seed in range(1300)}
        many[fingerprint(7)] = result(artifact(1, blob=True), artifact(2), node="split")
        many[fingerprint(8)] = result(node="nothing")
        store.commit(run_id, turn(results=many))
        wanted = [fingerprint(seed) for seed in range(1299, -1, -1)]
        strange = [fingerprint(5000), b"", fingerprint(3)[:-1]]
        known = {key: Recorded(made.outputs, turn().at) for key, made in many.items()}
        assert store.recorded([*wanted, *strange, fingerprint(3)]) == known
        assert store.recorded(wanted[:1]) == {fingerprint(1299): Recorded((artifact(1299),), turn().at)}
        assert store.recorded(strange) == {}
        assert store.recorded([]) == {}

    def test_the_newest_result_wins(self, store: Store) -> None:
        for number, run_id in enumerate(("a", "b", "a")):
            if number < 2:
                store.create(run_record(run_id), graph(), provenance())
            made = result(artifact(number), node=f"node{number}", item=number, number=number + 1)
            store.commit(run_id, turn(number // 2, results={fingerprint(1): made, fingerprint(number + 10): result()}))
            newest = Recorded((artifact(number),), turn(number // 2).at)
            assert store.recorded([fingerprint(1)]) == {fingerprint(1): newest}
            origin = Origin(run_id, f"node{number}", number, number + 1)
            assert store.origins([fingerprint(1)]) == {fingerprint(1): origin}

    def test_results_know_the_attempt_they_come_from(self, store: Store) -> None:
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        mine = {fingerprint(seed): result(node=TEXT, item=seed, number=2) for seed in range(1300)}
        store.commit("a", turn(results=mine))
        store.commit("b", turn(results={fingerprint(2000): result()}))
        expected = {fingerprint(seed): Origin("a", TEXT, seed, 2) for seed in range(1300)}
        expected[fingerprint(2000)] = Origin("b", "fit", -1, 1)
        assert store.origins([*expected, fingerprint(5000), fingerprint(2000)]) == expected
        assert store.origins([]) == {}

    def test_descriptions_are_found_by_their_digests(self, store: Store, run_id: str) -> None:
        preview = {"rows": 3, "head": [[1, 2.5, None, TEXT]], "dtypes": {"a": "int64"}, "big": 2**70}
        store.commit(run_id, turn(0, descriptions=[Description(b"a" * 32, preview), Description(b"b" * 32, {})]))
        known = {b"a" * 32: Description(b"a" * 32, preview), b"b" * 32: Description(b"b" * 32, {})}
        assert store.descriptions([b"a" * 32, b"b" * 32, b"c" * 32, b"a" * 32]) == known
        store.commit(run_id, turn(1, descriptions=[Description(b"b" * 32, {"v": 1}), Description(b"b" * 32, {"v": 2})]))
        assert store.descriptions([b"b" * 32]) == {b"b" * 32: Description(b"b" * 32, {"v": 2})}

    def test_many_descriptions_are_found_at_once(self, store: Store, run_id: str) -> None:
        digests = [fingerprint(seed) for seed in range(1300)]
        made = {digest: Description(digest, {"n": place}) for place, digest in enumerate(digests)}
        store.commit(run_id, turn(descriptions=list(made.values())))
        assert store.descriptions(digests) == made

    def test_a_preview_may_hold_what_is_no_number(self, store: Store, run_id: str) -> None:
        store.commit(run_id, turn(descriptions=[Description(b"a" * 32, {"mean": math.nan, "top": math.inf})]))
        preview = store.descriptions([b"a" * 32])[b"a" * 32].preview
        assert math.isnan(preview["mean"])
        assert preview["top"] == math.inf

    # What attempts said.

    def test_lines_come_in_order_with_rising_numbers(self, store: Store, run_id: str) -> None:
        lines = [Line("stdout", f"{number}", number / 8) for number in range(6)]
        store.commit(run_id, turn(0, said=[Said("fit", 0, 1, tuple(lines[:2])), Said("b", -1, 2, tuple(lines[2:4]))]))
        store.commit(run_id, turn(1, said=[Said("a", -1, 1, tuple(lines[4:]))]))
        found = store.lines(run_id)
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        owners = [("fit", 0, 1), ("fit", 0, 1), ("b", -1, 2), ("b", -1, 2), ("a", -1, 1), ("a", -1, 1)]
        assert [logged for _, logged in found] == [
            LoggedLine(*of, line) for of, line in zip(owners, lines, strict=True)
        ]
        assert store.lines(run_id, after=numbers[2]) == found[3:]
        assert store.lines(run_id, after=numbers[-1]) == []

    def test_lines_that_come_later_are_after_those_read(self, store: Store) -> None:
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        read: list[str] = []
        after = 0
        for number in range(4):
            for run_id in ("a", "b"):
                said = [Said("fit", -1, 1, (Line("stdout", f"{run_id}{number}"), Line("stdout", "")))]
                store.commit(run_id, turn(number, said=said))
            found = store.lines("a", after=after)
            read += [logged.line.text for _, logged in found]
            after = found[-1][0]
        assert read == ["a0", "", "a1", "", "a2", "", "a3", ""]

    def test_lines_of_a_node_include_its_items_only(self, store: Store, run_id: str) -> None:
        cells = [("fit", 1), ("fit2", -1), ("fit", 0), ("fit", -1), ("fi_", -1)]
        store.commit(run_id, turn(said=[Said(node, item, 1, (Line("info", TEXT),)) for node, item in cells]))
        found = store.lines(run_id, "fit")
        assert [(logged.node, logged.item) for _, logged in found] == [("fit", 1), ("fit", 0), ("fit", -1)]
        assert {logged.line for _, logged in found} == {Line("info", TEXT)}
        assert store.lines(run_id, "fit", after=found[0][0]) == found[1:]
        assert store.lines(run_id, "%") == []

    def test_metrics_come_back_as_they_were_logged(self, store: Store, run_id: str) -> None:
        metrics = [
            Metric("loss", 0.1, 0, 1_700_000_000.5),
            Metric("loss", -math.inf, 1),
            Metric(TEXT, 1e308, None),
            Metric("loss", 5e-324, -(2**40)),
        ]
        store.commit(run_id, turn(0, said=[Said("fit", 2, 1, metrics=tuple(metrics[:2]))]))
        store.commit(run_id, turn(1, said=[Said("a", -1, 3, metrics=tuple(metrics[2:]))]))
        found = store.metrics(run_id)
        assert [logged.metric for logged in found] == metrics
        assert [(m.node, m.item, m.attempt) for m in found] == [("fit", 2, 1)] * 2 + [("a", -1, 3)] * 2

    def test_a_metric_may_be_no_number(self, store: Store, run_id: str) -> None:
        store.commit(run_id, turn(said=[Said("fit", -1, 1, metrics=(Metric("loss", math.nan, 3, 4.5),))]))
        [logged] = store.metrics(run_id)
        assert math.isnan(logged.metric.value)
        assert (logged.metric.name, logged.metric.step, logged.metric.at) == ("loss", 3, 4.5)

    def test_attachments_come_back_as_they_were_logged(self, store: Store, run_id: str) -> None:
        attached = (
            Attachment("plot", artifact(1, blob=True)),
            Attachment(TEXT, artifact(2)),
            Attachment("plot", artifact(3)),
        )
        store.commit(run_id, turn(said=[Said("fit", 4, 2, attachments=attached)]))
        found = store.attachments(run_id)
        assert [logged.attachment for logged in found] == list(attached)
        assert {(logged.node, logged.item, logged.attempt) for logged in found} == {("fit", 4, 2)}

    # What things took.

    def test_timings_tell_what_nodes_took_in_each_of_the_latest_runs(self, store: Store) -> None:
        for seed, (name, pipeline) in enumerate([("old", "fits"), ("a", "fits"), ("other", "serves"), ("b", "fits")]):
            record = run_record(name, pipeline=pipeline, started_at=1_700_000_000.0 + seed)
            store.create(record, graph(), provenance())
        store.commit("old", turn(attempts=[attempt("fit", duration=99.0)]))
        store.commit("other", turn(attempts=[attempt("fit", duration=98.0)]))
        ran = [
            attempt("fit", 0, 1, duration=50.0, state=NodeState.FAILED, fault=FAULT),
            attempt("fit", 0, 2, duration=1.0, peak_memory=300),
            attempt("fit", 1, 1, duration=3.0, peak_memory=2**40),
            attempt("fit", 2, 0, state=NodeState.CACHED),
            attempt(TEXT, duration=0.25),
            attempt("instant"),
        ]
        store.commit("a", turn(attempts=ran))
        store.commit("b", turn(attempts=[attempt("fit", duration=4.0, peak_memory=7)]))
        by_run: dict[int, set[Timing]] = {}
        for timing in store.timings("fits", 2):
            by_run.setdefault(timing.run, set()).add(msgspec.structs.replace(timing, run=0))
        assert sorted(by_run.values(), key=len) == [
            {Timing(0, "fit", 1, 4.0, 7)},
            {Timing(0, "fit", 2, 2.0, 2**40), Timing(0, TEXT, 1, 0.25, 0)},
        ]
        assert len({timing.run for timing in store.timings("fits")}) == 3
        assert store.timings("no such pipeline") == []

    # More than one store.

    def test_what_was_committed_outlives_the_store(self, store: Store, run_id: str, tmp_path: Path) -> None:
        said = [Said("fit", -1, 1, (Line("stdout", "said"),), (Metric("m", 1.0),), (Attachment("a", artifact(1)),))]
        results = {fingerprint(1): result(artifact(1))}
        store.commit(run_id, turn(0, events=[RunStarted()], attempts=[attempt()], results=results, said=said))
        before = contents(store, run_id)
        store.close()
        later = self.make_store(tmp_path)
        try:
            assert contents(later, run_id) == before
            assert later.recorded([fingerprint(1)]) == {fingerprint(1): Recorded((artifact(1),), turn().at)}
            later.commit(run_id, turn(1))
        finally:
            later.close()

    def test_a_run_can_be_read_elsewhere_while_it_is_written(self, store: Store, run_id: str, tmp_path: Path) -> None:
        reader = self.make_store(tmp_path)
        try:
            for number in range(3):
                store.commit(run_id, turn(number, attempts=[attempt(item=number)]))
                assert contents(reader, run_id) == contents(store, run_id)
                assert len(reader.attempts(run_id)) == number + 1
        finally:
            reader.close()

    def test_only_one_of_two_drivers_records_a_turn(self, store: Store, run_id: str, tmp_path: Path) -> None:
        other = self.make_store(tmp_path)
        try:
            store.commit(run_id, turn(0, attempts=[attempt("mine")]))
            with pytest.raises(StoreError):
                other.commit(run_id, turn(0, attempts=[attempt("yours")]))
            other.commit(run_id, turn(1, attempts=[attempt("yours")]))
            with pytest.raises(StoreError):
                store.commit(run_id, turn(1, attempts=[attempt("again")]))
            assert [record.node for record in store.attempts(run_id)] == ["mine", "yours"]
        finally:
            other.close()

    def test_a_closed_store_says_so(self, store: Store, run_id: str) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreError):
            store.find(run_id)
        with pytest.raises(StoreError):
            store.commit(run_id, turn(0))


__all__ = ["StoreConformance"]
