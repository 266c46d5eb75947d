"""A PostgreSQL server to test with: a cluster of its own on a free port, in a folder that goes when it does.

    with Cluster.start() as cluster:
        store = PostgresStore(cluster.database("orders"))
        cluster.kill()
        cluster.restart()

Needs the server's programs (`apt-get install postgresql`, `brew install postgresql`) and the extra `penstock[postgres]`.
The server never runs as root, which it refuses: under root it gets the user `postgres`, or `nobody`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import PenstockError

#: seconds that a server may take to start, or to stop
_PATIENCE = 60.0
#: who connects, with what password
_USER, _PASSWORD = "penstock", "s3cr%t/@:"
_ESCAPED = "s3cr%25t%2F%40%3A"

#: Quick, and still nothing that was committed is lost when the server is killed: that would take the machine to fail.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
}

# Without looking at what refers to what; TRUNCATE would make new files, which takes ten times as long.
_EMPTY = """
    DO $$ DECLARE name text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT relname FROM pg_class
            WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r' AND relname <> 'version'
        LOOP EXECUTE format('DELETE FROM penstock.%I', name); END LOOP;
    END $$
"""


class UnavailableError(PenstockError):
    """There is no PostgreSQL server to start here. Tests that need one are skipped."""


def programs() -> Path:
    """The folder with the programs of the newest PostgreSQL server that is installed. Raises UnavailableError."""
    found = shutil.which("postgres")
    if found and shutil.which("initdb"):
        return Path(found).resolve().parent
    patterns = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")
    folders = [folder for pattern in patterns for folder in Path("/").glob(pattern) if (folder / "initdb").exists()]
    if not folders:
        raise UnavailableError("no PostgreSQL server is installed", remedy="Install one: apt-get install postgresql.")
    return max(folders, key=lambda folder: [int(part) for part in folder.parent.name.split("-")[-1:] if part.isdigit()])


class Cluster:
    """A PostgreSQL server on a free port of this machine, with a superuser whose name and password are in its `url`.

    Ends with its `with` block, and its data with it. `kill` takes all its processes away at once, as a failing machine
    would; what was committed is still there after `restart`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._programs = programs()
        self._folder = folder
        self._data = folder / "data"
        self._settings = _SETTINGS | {name: str(value) for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._emptied: set[str] = set()
        self.port = _free_port()

    @classmethod
    @contextlib.contextmanager
    def start(cls, **settings: Any) -> Generator[Cluster]:
        """A running cluster, for the block. `settings` are of the server: `max_connections=200`.

        Raises UnavailableError where no server, or no psycopg, is installed.
        """
        if importlib.util.find_spec("psycopg") is None:
            raise UnavailableError("psycopg is not installed", remedy='Install it: pip install "penstock[postgres]".')
        with tempfile.TemporaryDirectory(prefix="penstock-postgres-", ignore_cleanup_errors=True) as folder:
            cluster = cls(Path(folder), settings)
            cluster._create()
            cluster.restart()
            try:
                yield cluster
            finally:
                cluster.kill()

    @property
    def url(self) -> str:
        """The address of the database that the cluster comes with, with user and password."""
        return self.address("postgres")

    def address(self, database: str, user: str = _USER, password: str = _ESCAPED) -> str:
        """The address of a database, for a user; `password` as it stands in a URL, none if it is empty."""
        return f"postgresql://{user}{password and ':'}{password}@127.0.0.1:{self.port}/{database}"

    def database(self, name: str | None = None) -> str:
        """Make a new, empty database. Returns its address."""
        name = name or f"test_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.address(name)

    def emptied(self, name: str) -> str:
        """The address of a database whose store, if there is one, is empty. For one test after the other: that takes a
        fraction of what a new database does."""
        if name not in self._emptied:
            self._emptied.add(name)
            return self.database(name)
        self.execute(_EMPTY, name)
        return self.address(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser. Returns its rows."""
        import psycopg

        with psycopg.connect(self.address(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connections(self, database: str) -> int:
        """How many connections a database has now."""
        [(count,)] = self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
        return count

    def disconnect(self, database: str) -> None:
        """Break all connections to a database."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    def kill(self) -> None:
        """End all processes of the server at once, with SIGKILL. Does nothing if it is down."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            # stopped first, so that it starts no others meanwhile
            process.send_signal(signal.SIGSTOP)
            for each in (*_children(process.pid), process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        process.wait(_PATIENCE)

    def stop(self) -> None:
        """End the server in order: connections are broken, everything is written. Does nothing if it is down."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE)

    def pause(self) -> None:
        """Let nothing of the server run on, as if the network to it were cut, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start the server again, at the same address, after `kill` or `stop`. Returns when it answers."""
        deadline = time.monotonic() + _PATIENCE
        while not self._starts(deadline):
            if time.monotonic() > deadline:
                log = (self._folder / "log").read_text(errors="replace")
                raise UnavailableError(f"PostgreSQL does not start: {log[-2000:]}")
            time.sleep(0.2)

    def _create(self) -> None:
        self._folder.chmod(0o755)
        self._data.mkdir()
        password = self._folder / "password"
        password.write_text(f"{_PASSWORD}\n")
        owner = _owner()
        if owner.user is not None:
            for path in (self._data, password):
                os.chown(path, owner.user, owner.group or -1)
        initdb = [self._programs / "initdb", "-D", self._data, "-U", _USER, "--auth=scram-sha-256"]
        options = [f"--pwfile={password}", "--no-sync", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(
            [*initdb, *options],
            check=False,
            capture_output=True,
            cwd=self._folder,
            timeout=_PATIENCE,
            user=owner.user,
            group=owner.group,
            extra_groups=owner.groups,
        )
        if done.returncode:
            raise UnavailableError(f"no PostgreSQL cluster could be made: {done.stderr.decode(errors='replace')}")

    def _starts(self, deadline: float) -> bool:
        """Start the server; whether it came up."""
        import psycopg

        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *settings]
        with (self._folder / "log").open("ab") as log:
            owner = _owner()
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=owner.user,
                group=owner.group,
                extra_groups=owner.groups,
            )
        self._process = process
        while process.poll() is None:
            try:
                psycopg.connect(self.url, connect_timeout=10).close()
                return True
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.02)
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            for each in (self._process.pid, *_children(self._process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, number)


class _Owner(NamedTuple):
    """As whom the server runs; None for as we are."""

    user: int | None = None
    group: int | None = None
    groups: Sequence[int] | None = None


def _owner() -> _Owner:
    if os.geteuid() != 0:
        return _Owner()
    import pwd

    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return _Owner(entry.pw_uid, entry.pw_gid, ())


def _free_port() -> int:
    # None of those that the system gives to whoever connects: while the server is down, a client that tries to reach
    # it could be given its port, and so reach itself.
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _children(pid: int) -> list[int]:
    """The processes that a process has started itself and that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True, text=True).stdout
    return [int(child) for child, parent in map(str.split, listed.splitlines()) if int(parent) == pid]


__all__ = ["Cluster", "UnavailableError", "programs"]
