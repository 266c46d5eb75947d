"""What a store has to do with what is kept: the code and the basis of runs, tags, what is removed and what must stay."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.event import Answered, Concluded, Grown, Hit, RunStarted, Substituted, Succeeded, Yielded
from penstock.model.expression import Constant, Output, Sequence, Stored
from penstock.model.graph import Graph, Node, from_json
from penstock.model.identity import Basis, CodePart, ModuleSource, SourceText, TaskIdentity
from penstock.model.place import Location
from penstock.model.request import CancelAsked
from penstock.model.run import RunState
from penstock.model.value import Argument, Artifact, Collection, Description, Record, Selection
from penstock.model.work import Attachment, Line, Metric
from penstock.ports import CachedResult, Said, Store
from penstock.testing.records import (
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
from penstock.testing.store_case import StoreCase

#: times before and after everything that a test does
LONG_AGO, LATER = 0.0, 4_000_000_000.0
PLACE = Location("pipeline.py", 3)


def source(seed: int) -> SourceText:
    """The text of a file, which differs for each seed."""
    return SourceText(fingerprint(seed), f"# {seed}\r\n{TEXT}")


def identity(seed: int, *sources: SourceText, **changes: Any) -> TaskIdentity:
    """What the code of a task is; it refers to texts."""
    parts = tuple(CodePart(f"m:f{place}", b"p" * 32, TEXT, 1, 9, each.digest) for place, each in enumerate(sources))
    return TaskIdentity(digest=fingerprint(seed), function="m:f", parts=parts, **changes)


class CodeConformance(StoreCase):
    """Tests of what is kept of code, and of what the fingerprints of a run are made of."""

    def test_identities_are_kept_once(self, store: Store) -> None:
        full = identity(
            1,
            source(10),
            kind="command",
            record=f"m:{TEXT}",
            limits=(f"reads what eval gives ({TEXT}:3)", ""),
            modules=(ModuleSource("a.b", "a/b.py", source(11).digest),),
        )
        bare = TaskIdentity(digest=fingerprint(2))
        assert store.identities([full.digest, bare.digest]) == {}
        assert store.keep([full, bare], []) == {full.digest, bare.digest}
        assert store.keep([bare, identity(3)], []) == {fingerprint(3)}
        assert store.keep([full, bare], []) == frozenset()
        assert store.keep([], []) == frozenset()
        assert store.identities([full.digest, fingerprint(9), bare.digest]) == {full.digest: full, bare.digest: bare}

    def test_of_code_that_has_moved_the_latest_place_counts(self, store: Store) -> None:
        old = identity(1, source(10), modules=(ModuleSource("a", "a.py", source(10).digest),))
        moved = identity(1, source(11), modules=(ModuleSource("b", "b.py", source(11).digest),), record="b:Pair")
        assert store.keep([old], [source(10)]) == {old.digest}
        assert store.keep([moved, identity(2)], [source(11)]) == {fingerprint(2)}
        assert store.identities([old.digest]) == {old.digest: moved}
        # one of which the text is not known could not be made again
        torn = msgspec.structs.replace(moved, modules=(*moved.modules, ModuleSource("c", "c.py", b"")))
        assert store.keep([torn], []) == frozenset()
        assert store.identities([old.digest]) == {old.digest: moved}

    def test_texts_are_kept_once(self, store: Store) -> None:
        strange = SourceText(fingerprint(3), "\udc80 \x00")
        assert store.keep([identity(1, source(1))], [source(1), source(2), strange]) == {fingerprint(1)}
        assert store.keep([], [source(1), SourceText(fingerprint(4), "")]) == frozenset()
        wanted = [fingerprint(seed) for seed in range(6)]
        assert store.texts(wanted) == {
            fingerprint(1): source(1).text,
            fingerprint(2): source(2).text,
            fingerprint(3): strange.text,
            fingerprint(4): "",
        }
        assert store.texts(iter(())) == {}

    def test_much_code_is_found_at_once(self, store: Store) -> None:
        made = {fingerprint(seed): identity(seed) for seed in range(1300)}
        store.keep(list(made.values()), [SourceText(key, "") for key in made])
        assert store.identities(iter(made)) == made
        assert store.texts(iter(made)) == dict.fromkeys(made, "")

    def test_the_basis_of_a_run_grows(self, store: Store) -> None:
        first = Basis(
            parameters={"data": artifact(1, blob=True), "all": Collection("dict", (artifact(2),), (TEXT,))},
            tasks={"fit": fingerprint(1), f"{TEXT}/fit": fingerprint(2)},
            files={"data/in.csv": fingerprint(3), TEXT: fingerprint(4)},
            classes={f"models:{TEXT}": fingerprint(8)},
        )
        store.create(run_record("a"), graph(), provenance(), first)
        store.create(run_record("b"), graph(), provenance())
        assert store.basis("a") == first
        assert store.basis("b") == Basis()
        store.commit("a", turn(0, basis=Basis(tasks={"late": fingerprint(5)})))
        store.commit("a", turn(1, basis=Basis(tasks={"fit": fingerprint(6)}, files={"late": fingerprint(1)})))
        store.commit("a", turn(2, basis=Basis(classes={"models:Late": fingerprint(9)})))
        store.commit("b", turn(0, basis=Basis(tasks={"fit": fingerprint(7)})))
        assert store.basis("a") == Basis(
            parameters=first.parameters,
            tasks={**first.tasks, "late": fingerprint(5), "fit": fingerprint(6)},
            files={**first.files, "late": fingerprint(1)},
            classes={**first.classes, "models:Late": fingerprint(9)},
        )
        assert store.basis("b") == Basis(tasks={"fit": fingerprint(7)})
        with pytest.raises(NotFoundError):
            store.basis("c")

    def test_a_turn_that_is_refused_adds_nothing_to_the_basis(self, store: Store, run_id: str) -> None:
        with pytest.raises(StoreError):
            store.commit(run_id, turn(0, basis=Basis(files={"x": b"1"}), attempts=[attempt(), UNFIT]))
        with pytest.raises(StoreError):
            store.create(run_record(run_id), graph(), provenance(), Basis(files={"x": b"1"}))
        assert store.basis(run_id) == Basis()


class CollectionConformance(StoreCase):
    """Tests of what can be marked, listed, removed and swept up."""

    @pytest.fixture
    def pair(self, store: Store) -> tuple[str, str]:
        """Two runs with something of every kind recorded of each; a has ended, b is under way."""
        for seed, run_id in enumerate(("a", "b")):
            basis = Basis(parameters={"p": artifact(seed)}, tasks={"fit": fingerprint(seed)})
            store.create(run_record(run_id), graph(), provenance(), basis)
            said = Said("fit", -1, 1, (Line("stdout", TEXT),), (Metric("m", 1.0),), (Attachment("x", artifact(seed)),))
            node = Node("late", "fit", {}, PLACE)
            events = [RunStarted(), Grown("", (node,)), Succeeded("fit", -1, 1, (artifact(seed),))]
            results = {fingerprint(seed): result(artifact(seed), artifact(9, blob=True), node=run_id)}
            store.commit(run_id, turn(0, events=events, attempts=[attempt()], results=results, said=[said]))
            store.ask(run_id, CancelAsked(run_id, "me", 1.0))
            store.tag(run_id, add=[run_id, "both"])
        store.commit("a", turn(1, end=RunState.SUCCEEDED, outputs={"result": artifact(0)}))
        return "a", "b"

    def test_runs_have_tags(self, store: Store) -> None:
        for run_id in ("a", "b", "c"):
            store.create(run_record(run_id), graph(), provenance())
        assert store.tag("a") == ()
        assert store.tag("a", add=["keep", TEXT, "keep", "a"]) == tuple(sorted(["keep", TEXT, "a"]))
        assert store.tag("b", add=iter(["keep", "Keep"]), remove=["nothing"]) == ("Keep", "keep")
        assert store.tag("a", add=["b", "a"], remove=["keep"]) == tuple(sorted([TEXT, "a", "b"]))
        assert store.tags(iter(("a", "b", "c", "d"))) == {"a": store.tag("a"), "b": ("Keep", "keep")}
        assert store.tags([]) == {}
        with pytest.raises(NotFoundError):
            store.tag("d", add=["x"])

    def test_many_runs_have_tags(self, store: Store) -> None:
        ids = [f"run-{number:04}" for number in range(1100)]
        for run_id in ids[::100]:
            store.create(run_record(run_id), graph(1), provenance())
            store.tag(run_id, add=["z", "y", run_id])
        assert store.tags(ids) == {run_id: (run_id, "y", "z") for run_id in ids[::100]}

    def test_a_run_is_removed_with_all_that_is_recorded_of_it(self, store: Store, pair: tuple[str, str]) -> None:
        def remaining() -> list[Any]:
            reads = [store.find, store.journal, store.attempts, store.lines, store.metrics, store.attachments]
            reads += [store.requests, store.provenance, store.graph, store.basis]
            return [read("b") for read in reads]

        before = remaining()
        known = store.recorded([fingerprint(0)])
        store.remove(iter(["a", "nobody"]))
        for read in (store.find, store.journal, store.graph, store.requests, store.basis, store.tag):
            with pytest.raises(NotFoundError):
                read("a")
        assert store.runs() == [store.find("b")]
        assert store.tags(pair) == {"b": ("b", "both")}
        assert remaining() == before
        assert store.recorded([fingerprint(0)]) == known != {}
        assert store.origins([fingerprint(0), fingerprint(1)]).keys() == {fingerprint(1)}
        # what is recorded later under that name is another run
        store.create(run_record("a"), graph(), provenance())
        assert (store.journal("a"), store.attempts("a"), store.requests("a"), store.tag("a")) == ([], [], [], ())
        assert store.basis("a") == Basis()
        assert store.origins([fingerprint(0)]) == {}

    def test_a_run_that_is_under_way_is_not_removed(self, store: Store, pair: tuple[str, str]) -> None:
        before = store.runs()
        with pytest.raises(StoreError, match="run b of training cannot be removed"):
            store.remove(["a", "b"])
        assert store.runs() == before
        store.commit("b", turn(1, end=RunState.PAUSED))
        store.remove(["a", "b", "a"])
        assert store.runs() == []

    def test_the_results_in_the_cache_are_listed_and_forgotten(self, store: Store, pair: tuple[str, str]) -> None:
        at = turn(0).at
        both = (artifact(0), artifact(9, blob=True)), (artifact(1), artifact(9, blob=True))
        mine = CachedResult(fingerprint(0), both[0], at, "a", "a")
        yours = CachedResult(fingerprint(1), both[1], at, "b", "b")
        assert sorted(store.results(), key=lambda entry: entry.node) == [mine, yours]
        store.remove(["a"])
        mine = CachedResult(fingerprint(0), both[0], at, "a", None)
        assert sorted(store.results(), key=lambda entry: entry.node) == [mine, yours]
        store.forget(iter([fingerprint(1), fingerprint(5)]))
        assert list(store.results()) == [mine]
        assert store.recorded([fingerprint(0), fingerprint(1)]).keys() == {fingerprint(0)}
        assert len(store.journal("b")) == 1

    def test_results_may_change_while_they_are_listed(self, store: Store, run_id: str) -> None:
        keys = {fingerprint(seed) for seed in range(1300)}
        store.commit(run_id, turn(0, results={key: result(artifact(1)) for key in keys}))
        seen: set[bytes] = set()
        for place, entry in enumerate(store.results()):
            seen.add(entry.fingerprint)
            store.forget([entry.fingerprint])
            if place % 400 == 0:
                store.commit(run_id, turn(1 + place // 400, results={b"\xff" + bytes([place // 400]): result()}))
        assert keys <= seen
        assert store.recorded(list(keys)) == {}

    # What is referred to.

    def test_everything_that_is_referred_to_is_told(self, store: Store) -> None:
        made = map(artifact, range(1, 1000))
        parts: list[Artifact] = []

        def some() -> Artifact:
            parts.append(next(made))
            return parts[-1]

        def bound(node: str) -> Node:
            return Node(node, "fit", {"data": Sequence((Constant([1]), Stored(some())), "tuple")}, PLACE)

        whole = Graph("training", (), graph().tasks, (bound("n0"),), Output("n0"))
        store.create(run_record(outputs={"early": some()}), whole, provenance(), Basis(parameters={"p": some()}))
        for number, event in enumerate(
            [
                Hit("fit", 0, fingerprint(1), (some(), Collection("list", (some(), Selection(some(), 0))))),
                Succeeded("fit", 1, 1, (some(), some())),
                Yielded("stream", -1, 1, 1, Record("m:Pair", ("x",), (some(),))),
                Answered("sign", -1, (some(),)),
                Concluded("loop", -1, (some(),), again=True),
                Substituted("fit", 2, (some(),)),
                Grown("", (bound("n1"), bound("n2")), {"more": graph().tasks["fit"]}),
                Grown("", ended=True, result=Stored(some())),
            ]
        ):
            store.commit("run-1", turn(number, events=[RunStarted(), event]))
        said = Said("fit", 0, 1, attachments=(Attachment("x", some()), Attachment("y", some())))
        attempts = [attempt(outputs=(some(),)), attempt("other", 3, outputs=(some(),)), attempt("Z", 3, 2)]
        results = {fingerprint(seed): result(some()) for seed in (1, 2)}
        store.commit(
            "run-1", turn(8, attempts=attempts, said=[said], results=results, basis=Basis(parameters={"q": some()}))
        )
        store.commit("run-1", turn(9, end=RunState.SUCCEEDED, outputs={"a": some(), "b": some()}))
        store.create(run_record("run-2"), graph(), provenance(), Basis(parameters={"p": some()}))
        told = {each for argument in store.arguments() for each in leaves(argument)}
        # the outputs of the record that the run was created with gave way to those that it ended with
        assert told == set(parts) - {parts[1]}
        assert from_json(store.graph("run-1")).nodes[0] == whole.nodes[0]

    def test_much_that_is_referred_to_is_told(self, store: Store, run_id: str) -> None:
        for number in range(600):
            said = Said("fit", number, 1, attachments=(Attachment("x", artifact(10_000 + number)),))
            done = Succeeded("fit", number, 1, (artifact(number),))
            ended = [attempt(f"n{number % 7}", number, outputs=(artifact(20_000 + number),))]
            store.commit(run_id, turn(number, events=[done], attempts=ended, said=[said]))
        expected = {artifact(base + number) for base in (0, 10_000, 20_000) for number in range(600)}
        assert set(store.arguments()) == expected

    def test_what_is_referred_to_may_be_removed_while_it_is_told(self, store: Store, pair: tuple[str, str]) -> None:
        told = iter(store.arguments())
        assert isinstance(next(told), Artifact)
        store.remove(["a"])
        store.commit("b", turn(1, events=[Succeeded("fit", 1, 1, (artifact(77),))]))
        assert artifact(77) in set(told)

    # Sweeping.

    def test_a_sweep_leaves_what_is_referred_to(self, store: Store, pair: tuple[str, str]) -> None:
        store.keep([identity(seed, source(seed + 10)) for seed in range(3)], [source(seed) for seed in range(10, 14)])
        within: Argument = Collection("list", (Record("m:R", ("x",), (Selection(artifact(6), 0),)),))
        described = [artifact(seed).digest for seed in range(8)] + [artifact(9, blob=True).digest]
        store.commit(
            "b",
            turn(
                1,
                descriptions=[Description(digest, {}) for digest in described],
                events=[Hit("fit", 3, fingerprint(1), (within,)), Yielded("s", -1, 1, 1, artifact(5))],
                results={fingerprint(7): result(artifact(7))},
            ),
        )
        before = [store.journal(run_id) for run_id in pair], list(store.results()), list(store.arguments())
        for _ in range(2):
            store.sweep(LATER)
            assert store.descriptions(described).keys() == {artifact(seed).digest for seed in (0, 1, 5, 6, 7, 9)}
            assert store.identities([fingerprint(seed) for seed in range(3)]).keys() == {fingerprint(0), fingerprint(1)}
            assert store.texts([fingerprint(seed) for seed in range(10, 14)]).keys() == {
                fingerprint(10),
                fingerprint(11),
            }
        assert before == ([store.journal(run_id) for run_id in pair], list(store.results()), list(store.arguments()))

    def test_a_sweep_drops_what_a_removed_run_alone_referred_to(self, store: Store, pair: tuple[str, str]) -> None:
        modules = (ModuleSource("m", "m.py", source(12).digest),)
        sources = [source(seed) for seed in (10, 11, 12)]
        store.keep([identity(0, *sources[:2]), identity(1, sources[1], modules=modules)], sources)
        digests = [artifact(seed).digest for seed in (0, 1)]
        store.commit("b", turn(1, descriptions=[Description(digest, {}) for digest in digests]))
        store.remove(["a"])
        store.sweep(LATER)
        assert store.descriptions(digests).keys() == set(digests)
        assert store.identities([fingerprint(0), fingerprint(1)]).keys() == {fingerprint(1)}
        assert store.texts([each.digest for each in sources]).keys() == {fingerprint(11), fingerprint(12)}
        store.forget([fingerprint(0)])
        store.sweep(LATER)
        assert store.descriptions(digests).keys() == {digests[1]}

    def test_a_sweep_leaves_what_a_run_that_begins_has_kept(self, store: Store, tmp_path: Path) -> None:
        other = self.make_store(tmp_path)
        try:
            store.keep([identity(1, source(10))], [source(10)])
            for before in (LONG_AGO, time.time() - 60):
                other.sweep(before)
                assert store.identities([fingerprint(1)]).keys() == {fingerprint(1)}
                assert store.texts([fingerprint(10)]).keys() == {fingerprint(10)}
            time.sleep(0.01)
            now = time.time()
            assert store.keep([identity(1, source(10))], [source(10)]) == frozenset()
            other.sweep(now)
            assert store.texts([fingerprint(10)]).keys() == {fingerprint(10)}
            store.keep([identity(2)], [])
            basis = Basis(tasks={"fit": fingerprint(1)}, classes={"m:Model": fingerprint(2)})
            store.create(run_record(), graph(), provenance(), basis)
            other.sweep(LATER)
            known = [fingerprint(1), fingerprint(2)]
            assert store.identities(known).keys() == set(known)
            store.commit("run-1", turn(0, end=RunState.FAILED))
            store.remove(["run-1"])
            other.sweep(LATER)
            assert store.identities(known) == {}
            assert store.texts([fingerprint(10)]) == {}
        finally:
            other.close()

    def test_a_sweep_leaves_the_claims_that_count(self, store: Store) -> None:
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        store.commit("a", turn(0, claims={fingerprint(1): ("fit", 1)}))
        store.sweep(LATER)
        assert store.commit("b", turn(0, claims={fingerprint(1): ("fit", 1)})) == {fingerprint(1)}
        store.commit("a", turn(1, results={fingerprint(1): result(artifact(1))}))
        store.sweep(LATER)
        assert store.recorded([fingerprint(1)]).keys() == {fingerprint(1)}


def leaves(argument: Argument) -> Iterator[Artifact]:
    """The artifacts that an argument is put together from."""
    match argument:
        case Artifact():
            yield argument
        case Collection(items=items) | Record(items=items):
            for item in items:
                yield from leaves(item)
        case Selection(of=of):
            yield from leaves(of)


__all__ = ["CodeConformance", "CollectionConformance"]
