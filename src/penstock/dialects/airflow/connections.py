"""Airflow's Connections: addresses, names and passwords that hooks use, from the environment, the project's settings and files.

Looked for in this order: `AIRFLOW_CONN_<ID>` in the environment, a URI or JSON; `[tool.penstock.airflow.connections]`, where
a part may name a secret (`password = { secret = "env:DB_PASSWORD" }`); a file `airflow_connections.json` (or
`connections.json`, or `.yaml`) beside the project or in `AIRFLOW_HOME`, as `airflow connections export` writes it. Passwords
and what else is secret are masked in all that a task hands on, from the moment they are read.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from penstock.dialects.airflow.exceptions import AirflowException, AirflowNotFoundException
from penstock.dialects.airflow.settings import entries, hide, is_sensitive, revealed
from penstock.secrets.masking import learn

#: the entry of a URI's query that holds the whole of `extra`
_EXTRA = "__extra__"
_PARTS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


class Connection:
    """How something is reached. `extra` is JSON as text; a table is written so."""

    def __init__(
        self,
        conn_id: str | None = None,
        conn_type: str | None = None,
        description: str | None = None,
        host: str | None = None,
        login: str | None = None,
        password: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        extra: str | dict[str, Any] | None = None,
        uri: str | None = None,
    ) -> None:
        self.conn_id = conn_id
        self.description = description
        parts: dict[str, Any] = {
            "conn_type": conn_type,
            "host": host,
            "login": login,
            "password": password,
            "schema": schema,
            "port": port,
            "extra": extra if extra is None or isinstance(extra, str) else json.dumps(extra),
        }
        if uri is not None:
            if any(value is not None for value in parts.values()):
                raise AirflowException("a connection is given by a uri or by its parts, and not by both")
            parts = _parts_of(uri)
        self.conn_type: str | None = parts["conn_type"]
        self.host: str | None = parts["host"]
        self.login: str | None = parts["login"]
        self.password: str | None = parts["password"]
        self.schema: str | None = parts["schema"]
        self.port: int | None = parts["port"]
        self.extra: str | None = parts["extra"]
        if self.password:
            learn(f"the password of the connection {conn_id}", self.password)
            if quote(self.password, safe="") != self.password:
                learn(f"the password of the connection {conn_id}", quote(self.password, safe=""))

    def __repr__(self) -> str:
        return f"Connection({self.conn_id!r}, {self.conn_type!r})"

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """`extra` as a table; empty where it is none."""
        try:
            found = json.loads(self.extra or "{}")
        except json.JSONDecodeError:
            logging.getLogger(__name__).warning("the extra of the connection %s is no JSON", self.conn_id)
            return {}
        table: dict[str, Any] = found
        for name, value in table.items():
            if is_sensitive(name):
                hide(f"{name} of the connection {self.conn_id}", value)
        return table

    def get_extra_dejson(self, nested: bool = False) -> dict[str, Any]:
        """The same."""
        return self.extra_dejson

    def get_password(self) -> str | None:
        """The password."""
        return self.password

    def get_extra(self) -> str | None:
        """`extra` as text."""
        return self.extra

    def get_uri(self) -> str:
        """The connection as a URI, which `Connection(uri=...)` reads back."""
        kind = (self.conn_type or "").lower().replace("_", "-")
        text = f"{kind}://" if kind else "//"
        host = self.host or ""
        if "://" in host:
            protocol, _, rest = host.partition("://")
            if protocol != self.conn_type:
                text += f"{protocol}://"
                host = rest
        user = "" if self.login is None else quote(self.login, safe="")
        if self.password is not None:
            user += ":" + quote(self.password, safe="")
        text += f"{user}@" if user else ""
        place = quote(host, safe="")
        if self.port:
            place += f":{self.port}" if place or user else f"@:{self.port}"
        if self.schema:
            place += f"/{quote(self.schema, safe='')}"
        return text + place + self._query()

    def _query(self) -> str:
        if not self.extra:
            return ""
        table = self.extra_dejson
        query = urlencode(table) if all(isinstance(value, str) for value in table.values()) else ""
        if not query or dict(parse_qsl(query, keep_blank_values=True)) != table:
            query = urlencode({_EXTRA: self.extra})
        return ("?" if self.schema else "/?") + query

    def get_hook(self, *, hook_params: Mapping[str, Any] | None = None) -> Any:
        """The hook for the kind of the connection. Raises AirflowException for a kind that has none here."""
        from penstock.dialects.airflow.hooks import hook_of

        return hook_of(self, dict(hook_params or {}))

    @classmethod
    def from_json(cls, value: str, conn_id: str | None = None) -> Connection:
        """The connection that a JSON text says. Raises ValueError for a port that is no number."""
        return connection_of(conn_id, json.loads(value))

    def as_json(self) -> str:
        """The connection as JSON, which `from_json` reads back."""
        found = self.to_dict()
        found.pop("conn_id")
        return json.dumps({name: value for name, value in found.items() if value is not None})

    def to_dict(self, *, prune_empty: bool = False, validate: bool = True) -> dict[str, Any]:
        """The parts by their names, `extra` as a table."""
        found = {name: getattr(self, name) for name in ("conn_id", *_PARTS[:-1])}
        found["extra"] = self.extra_dejson
        if prune_empty:
            return {name: value for name, value in found.items() if value not in (None, {})}
        return found

    @classmethod
    def get_connection_from_secrets(cls, conn_id: str) -> Connection:
        """The connection of an id. Raises AirflowNotFoundException."""
        return get_connection(conn_id)

    @classmethod
    def get(cls, conn_id: str) -> Connection:
        """The same."""
        return get_connection(conn_id)


def get_connection(conn_id: str) -> Connection:
    """The connection of an id. Raises AirflowNotFoundException, saying where one is looked for."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    given = os.environ.get(variable)
    if given is not None:
        return connection_of(conn_id, given)
    found = entries("connections")
    if conn_id in found:
        value, _ = found[conn_id]
        return connection_of(conn_id, revealed(value, f"the connection {conn_id}"))
    raise AirflowNotFoundException(
        f"The conn_id `{conn_id}` isn't defined: set {variable}, or write it into airflow_connections.json beside the "
        "project"
    )


def connection_of(conn_id: str | None, given: Any) -> Connection:
    """The connection that a URI, a JSON text or a table says. Raises AirflowException, without showing it, for what is
    none."""
    if isinstance(given, str):
        if not given.lstrip().startswith("{"):
            return Connection(conn_id, uri=given)
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            raise AirflowException(f"the connection {conn_id} is no JSON and no URI") from None
    if not isinstance(given, Mapping):
        raise AirflowException(f"the connection {conn_id} is a URI or a table of its parts")
    table = {name: value for name, value in cast("Mapping[str, Any]", given).items() if value is not None}
    table.pop("conn_id", None)
    if "uri" in table:
        return Connection(conn_id, uri=table["uri"])
    # as in Airflow, what is not a part of a connection is no fault of those that are
    table = {name: value for name, value in table.items() if name in _PARTS}
    if "port" in table:
        try:
            table["port"] = int(table["port"]) if table["port"] != "" else None
        except ValueError:
            raise ValueError(f"the port of the connection {conn_id} is no number") from None
    if "conn_type" in table:
        table["conn_type"] = _kind(table["conn_type"])
    return Connection(conn_id, **table)


def _kind(kind: str) -> str:
    return "postgres" if kind == "postgresql" else kind.replace("-", "_")


def _parts_of(uri: str) -> dict[str, Any]:
    """The parts of a connection's URI. Raises AirflowException, without showing it, for what is none."""
    protocols = uri.count("://")
    if protocols > 2:
        raise AirflowException("the URI of a connection has one protocol, or one and that of its host")
    kind = urlsplit(uri).scheme
    rest = uri.replace(f"{kind}://", "" if protocols == 2 else "//", 1)
    if protocols == 2 and any(mark in rest.partition("://")[0] for mark in "@:"):
        raise AirflowException("the URI of a connection says the protocol of its host before all else of it")
    parts = urlsplit(rest)
    host = _host(parts.netloc, parts.hostname or "")
    if host and protocols == 2:
        host = f"{parts.scheme}://{host}"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        port = parts.port
    except ValueError:
        raise AirflowException("the port in the URI of a connection is no number") from None
    return {
        "conn_type": _kind(kind),
        "host": host,
        "login": None if parts.username is None else unquote(parts.username),
        "password": None if parts.password is None else unquote(parts.password),
        "schema": unquote(parts.path[1:]),
        "port": port,
        "extra": query.get(_EXTRA, json.dumps(query)) if query else None,
    }


def _host(netloc: str, hostname: str) -> str:
    host = unquote(hostname)
    if "/" not in host:
        return host
    # what was quoted is a path, in which letters keep their case
    return unquote(netloc.rpartition("@")[2].partition(":")[0])


class ConnectionAccessor:
    """`conn` of templates: connections as attributes, and by `get`."""

    def __getattr__(self, conn_id: str) -> Connection:
        if conn_id.startswith("__"):
            raise AttributeError(conn_id)
        return get_connection(conn_id)

    def get(self, conn_id: str, default_conn: Any = None) -> Any:
        """The connection of an id; `default_conn` if there is none."""
        try:
            return get_connection(conn_id)
        except AirflowNotFoundException:
            return default_conn


__all__ = ["Connection", "ConnectionAccessor", "connection_of", "get_connection"]
