"""`HttpSensor`: waits until a server answers as it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from penstock.dialects.airflow.basesensor import BaseSensorOperator, PokeReturnValue
from penstock.dialects.airflow.context import determine_kwargs
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.hooks.http import HttpError, HttpHook


class HttpSensor(BaseSensorOperator):
    """Waits until a request is answered with a status below 400, and `response_check`, if there is one, says that it is so. A
    status in `response_error_codes_allowlist` (404) means: not yet; any other from 400 on fails the task."""

    template_fields: ClassVar[Sequence[str]] = ("endpoint", "request_params", "headers")

    def __init__(
        self,
        *,
        endpoint: str,
        http_conn_id: str = "http_default",
        method: str = "GET",
        request_params: Mapping[str, Any] | None = None,
        request_kwargs: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        response_error_codes_allowlist: list[str] | None = None,
        response_check: Callable[..., Any] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.http_conn_id = http_conn_id
        self.method = method
        self.request_params = request_params or {}
        self.request_kwargs = request_kwargs or {}
        self.headers = headers or {}
        allowed = response_error_codes_allowlist
        self.response_error_codes_allowlist = ["404"] if allowed is None else allowed
        self.response_check = response_check
        self.extra_options = extra_options or {}
        self.deferrable = deferrable

    def poke(self, context: Any) -> bool | PokeReturnValue:
        hook = HttpHook(self.method, self.http_conn_id)
        try:
            answer = hook.run(
                self.endpoint, self.request_params, self.headers, self.extra_options, **self.request_kwargs
            )
        except HttpError as error:
            if any(str(error).startswith(code) for code in self.response_error_codes_allowlist):
                return False
            raise
        except AirflowException as error:
            if "cannot be reached" in str(error):
                return False
            raise
        if self.response_check is None:
            return True
        given = determine_kwargs(self.response_check, [answer], dict(context))
        found = self.response_check(answer, **given)
        return found if isinstance(found, PokeReturnValue) else bool(found)


__all__ = ["HttpSensor"]
