"""When assets are made by themselves: decisions from what is recorded alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock import cron, eager, on_code_change, on_schedule, when_missing, when_ready
from penstock.authoring.assets.automations import automation_of
from penstock.model.asset import AssetInput, AssetSpec, Materialization, Upstream
from penstock.triggers.automation import Cell, Decision, Facts, decide

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


class World:
    """What is recorded of `report`, made from `raw` and `orders`."""

    def __init__(self, *rules: Any) -> None:
        inputs = (AssetInput("raw", "raw"), AssetInput("orders"))
        self.spec = AssetSpec(name="report", inputs=inputs, automation=automation_of(list(rules)))
        self.versions: dict[Cell, Materialization] = {}
        self.busy: set[Cell] = set()
        self.code = "one"
        self.cursor: dict[str, Any] | None = None

    def made(self, name: str, *, upstream: Sequence[str] = ()) -> None:
        before = self.versions.get((name, ""))
        version = 1 if before is None else before.version + 1
        sources = tuple(Upstream(u, self.versions[u, ""].version, self.versions[u, ""].digest) for u in upstream)
        self.versions[name, ""] = Materialization(
            asset=name, version=version, at=NOW, run_id="r", node=name, digest=bytes([version]), upstream=sources
        )

    def decide(self, now: float = NOW) -> Decision:
        def latest(cells: Iterable[Cell]) -> Mapping[Cell, Materialization]:
            return {cell: self.versions[cell] for cell in cells if cell in self.versions}

        def busy(cells: Iterable[Cell]) -> Collection[Cell]:
            return self.busy.intersection(cells)

        def needed(_: str) -> Sequence[tuple[AssetInput, Sequence[Cell]]]:
            return [(each, [(each.asset, "")]) for each in self.spec.inputs]

        decision = decide(self.spec, Facts(("",), ("",), needed, latest, busy, self.code), self.cursor, now)
        self.cursor = decision.cursor
        return decision

    def reason(self, now: float = NOW) -> str:
        (verdict,) = self.decide(now).verdicts
        return f"{'made' if verdict.made else 'not'}: {verdict.reason}"


def test_eager_makes_it_once_for_each_new_version() -> None:
    world = World(eager())
    assert world.reason().startswith("not: none of its rules holds")
    world.made("orders")
    assert world.reason() == "not: orders is at version 1, and it waits for raw, which was never made"
    world.made("raw")
    first = world.decide()
    assert [each.key for each in first.wanted] == ["all from orders.1,raw.1"]
    assert world.reason().endswith("for which it was started once, and it had no new version")
    world.made("report", upstream=["raw", "orders"])
    assert world.reason() == "not: none of its rules holds: nothing that it is made from has a new version"
    world.made("raw")
    assert world.reason() == "made: raw is at version 2, and it was made from version 1"


def test_who_decides_with_the_same_facts_gives_the_same_key() -> None:
    one, other = World(eager()), World(eager(), when_missing())
    for world in (one, other):
        world.made("raw")
        world.made("orders")
    other.decide(NOW - 500)
    other.cursor = None
    assert [each.key for each in one.decide().wanted] == [each.key for each in other.decide(NOW + 60).wanted]


def test_it_waits_for_what_is_being_made() -> None:
    world = World(eager())
    world.made("raw")
    world.made("orders")
    world.busy = {("raw", "")}
    decision = world.decide()
    assert not decision.wanted and decision.cursor["waits"] == [""]
    assert decision.verdicts[0].reason.endswith("it waits for raw, which is being made")
    world.busy = {("report", "")}
    assert world.reason().endswith("it is being made")
    world.busy = set()
    assert world.decide().wanted


def test_ready_takes_a_new_version_of_each() -> None:
    world = World(when_ready())
    world.made("raw")
    world.made("orders")
    world.made("report", upstream=["raw", "orders"])
    world.made("raw")
    assert world.reason() == "not: none of its rules holds: not all that it is made from has a new version, but raw"
    world.made("orders")
    assert world.reason() == "made: all that it is made from has a new version"


def test_missing_makes_it_the_first_time_alone() -> None:
    world = World(when_missing())
    world.made("raw")
    assert world.reason() == "made: it was never made"
    world.made("report", upstream=["raw"])
    world.made("raw")
    assert world.reason().startswith("not: none of its rules holds")


def test_a_tick_waits_until_it_can_be_carried_out() -> None:
    world = World(on_schedule(cron("0 13 * * *")))
    assert world.decide().next_at == NOW + 3600
    assert "waits for raw" in world.reason(NOW + 3601)
    world.made("raw")
    late = world.decide(NOW + 7200)
    assert [each.key for each in late.wanted] == ["report at 2026-01-01T13:00:00Z"]
    assert not world.decide(NOW + 7300).wanted
    assert [each.key for each in world.decide(NOW + 86_400 + 3601).wanted] == ["report at 2026-01-02T13:00:00Z"]


def test_another_code_counts_once() -> None:
    world = World(on_code_change())
    world.made("raw")
    world.made("report", upstream=["raw"])
    assert not world.decide().wanted
    world.code = "two"
    assert world.reason() == "made: its code has changed"
    assert not world.decide().wanted


def test_a_decision_that_cannot_be_made_says_so() -> None:
    from penstock.errors import NotFoundError

    spec = AssetSpec(name="report", automation=eager())

    def needed(_: str) -> Any:
        raise NotFoundError("there is no week")

    facts = Facts(("",), (), needed, lambda _: {}, lambda _: set[Cell]())
    assert (
        decide(spec, facts, None, NOW).verdicts[0].reason == "it cannot be told what it is made from: there is no week"
    )


def test_rules_are_put_together() -> None:
    both = automation_of([eager(), when_missing(7), on_schedule(cron("0 1 * * *")), on_schedule(cron("0 2 * * *"))])
    assert both is not None
    assert (both.rules, both.backlog) == (("eager", "missing", "schedule"), 7)
    with pytest.raises(Exception, match="a number from 1 up"):
        when_missing(0)


def test_why_nothing_is_made_is_said_rule_by_rule() -> None:
    world = World(when_missing())
    world.made("report")
    assert world.reason() == "not: none of its rules holds: it was made"
    world = World(on_code_change())
    assert "never made, which is not a change of its code" in world.reason()
    world.made("report")
    assert world.reason() == "not: none of its rules holds: its code is as it was"
