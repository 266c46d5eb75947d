"""A project whose store is on a PostgreSQL server."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from penstock.app import Services
from penstock.cli import doctor
from penstock.cli.running import run_target
from penstock.errors import DefinitionError, NotFoundError, RunFailedError, StoreError
from penstock.runtime.surroundings.project import find_project
from penstock.stores import postgres_schema
from penstock.stores.postgres import PostgresStore
from penstock.stores.sessions import Session
from penstock.testing.postgres import Cluster

pytestmark = pytest.mark.slow

PIPELINE = """
import os
from penstock import pipeline, task

@task
def one(i: int) -> int:
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{i}\\n")
    return i + 1

@task
def total(numbers: list[int]) -> int:
    return sum(numbers)

@pipeline
def main(n: int = 4) -> int:
    return total(one.map(range(n)))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the working folder, with a pipeline that notes what it runs."""
    (tmp_path / "pipe.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    for name in ("PENSTOCK_HOME", "PENSTOCK_STORE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def penstock(*arguments: str, url: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, with the store at an address."""
    return subprocess.run(
        [sys.executable, "-m", "penstock", *arguments],
        cwd=folder,
        env={**os.environ, "PENSTOCK_STORE": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def notes(project: Path) -> list[str]:
    file = project / "notes"
    return sorted(file.read_text().split()) if file.exists() else []


# What the settings say.


def test_the_address_comes_from_the_settings_or_a_variable(tmp_path: Path) -> None:
    assert find_project(tmp_path, {}).store_url is None
    (tmp_path / "penstock.toml").write_text('store = "postgresql://host/lab"')
    assert find_project(tmp_path, {}).store_url == "postgresql://host/lab"
    other = {"PENSTOCK_STORE": "postgres://host/other"}
    assert find_project(tmp_path, other).store_url == "postgres://host/other"


@pytest.mark.parametrize("value", ['"mysql://ada:hunter2@host/lab"', '"lab.db"', "3"])
def test_what_is_no_address_of_a_store_is_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "penstock.toml").write_text(f"store = {value}")
    with pytest.raises(DefinitionError) as caught:
        find_project(tmp_path, {})
    assert "postgresql://user@host:5432/database" in caught.value.what
    assert "hunter2" not in str(caught.value)
    (tmp_path / "penstock.toml").unlink()
    with pytest.raises(DefinitionError, match="PENSTOCK_STORE"):
        find_project(tmp_path, {"PENSTOCK_STORE": value.strip('"')})


def test_without_the_extra_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_STORE", "postgresql://host/lab")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "psycopg" else found(name))
    with pytest.raises(DefinitionError) as caught, Services().store():
        pass
    assert 'pip install "penstock[postgres]"' in str(caught.value.remedy)


# What comes of it.


def test_nothing_is_made_by_who_only_looks(
    postgres_cluster: Cluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_cluster.database()
    monkeypatch.setenv("PENSTOCK_STORE", url)
    services = Services()
    assert not services.has_store
    with services.store_as_it_is() as store:
        assert store is None
    with pytest.raises(NotFoundError, match="nothing has run"), services.existing_store():
        pass
    assert not PostgresStore.exists(url)
    with services.store() as store:
        assert store.runs() == []
    assert PostgresStore.exists(url)
    assert Services().has_store
    with pytest.raises(StoreError, match="penstock backup"):
        Services().back_up(project / "x.backup", version="0")


def test_who_was_there_once_is_waited_for(
    postgres_cluster: Cluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_STORE", postgres_cluster.emptied("outages"))
    services = Services()
    with services.store():
        pass
    postgres_cluster.kill()
    timer = threading.Timer(0.3, postgres_cluster.restart)
    timer.start()
    with services.existing_store() as store:
        assert store.runs() == []
    timer.join()


def test_a_run_its_plan_and_all_that_is_said_of_it(postgres_cluster: Cluster, project: Path) -> None:
    url = postgres_cluster.emptied("project")
    first = penstock("run", "pipe.py", "--executor", "inline", url=url)
    assert first.returncode == 0, first.stderr
    assert notes(project) == ["0", "1", "2", "3"]
    again = penstock("run", "pipe.py", "-p", "n=5", "--executor", "inline", url=url)
    assert "4 cached" in again.stdout
    assert notes(project) == ["0", "1", "2", "3", "4"]
    for arguments in (("plan", "pipe.py"), ("why", "latest", "total"), ("tag", "latest", "kept"), ("gc", "--yes")):
        said = penstock(*arguments, url=url)
        assert said.returncode == 0, said.stderr
    assert not (project / ".penstock" / "penstock.db").exists()


def diagnosed(monkeypatch: pytest.MonkeyPatch, url: str) -> tuple[str, str, list[str]]:
    """What the doctor says of a store: the row about it, the rest of what is shown, and the problems."""
    monkeypatch.setenv("PENSTOCK_STORE", url)
    # whether worker processes start is asked in another test
    monkeypatch.setattr(doctor, "_worker_answer", lambda services: "")  # pyright: ignore[reportUnknownLambdaType]
    report = json.loads(CliRunner().invoke(doctor.doctor, ["--json"]).stdout)
    shown = CliRunner().invoke(doctor.doctor, [], env={"COLUMNS": "300"}).stdout
    assert "s3cr" not in f"{report}{shown}"
    [row] = [line for line in shown.splitlines() if line.startswith("store")]
    return row, shown, report["problems"]


def test_the_doctor_looks_at_the_server(
    postgres_cluster: Cluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_cluster.emptied("project")
    PostgresStore(url).close()
    row, shown, problems = diagnosed(monkeypatch, url)
    assert re.search(
        rf"postgresql://127\.0\.0\.1:\d+/\w+, reachable, with all rights, 0 runs, .*, schema {len(postgres_schema.MIGRATIONS)}$",
        row,
    )
    assert "\nsqlite" not in shown and problems == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 's3cret'")
        connection.execute("GRANT USAGE ON SCHEMA penstock TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA penstock TO reader")
    place = row.split()[1].rstrip(",").removeprefix("postgresql://")
    reader = f"postgresql://reader:s3cret@{place}"
    row, _, [problem] = diagnosed(monkeypatch, reader)
    assert row.endswith("cannot be used")
    assert "not all rights on the table" in problem and "GRANT ALL ON SCHEMA penstock" in problem
    row, _, [problem] = diagnosed(monkeypatch, "postgresql://ada:s3cret@127.0.0.1:1/lab")
    assert row.endswith("postgresql://127.0.0.1:1/lab, cannot be used")
    assert "Is the server up" in problem


@pytest.mark.slow
def test_two_machines_make_each_result_once(postgres_cluster: Cluster, project: Path, tmp_path: Path) -> None:
    url = postgres_cluster.database()
    (project / "pipe.py").write_text(
        PIPELINE.replace("    with open", "    import time; time.sleep(0.2)\n    with open")
    )
    homes = [tmp_path / name for name in ("north", "south")]
    ends: list[subprocess.CompletedProcess[str]] = []

    def run(home: Path) -> None:
        command = [sys.executable, "-m", "penstock", "run", "pipe.py", "-p", "n=20", "--json"]
        settings = {"PENSTOCK_STORE": url, "PENSTOCK_HOME": str(home), "PENSTOCK_BLOBS": f"file://{tmp_path}/blobs"}
        ends.append(
            subprocess.run(
                command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120, check=False
            )
        )

    threads = [threading.Thread(target=run, args=(home,)) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ended.returncode for ended in ends] == [0, 0], ends
    # the first attempt at a task, of which nobody knows yet how long it takes, is claimed like all others
    assert notes(project) == sorted(str(number) for number in range(20))


@pytest.mark.slow
def test_a_run_of_a_thousand_tasks_has_two_connections(postgres_cluster: Cluster, project: Path) -> None:
    url = postgres_cluster.database("thousand")
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.append(postgres_cluster.connections("thousand"))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run = penstock("run", "pipe.py", "-p", "n=1000", url=url)
    ended.set()
    watcher.join()
    assert run.returncode == 0, run.stderr
    assert len(notes(project)) == 1000
    assert 1 <= max(seen) <= 2


@pytest.mark.slow
def test_a_run_outlives_its_server(postgres_cluster: Cluster, project: Path) -> None:
    url = postgres_cluster.database()
    (project / "pipe.py").write_text(
        PIPELINE.replace("    with open", "    import time; time.sleep(0.05)\n    with open")
    )
    done = threading.Event()

    def disturb() -> None:
        while not done.wait(0.7):
            if not notes(project):
                # a run that is about to begin waits for nobody
                continue
            postgres_cluster.kill()
            time.sleep(0.2)
            postgres_cluster.restart()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        run = penstock("run", "pipe.py", "-p", "n=150", "--json", url=url)
    finally:
        done.set()
        disturber.join()
    assert run.returncode == 0, run.stderr
    assert notes(project) == sorted(str(number) for number in range(150))


def test_a_server_that_stays_away_is_waited_for_once(
    postgres_cluster: Cluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_cluster.emptied("away")
    (project / "stop.py").write_text(
        "from penstock import pipeline, task\n\n"
        "@task\ndef away() -> None:\n    import test_hooks_of_away\n    test_hooks_of_away.stop()\n\n"
        "@pipeline\ndef main() -> None:\n    away()\n"
    )
    stopping = types.ModuleType("test_hooks_of_away")
    vars(stopping)["stop"] = postgres_cluster.stop
    monkeypatch.setitem(sys.modules, stopping.__name__, stopping)
    monkeypatch.setenv("PENSTOCK_STORE", url)
    monkeypatch.setitem(PostgresStore.__init__.__kwdefaults__ or {}, "patience", 0.2)
    given_up: list[BaseException] = []
    ride_out = Session.ride_out

    def noting(session: Session, *arguments: Any) -> Any:
        try:
            return ride_out(session, *arguments)
        except psycopg.OperationalError as error:
            if threading.current_thread() is threading.main_thread():
                given_up.append(error)
            raise

    monkeypatch.setattr(Session, "ride_out", noting)
    try:
        with pytest.raises(RunFailedError, match=r"broke off: .* no connection for 0\.2 s") as caught:
            run_target("stop.py", executor="inline", progress=False)
    finally:
        postgres_cluster.restart()
    assert len(given_up) == 1
    assert re.findall(r"penstock resume [\w-]+", str(caught.value)) == [f"penstock resume {latest(url)}"]


def latest(url: str) -> str:
    store = PostgresStore(url)
    [run] = store.runs()
    store.close()
    # who goes on with it sees that nobody drives it
    assert run.state == "running"
    return run.run_id
