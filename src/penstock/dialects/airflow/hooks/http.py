"""`HttpHook`: requests to a server that a connection names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from penstock.dialects.airflow.connections import Connection
from penstock.dialects.airflow.exceptions import AirflowException, AirflowNotFoundException
from penstock.dialects.airflow.extras import needed
from penstock.dialects.airflow.hooks import BaseHook

_TIMEOUT: Final = 60.0
#: of a connection's `extra`, what says how a request is made, and is no header
_OPTIONS: Final = (
    "timeout",
    "allow_redirects",
    "proxies",
    "proxy",
    "verify",
    "cert",
    "max_redirects",
    "trust_env",
    "stream",
)


class HttpError(AirflowException):
    """A server answered with a status from 400 on: its text begins with that."""


class HttpHook(BaseHook):
    """Requests by the library `requests`. The connection's host, port and schema are the address (`http` by default), its
    login and password those of the request, its `extra` the headers."""

    conn_type = "http"

    def __init__(
        self,
        method: str = "POST",
        http_conn_id: str = "http_default",
        auth_type: Any = None,
        tcp_keep_alive: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.method = method.upper()
        self.http_conn_id = http_conn_id
        self.auth_type = auth_type
        self.base_url = ""
        self._options: dict[str, Any] = {}

    def get_conn(self, headers: Mapping[str, Any] | None = None, extra_options: Mapping[str, Any] | None = None) -> Any:
        """A session of `requests` with what the connection says, and the headers that are given."""
        session = needed("requests", "requests by HttpHook", "").Session()
        if self.http_conn_id:
            try:
                self._apply(session, self.get_connection(self.http_conn_id))
            except AirflowNotFoundException:
                # as in Airflow, without the default connection an endpoint is a whole address
                if self.http_conn_id != "http_default":
                    raise
        session.headers.update(headers or {})
        return session

    def _apply(self, session: Any, connection: Connection) -> None:
        self.base_url = _address(connection)
        if connection.login or self.auth_type:
            kind = self.auth_type or needed("requests.auth", "requests by HttpHook", "").HTTPBasicAuth
            session.auth = kind(connection.login, connection.password) if connection.login else kind()
        extra = dict(connection.extra_dejson)
        extra.pop("headers", None)
        headers = connection.extra_dejson.get("headers", {})
        self._options = {name: extra.pop(name) for name in _OPTIONS if name in extra}
        if isinstance(headers, str):
            headers = json.loads(headers)
        session.headers.update({**{name: str(value) for name, value in extra.items()}, **headers})

    def url_from_endpoint(self, endpoint: str | None) -> str:
        """The address of an endpoint: what follows that of the connection, or a whole one."""
        if endpoint and "://" in endpoint and not self.base_url:
            return endpoint
        base, rest = self.base_url, endpoint or ""
        return (
            f"{base}/{rest}" if base and rest and not base.endswith("/") and not rest.startswith("/") else base + rest
        )

    def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        headers: Mapping[str, Any] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Any:
        """Make a request; the answer is that of `requests`. Of GET and HEAD, `data` is the query. Raises HttpError for a status
        from 400 on, unless `extra_options` has `check_response=False`, and AirflowException for a server that cannot be
        reached."""
        library = needed("requests", "requests by HttpHook", "")
        options = {**self._options, **(extra_options or {})}
        checked = options.pop("check_response", True)
        with self.get_conn(headers) as session:
            options = {**self._options, **options}
            where = "params" if self.method in ("GET", "HEAD", "OPTIONS") else "data"
            given = {where: data} if data is not None else {}
            known = {
                name: options[name]
                for name in _OPTIONS
                if name in options and name not in ("max_redirects", "trust_env", "proxy")
            }
            try:
                answer = session.request(
                    self.method,
                    self.url_from_endpoint(endpoint),
                    **{"timeout": _TIMEOUT, **known, **given, **request_kwargs},
                )
            except (library.exceptions.ConnectionError, library.exceptions.Timeout) as error:
                raise AirflowException(f"{self.base_url} cannot be reached: {type(error).__name__}") from error
            if checked:
                self.check_response(answer)
            return answer

    def check_response(self, response: Any) -> None:
        """Raises HttpError for a status from 400 on."""
        if response.status_code >= 400:
            raise HttpError(f"{response.status_code}:{response.reason}")

    def run_with_advanced_retry(self, _retry_args: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The same, repeated as the arguments for the library tenacity say."""
        return needed("tenacity", "requests that are repeated", "").Retrying(**_retry_args)(self.run, *args, **kwargs)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server answers, and what was wrong."""
        try:
            self.run()
        except Exception as error:
            return False, str(error)
        return True, "Connection successfully tested"


def _address(connection: Connection) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{base}:{connection.port}" if connection.port else base


__all__ = ["HttpError", "HttpHook"]
