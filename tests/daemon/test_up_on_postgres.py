"""Daemons, assets and backfills with the store on a PostgreSQL server."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from serving import Project, twice, wait_for

from penstock.testing.postgres import Cluster

pytestmark = pytest.mark.slow

TRIGGERS = """
from penstock import asset, daily, eager

ticks = trigger(noting, every("1s"), missed="all", parameters={"what": "tick {logical_time}"})
heard = trigger(noting, event("upload"), parameters={"what": "event {event.data.path}"})

@sensor(noting, every=1)
def rows(cursor):
    cursor = cursor or 0
    return SensorResult([RunRequest(f"row-{cursor}", {"what": f"row {cursor}"})] if cursor < 3 else [], cursor + 1)

@asset(partitions=daily("2026-03-01", end="2026-03-05"))
def days(partition: str) -> str:
    return partition

@asset
def source() -> int:
    return 1

@asset(automation=eager())
def derived(source: int) -> int:
    return source + 1
"""


def test_two_daemons_on_one_server(tmp_path: Path, postgres_cluster: Cluster) -> None:
    project = Project(tmp_path, TRIGGERS)
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.penstock]\nexecutor = "inline"\nstore = "{postgres_cluster.database()}"\n'
    )
    project.run("register", "pipes.py")
    project.run("assets", "materialize", "source")
    daemons = [project.started("up", log=tmp_path / f"up-{number}.log") for number in range(2)]
    project.run("emit", "upload", "--id", "one", "--data", '{"path": "a"}')
    project.run("emit", "upload", "--id", "one", "--data", '{"path": "a"}')
    project.run("backfill", "days", "--partitions", "2026-03-01..2026-03-04", "--at-most", "2", "-y")
    wait_for(lambda: sum(note.startswith("tick") for note in project.notes) >= 3, "three ticks")
    daemons[0].send_signal(signal.SIGKILL)
    daemons[0].wait()

    wanted = {"event a", "row 0", "row 1", "row 2"}
    wait_for(lambda: wanted <= set(project.notes), f"{wanted} of {project.notes}")
    wait_for(lambda: "finished" in project.run("backfill", "list"), "the backfill has ended")
    project.run("triggers", "disable", "ticks")
    made = {each["name"]: each for each in json.loads(project.run("assets", "list", "--json"))}
    wait_for(lambda: '"derived"' in project.run("assets", "history", "derived", "--json"), "it is made by itself")
    daemons[1].terminate()
    daemons[1].wait(60)
    assert not twice(project.notes)
    assert made["days"]["partitions"]["materialized"] == 4
