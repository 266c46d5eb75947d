"""Conditions over events: what they are met by, against plain models, however often somebody looks and in which order events
come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import (
    absence_of,
    all_of,
    any_of,
    count_of,
    debounce,
    each_subject,
    event,
    in_order,
    metric_crosses,
    run_ends,
)
from penstock.model.occurrence import AllOf, Condition, Occurrence, Pattern
from penstock.triggers.conditions import (
    Match,
    begin,
    elapse,
    event_key,
    meets,
    next_at,
    observe,
    several,
    unmet,
    waiting_for,
)


def happened(
    kind: str, at: float, data: Any = None, *, id: str = "", subject: str = "", source: str = "s"
) -> Occurrence:
    return Occurrence(id=id or f"{kind}@{at:g}", source=source, type=kind, at=at, subject=subject, data=data)


def followed(condition: Condition, events: Iterable[Occurrence], *, end: bool = True) -> list[Match]:
    """What comes of events, each observed after the state was written down; with `end`, nothing more happens then."""
    state, found = begin(condition), []
    for number, each in enumerate(events, 1):
        state, matches = observe(condition, msgspec.json.decode(msgspec.json.encode(state)), each, number)
        found += matches
    while end and (due := next_at(condition, state)) is not None:
        state, matches = elapse(condition, state, due)
        found += matches
    return found


def times(matches: Sequence[Match]) -> list[list[float]]:
    """Of each match, the times of its events."""
    return [
        sorted(each["at"] for each in (match.events.get("events") or [*match.events.values()])) for match in matches
    ]


# Patterns.


@pytest.mark.parametrize(
    ("pattern", "is_met"),
    [
        (event("upload.done"), True),
        (event("upload.*", subject="in/*.csv", source="s"), True),
        (event("upload"), False),
        (event("upload.done", subject="*.json"), False),
        (event("upload.done", source="other"), False),
        (event("upload.done", where={"size": 10, "parts.1.name": "b"}), True),
        (event("upload.done", where={"size": True}), False),
        (event("upload.done", where={"size >": 9, "size <=": 10, "ratio <": 1}), True),
        (event("upload.done", where={"size >": "9"}), False),
        (event("upload.done", where={"path matches": "in/*", "tags matches": "night*"}), True),
        (event("upload.done", where={"region in": ["eu", "us"], "region !=": "us"}), True),
        (event("upload.done", where={"label exists": False, "size exists": True}), True),
        (event("upload.done", where={"label !=": "x"}), False),
        (event("upload.done", where={"ok": True}), True),
        (event("upload.done", where={"ok": 1}), False),
    ],
)
def test_what_meets_a_pattern(pattern: Pattern, is_met: bool) -> None:
    data = {
        "size": 10,
        "ratio": 0.5,
        "path": "in/a.csv",
        "parts": [{"name": "a"}, {"name": "b"}],
        "tags": ["daily", "nightly"],
        "region": "eu",
        "ok": True,
    }
    assert meets(pattern, happened("upload.done", 1, data, subject="in/a.csv")) is is_met


def test_a_pattern_is_met_each_time_and_the_match_has_the_event() -> None:
    found = followed(event("a", name="first"), [happened("a", 1, {"x": 2}), happened("b", 2), happened("a", 3)])
    assert [each.at for each in found] == [1, 3]
    assert found[0].events["first"]["data"] == {"x": 2}
    assert [each.key for each in found] == ["s#a@1", "s#a@3"]


def test_no_two_events_have_one_key() -> None:
    pairs = [("a", "b#c"), ("a#b", "c"), ("a", "b%23c"), ("a b", "c"), ("x" * 300, "1"), ("x" * 300, "2")]
    keys = [event_key(happened("t", 0, id=id, source=source)) for source, id in pairs]
    assert len(set(keys)) == len(pairs)
    assert max(map(len, keys)) <= 200


# Several events.

A, B, C = event("a", name="a"), event("b", name="b"), event("c", name="c")


def test_all_of_several_within_a_time() -> None:
    both = all_of(A, B, within=10)
    late = [happened("a", 0), happened("b", 11), happened("a", 20), happened("b", 30), happened("b", 31)]
    assert times(followed(both, late)) == [[11, 20]]
    found = followed(all_of(A, B), [happened("b", 5), happened("b", 7, {"n": 2}), happened("a", 1000)])
    assert [(each.events["b"]["at"], each.events["a"]["at"]) for each in found] == [(7, 1000)]


def test_an_event_that_comes_late_counts_by_when_it_happened() -> None:
    both = all_of(A, B, within=10)
    assert times(followed(both, [happened("a", 0), happened("b", 100), happened("a", 95)])) == [[95, 100]]
    # it is older than what is held
    assert followed(both, [happened("a", 50), happened("b", 100), happened("a", 20)]) == []


def test_one_of_several_is_met_once_by_an_event_that_meets_two() -> None:
    either = any_of(event("a"), event("*", subject="x"))
    assert len(followed(either, [happened("a", 1, subject="x"), happened("b", 2, subject="x"), happened("b", 3)])) == 2


def test_a_count_within_a_time() -> None:
    three = count_of(A, 3, within=10)
    found = followed(three, [happened("a", at) for at in (0, 8, 19, 20, 21, 22)])
    assert times(found) == [[19, 20, 21]]
    assert found[0].events["a"]["at"] == 21
    assert several(three) and not several(A)


def test_a_burst_ends_when_it_is_quiet_and_not_later_than_its_longest() -> None:
    quiet = debounce(A, 10, longest=25)
    found = followed(quiet, [happened("a", at) for at in (0, 5, 40, 49, 58, 64, 70)])
    assert [(each.at, each.events["a"]["at"]) for each in found] == [(15, 5), (65, 64), (80, 70)]


def test_a_burst_is_waited_for() -> None:
    quiet = debounce(A, 10)
    state, found = observe(quiet, begin(quiet), happened("a", 100), 1)
    assert found == [] and next_at(quiet, state) == 110
    assert elapse(quiet, state, 109).matches == []
    state, found = elapse(quiet, state, 110)
    assert [each.key for each in found] == ["s#a@100+110.000"]
    assert next_at(quiet, state) is None


def test_a_metric_crosses_a_line_once() -> None:
    crosses = metric_crosses("accuracy", above=0.8, pipeline="training")

    def ended(number: int, accuracy: float | None, pipeline: str = "training") -> Occurrence:
        metrics = {} if accuracy is None else {"accuracy": accuracy}
        return Occurrence(
            id=f"r{number}",
            source=f"penstock/run/{pipeline}",
            type="run.succeeded",
            at=number,
            subject=pipeline,
            data={"metrics": metrics},
        )

    values = (0.5, 0.9, 0.95, None, 0.81, 0.8, 0.82)
    found = followed(crosses, [ended(number, value) for number, value in enumerate(values)])
    assert [each.events["event"]["id"] for each in found] == ["r1", "r6"]
    assert followed(crosses, [ended(1, 0.9, "other")]) == []
    # there was none before
    assert len(followed(crosses, [ended(1, 0.9)])) == 1
    falls = metric_crosses("accuracy", below=0.8)
    several_pipelines = [ended(1, 0.9), ended(2, 0.7, "other"), ended(3, 0.7)]
    assert [each.at for each in followed(falls, several_pipelines)] == [2, 3]


def test_conditions_of_conditions() -> None:
    condition = all_of(count_of(A, 2), any_of(B, run_ends("p", name="p")), within=100)
    found = followed(condition, [happened("a", 1), happened("b", 2), happened("a", 3)])
    assert len(found) == 1
    assert found[0].events.keys() == {"a", "b", "events"}


# States.


def test_an_event_that_was_seen_changes_nothing() -> None:
    two = count_of(A, 2)
    state, _ = observe(two, begin(two, after=4), happened("a", 1), 4)
    assert state == begin(two, after=4)
    state, _ = observe(two, state, happened("a", 1), 5)
    again, found = observe(two, state, happened("a", 1), 5)
    assert (again, found) == (state, [])


def test_a_condition_that_was_changed_begins_anew_after_what_was_seen() -> None:
    old, new = count_of(A, 2), count_of(A, 3)
    state, _ = observe(old, begin(old), happened("a", 1), 7)
    assert elapse(new, state, 2).state == begin(new, after=7)


def test_what_is_waited_for() -> None:
    both = all_of(A, count_of(event("b", subject="x", name="b"), 3))
    state = begin(both)
    assert waiting_for(both, state) == "an event a and 3 times an event b about x"
    state, _ = observe(both, state, happened("a", 1), 1)
    state, _ = observe(both, state, happened("b", 1, subject="x"), 2)
    assert waiting_for(both, state) == "3 times an event b about x (1 of 3 have come)"
    quiet = debounce(A, 60)
    state, _ = observe(quiet, begin(quiet), happened("a", 0), 1)
    assert waiting_for(quiet, state) == "quiet until 1970-01-01T00:01:00+00:00"


# Against plain models.

KINDS = st.sampled_from("abc")
HISTORIES = st.lists(st.tuples(KINDS, st.integers(0, 60)), max_size=25)


def occurrences(history: Iterable[tuple[str, int]]) -> list[Occurrence]:
    return [happened(kind, at, id=f"{number}") for number, (kind, at) in enumerate(history)]


@given(HISTORIES, st.integers(1, 4), st.integers(1, 20))
@settings(max_examples=80)
def test_a_count_is_of_the_last_so_many(history: list[tuple[str, int]], count: int, within: int) -> None:
    expected: list[list[float]] = []
    unused: list[float] = []
    for kind, at in history:
        if kind == "a":
            unused.append(at)
            last = sorted(unused)[-count:]
            if len(last) == count and last[-1] - last[0] <= within:
                expected.append(last)
                unused = []
    assert times(followed(count_of(A, count, within=within), occurrences(history))) == expected


@given(HISTORIES, st.none() | st.integers(1, 20))
@settings(max_examples=80)
def test_all_of_several_are_the_last_of_each(history: list[tuple[str, int]], within: int | None) -> None:
    expected: list[list[float]] = []
    unused: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for kind, at in history:
        unused[kind].append(at)
        if all(unused.values()):
            last = sorted(max(each) for each in unused.values())
            if within is None or last[-1] - last[0] <= within:
                expected.append(last)
                unused = {"a": [], "b": [], "c": []}
    assert times(followed(all_of(A, B, C, within=within), occurrences(history))) == expected


@given(HISTORIES, st.integers(1, 15), st.none() | st.integers(15, 40))
@settings(max_examples=80)
def test_a_burst_is_what_comes_without_a_pause(history: list[tuple[str, int]], quiet: int, longest: int | None) -> None:
    moments = sorted(at for kind, at in history if kind == "a")
    ends: list[float] = []
    while moments:
        first = last = moments[0]
        for at in moments:
            if at >= min(last + quiet, first + (longest or 1000)):
                break
            last = at
        ends.append(min(last + quiet, first + (longest or 1000)))
        moments = [at for at in moments if at > last]
    found = followed(debounce(A, quiet, longest=longest), occurrences(sorted(history, key=lambda each: each[1])))
    assert [each.at for each in found] == ends


LENGTHS = st.none() | st.floats(1, 30)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.sampled_from([A, B, C]),
    lambda inner: (
        st.builds(lambda part, count, within: count_of(part, count, within=within), inner, st.integers(1, 3), LENGTHS)
        | st.builds(debounce, inner, st.integers(1, 20))
        | st.builds(any_of, inner, inner)
        | st.builds(lambda one, other, within: AllOf((one, other), within), inner, inner, LENGTHS)
    ),
    max_leaves=4,
)


@given(CONDITIONS, HISTORIES, st.lists(st.integers(0, 70), max_size=10))
@settings(max_examples=60)
def test_nothing_depends_on_when_somebody_looked(
    condition: Condition, history: list[tuple[str, int]], looks: list[int]
) -> None:
    events = occurrences(sorted(history, key=lambda each: each[1]))
    never = followed(condition, events)
    state, often = begin(condition), list[Match]()
    turns: list[tuple[float, int, Any]] = [(each.at, 1, (number, each)) for number, each in enumerate(events, 1)]
    turns += [(float(at), 0, None) for at in looks]
    for at, _, turn in sorted(turns, key=lambda each: each[:2]):
        step = elapse(condition, state, at) if turn is None else observe(condition, state, turn[1], turn[0])
        state = step.state
        often += step.matches
    while (due := next_at(condition, state)) is not None:
        state, more = elapse(condition, state, due)
        often += more
    assert sorted(each.key for each in often) == sorted(each.key for each in never)
    # one event makes one run of a pattern, and no match comes twice
    assert len({each.key for each in never}) == len(never)


def test_why_an_event_counts_for_nothing() -> None:
    large = event("a", where={"size >": 10, "path matches": "*.csv"})
    assert waiting_for(large, begin(large)) == 'an event a with size > 10 and path matches "*.csv"'
    data = {"size": 3, "path": "x.csv"}
    assert unmet(large, happened("a", 1, data=data)) == ["size > 10 does not hold (it is 3)"]
    assert unmet(large, happened("a", 1, data={"size": 11})) == ['path matches "*.csv" does not hold (it is not there)']
    assert unmet(large, happened("other", 1)) == []


# An order, what is missing, and each subject by itself.


@pytest.mark.parametrize(
    ("within", "came", "found"),
    [
        (None, "a1 b2 c3", [[1, 2, 3]]),
        (None, "b1 a2 c3", []),
        (None, "b1 a2 c3 b4 c5", [[2, 4, 5]]),
        (None, "a1 b2 a3 c4 b5 c6", [[3, 5, 6]]),
        (None, "a1 b2 c3 b4 c5 a6 b7 c8", [[1, 2, 3], [6, 7, 8]]),
        (5, "a1 b9 c10 a11 b12 c13", [[11, 12, 13]]),
    ],
)
def test_in_order_holds_once_the_last_of_each_came_in_that_order(
    within: float | None, came: str, found: list[list[float]]
) -> None:
    condition = in_order(*(event(kind, name=kind) for kind in "abc"), within=within)
    events = [happened(each[0], float(each[1:])) for each in came.split()]
    assert times(followed(condition, events)) == found
    assert "in this order" in waiting_for(condition, begin(condition))


@pytest.mark.parametrize(
    ("came", "found"),
    [
        ("begun1 done5", []),
        ("begun1", [11]),
        ("begun1 begun8 done12", [11]),
        ("begun1 done5 begun6", [16]),
        ("done5", []),
        # one that comes late counts by its time
        ("done5 begun1", []),
        ("begun9 done5", [19]),
    ],
)
def test_an_absence_is_what_did_not_come_in_time(came: str, found: list[float]) -> None:
    condition = absence_of(event("done"), after=event("begun"), within=10)
    events = [happened(each.rstrip("0123456789"), float(each.lstrip("begundo"))) for each in came.split()]
    matches = followed(condition, events)
    assert [each.at for each in matches] == found
    assert all(each.events["event"]["type"] == "begun" for each in matches)


def test_a_heartbeat_that_stops_is_told_once_for_each_subject() -> None:
    beat = event("beat")
    condition = each_subject(absence_of(beat, after=beat, within=10))
    events = [happened("beat", at, subject=who) for at, who in [(0, "a"), (4, "b"), (8, "a"), (15, "a"), (20, "b")]]
    matches = followed(condition, events)
    assert [(each.at, each.events["event"]["subject"]) for each in matches] == [(14, "b"), (25, "a"), (30, "b")]
    state = begin(condition)
    assert "about one subject" in waiting_for(condition, state) and next_at(condition, state) is None


def test_each_subject_is_counted_by_itself() -> None:
    condition = each_subject(count_of(event("bad"), 2))
    assert several(condition)
    events = [happened("bad", at, subject=who) for at, who in enumerate("abcab")]
    assert times(followed(condition, events)) == [[0, 3], [1, 4]]
    state, _ = observe(condition, begin(condition), happened("other", 1, subject="x"), 1)
    assert state["held"] == {}


def test_conditions_are_what_they_were_after_they_were_written_down() -> None:
    condition = any_of(
        in_order(event("a", name="a"), event("b", name="b"), within=3),
        each_subject(absence_of(event("c"), after=event("d"), within="1m")),
    )
    assert msgspec.json.decode(msgspec.json.encode(condition), type=Condition) == condition
