"""What is looked at for triggers: files and rows of SQLite. Objects and PostgreSQL have servers, and tests of their own."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from serving import Project, wait_for

from penstock import files, rows
from penstock.daemon.watches.polls import polls
from penstock.errors import DefinitionError, StoreError
from penstock.model.occurrence import Occurrence
from penstock.model.trigger import WatchSource
from penstock.triggers.templates import OWN_FIELDS


class Watch:
    """Looks again and again, as the daemon does: with a cursor that is written down in between."""

    def __init__(self, folder: Path, source: WatchSource) -> None:
        self._poll = polls(folder)[source.kind]
        self._source = source
        self.cursor: Any = None
        self.now = 1000.0

    def look(self, after: float = 5.0) -> Sequence[Occurrence]:
        self.now += after
        found, cursor = self._poll(self._source, self.cursor, self.now)
        self.cursor = json.loads(json.dumps(cursor))
        return found

    def subjects(self, after: float = 5.0) -> list[str]:
        return [each.subject for each in self.look(after)]


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_file_counts_once_it_has_stayed_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "in" / "old.csv")
    watch = Watch(tmp_path, files("in/*.csv", settle=2))
    assert watch.look() == []
    write(tmp_path / "in" / "a.csv", "one")
    write(tmp_path / "in" / "a.txt")
    write(tmp_path / "in" / ".a.csv")
    assert watch.look() == []
    write(tmp_path / "in" / "a.csv", "one more")
    assert watch.look() == []
    # not yet, by its time
    assert watch.look(1.0) == []
    (found,) = watch.look()
    assert found.type == "file.arrived"
    assert set(found.data) == set(OWN_FIELDS["file.arrived"])
    assert found.data["path"] == "in/a.csv"
    assert found.data["name"] == "a.csv"
    assert found.data["folder"] == str(tmp_path / "in")
    assert found.data["size"] == 8
    assert found.data["modified"] == (tmp_path / "in" / "a.csv").stat().st_mtime
    assert watch.look() == []


def test_each_version_of_a_file_counts_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path, files(tmp_path / "in" / "**" / "*.csv", settle=0))
    watch.look()
    file = tmp_path / "in" / "deep" / "down" / "a.csv"
    write(file)
    (first,) = watch.look()
    write(file, "xy")
    (second,) = watch.look()
    assert first.id != second.id
    assert first.subject == second.subject == str(file)
    # it is away for a while, and comes back as it was
    file.rename(tmp_path / "aside")
    assert watch.look() == []
    (tmp_path / "aside").rename(file)
    assert watch.look() == []
    # a copy by another name is another file, and a link that leads nowhere is none
    file.with_name("b.csv").hardlink_to(file)
    file.with_name("c.csv").symlink_to(tmp_path / "nowhere")
    assert watch.subjects() == [str(file.with_name("b.csv"))]


def test_a_file_that_is_replaced_while_it_waits_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path, files("in/*", settle=2))
    watch.look()
    file, other = tmp_path / "in" / "a", tmp_path / "other"
    write(file)
    watch.look()
    write(other, "y")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert watch.look() == []
    assert watch.subjects() == ["in/a"]


def test_a_clock_that_is_set_back_delays_a_file_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path, files("in/*", settle=2))
    watch.look()
    write(tmp_path / "in" / "a")
    watch.look()
    assert watch.look(-500.0) == []
    assert watch.subjects() == ["in/a"]


def test_files_that_are_found_together_are_one_event(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path, files("in/*", settle=0, together=True))
    watch.look()
    for place, name in enumerate("ba"):
        write(tmp_path / "in" / name)
        os.utime(tmp_path / "in" / name, (place, place))
    (found,) = watch.look()
    assert found.type == "files.arrived"
    assert set(found.data) == set(OWN_FIELDS["files.arrived"])
    assert found.data["paths"] == ["in/b", "in/a"]
    assert [each["name"] for each in found.data["files"]] == ["b", "a"]
    assert watch.look() == []


def test_a_folder_that_is_not_there_is_said_and_what_comes_with_it_is_new(tmp_path: Path) -> None:
    watch = Watch(tmp_path, files("in/**/*.csv", settle=0))
    assert watch.look() == []
    with pytest.raises(StoreError, match=r"the folder .*/in cannot be looked into: No such file"):
        watch.look()
    write(tmp_path / "in" / "x" / "a.csv")
    assert watch.subjects() == ["in/x/a.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_said(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.csv")
    watch = Watch(tmp_path, files("in/*.csv", settle=0))
    watch.look()
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            watch.look()
    finally:
        (tmp_path / "in").chmod(0o700)
    assert watch.look() == []


def test_names_that_are_no_text_are_told_in_text(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path, files("in/*", settle=0))
    watch.look()
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff"))).write_text("x")
    (found,) = watch.look()
    assert json.loads(json.dumps(found.data))["name"] == "\\udcff"
    assert watch.look() == []


# Rows.


class Shop:
    """A database with orders."""

    def __init__(self, folder: Path, column: str = "id integer primary key") -> None:
        self._connection = sqlite3.connect(folder / "shop.db", isolation_level=None)
        self._connection.execute(f"create table orders ({column}, item text)")

    def add(self, *orders: tuple[Any, str | None]) -> None:
        self._connection.execute("begin")
        self._connection.executemany("insert into orders values (?, ?)", orders)
        self._connection.execute("commit")

    def close(self) -> None:
        self._connection.close()


def orders(condition: str = "id > :cursor", column: str = "id", **more: Any) -> WatchSource:
    return rows("sqlite:///shop.db", f"select * from orders where {condition}", column, **more)


def test_rows_that_were_not_there_count_once_and_in_order(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add((1, "old"), (2, "old"))
    watch = Watch(tmp_path, orders())
    assert watch.look() == []
    assert watch.look() == []
    shop.add((4, "b"), (3, None))
    found = watch.look()
    assert [each.data for each in found] == [{"id": 3, "item": None}, {"id": 4, "item": "b"}]
    assert {each.type for each in found} == {"row.arrived"}
    assert len({each.id for each in found}) == 2
    assert watch.look() == []
    shop.close()


def test_rows_of_a_table_that_was_empty(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    watch = Watch(tmp_path, orders(together=True))
    assert watch.look() == []
    assert watch.look() == []
    shop.add((-5, "a"), (7, "b"))
    (found,) = watch.look()
    assert found.type == "rows.arrived"
    assert found.data == {"rows": [{"id": -5, "item": "a"}, {"id": 7, "item": "b"}]}
    assert watch.look() == []
    shop.close()


@pytest.mark.parametrize("together", [False, True])
def test_rows_with_the_same_time_are_all_seen_where_the_query_asks_for_them(tmp_path: Path, together: bool) -> None:
    shop = Shop(tmp_path, "at text")
    shop.add(("2026-01-01", "old"))
    watch = Watch(tmp_path, orders("at >= :cursor", "at", together=together))
    watch.look()
    shop.add(("2026-01-01", "late"), ("2026-01-02", "a"))

    def items() -> list[str]:
        found = watch.look()
        data = [row for each in found for row in (each.data["rows"] if together else [each.data])]
        return [row["item"] for row in data]

    assert items() == ["late", "a"]
    shop.add(("2026-01-02", "b"))
    assert items() == ["b"]
    assert items() == []
    shop.close()


def test_many_rows_are_taken_in_several_looks_and_none_is_lost(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "at integer")
    watch = Watch(tmp_path, orders("at > :cursor order by at desc -- the latest", "at"))
    watch.look()
    shop.add(*[(number // 3, str(number)) for number in range(2500)])
    looks = [watch.look() for _ in range(4)]
    assert [len(each) for each in looks] == [999, 999, 502, 0]
    assert {each.data["item"] for look in looks for each in look} == {str(number) for number in range(2500)}
    shop.add(*[(5000, str(number)) for number in range(1001)])
    with pytest.raises(StoreError, match="more than 1,000 rows have the same at"):
        watch.look()
    shop.close()


def test_a_query_with_a_limit_of_its_own_ends_at_what_is_there(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add(*[(number, "old") for number in range(25)])
    watch = Watch(tmp_path, orders("id > :cursor order by id limit 10;"))
    watch.look()
    shop.add((25, "new"))
    assert [each.data["id"] for each in watch.look()] == [25]
    shop.close()


@pytest.mark.parametrize(
    ("place", "query", "column", "what"),
    [
        ("sqlite:///no.db", "select * from t where id > :cursor", "id", "there is no database"),
        ("sqlite:///shop.db", "select * from order where id > :cursor", "id", "syntax error"),
        ("sqlite:///shop.db", "select * from others where id > :cursor", "id", "no such table: others"),
        ("sqlite:///shop.db", "select item from orders where id > :cursor", "id", "gives no column 'id'"),
        ("sqlite:///shop.db", "delete from orders where id > :cursor returning *", "id", "syntax error"),
        ("mysql://me:canary@host/shop", "select * from t where id > :cursor", "id", "none that rows can be read from"),
        ("sqlite:///env:NOT_SET_HERE", "select * from t where id > :cursor", "id", "variable NOT_SET_HERE"),
    ],
)
def test_what_is_wrong_with_rows_is_said(tmp_path: Path, place: str, query: str, column: str, what: str) -> None:
    shop = Shop(tmp_path)
    shop.add((1, "kept"))
    watch = Watch(tmp_path, rows(place, query, column))
    with pytest.raises((StoreError, DefinitionError), match=what) as told:
        watch.look()
    assert "canary" not in str(told.value)
    shop.close()


def test_an_address_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", f"sqlite:///{tmp_path}/shop.db")
    monkeypatch.setenv("NAME", "shop.db")
    shop = Shop(tmp_path)
    shop.add((1, "x"))
    for place in ("env:SHOP", "sqlite:///env:NAME"):
        watch = Watch(tmp_path, rows(place, "select * from orders where id > :cursor", "id"))
        watch.look()
        assert watch.cursor["value"] == 1
    shop.close()


def test_what_is_there_counts_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.csv")
    watch = Watch(tmp_path, files("in/*.csv", settle=2, existing=True))
    assert [watch.subjects(), watch.subjects(), watch.subjects()] == [[], ["in/a.csv"], []]
    shop = Shop(tmp_path)
    shop.add((-1, "a"), (2, "b"))
    other = Watch(tmp_path, orders(existing=True))
    assert [other.subjects(), other.subjects()] == [["-1", "2"], []]
    shop.close()


@pytest.mark.slow
def test_the_daemon_starts_a_run_for_each_file(tmp_path: Path) -> None:
    triggers = (
        "from penstock import files\n"
        'came = trigger(noting, files("in/*.csv", settle="0.2s", every="0.3s"), parameters={"what": "{event.data.name}"})\n'
        'lost = trigger(noting, files("gone/*", every="0.3s"), parameters={"what": "{event.data.name}"})\n'
    )
    project = Project(tmp_path, triggers)
    write(tmp_path / "in" / "old.csv")
    log = tmp_path / "up.log"
    daemons = [project.started("up", "pipes.py"), project.started("up", log=tmp_path / "other.log")]
    wait_for(lambda: "lost failed: the folder" in log.read_text() + (tmp_path / "other.log").read_text(), "it is told")
    for name in ("a.csv", "b.csv", "c.csv"):
        write(tmp_path / "in" / name)
    wait_for(lambda: len(project.notes) == 3, "the runs end")
    for daemon in daemons:
        daemon.terminate()
        daemon.wait(60)
    assert sorted(project.notes) == ["a.csv", "b.csv", "c.csv"]
    assert len(project.runs()) == 3
