"""`HttpOperator`, and `SimpleHttpOperator` as it was called before: a request to a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.context import determine_kwargs
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.hooks.http import HttpHook
from penstock.dialects.airflow.inputs import Reads, reads_of


class HttpOperator(BaseOperator):
    """Makes a request, and again with what `pagination_function` gives for an answer, until that is nothing. It results in the
    text of the answer (of all, in a list, with pages), or in what `response_filter` makes of it. An answer that
    `response_check` does not hold true fails the task."""

    template_fields: ClassVar[Sequence[str]] = ("endpoint", "data", "headers")
    template_ext: Sequence[str] = ()
    ui_color = "#f4a460"
    cached = False

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        method: str = "POST",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        pagination_function: Callable[..., Any] | None = None,
        response_check: Callable[..., Any] | None = None,
        response_filter: Callable[..., Any] | None = None,
        request_kwargs: Mapping[str, Any] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        http_conn_id: str = "http_default",
        log_response: bool = False,
        auth_type: Any = None,
        deferrable: bool = False,
        retry_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # they say how a connection is kept open, which one request does not need
        kept = [name for name in kwargs if name.startswith("tcp_keep_alive")]
        super().__init__(**{name: value for name, value in kwargs.items() if name not in kept})
        self.without_effect |= dict.fromkeys(kept, "a connection is closed after each request")
        self.endpoint = endpoint
        self.method = method
        self.data: Any = {} if data is None else data
        self.headers = headers or {}
        self.pagination_function = pagination_function
        self.response_check = response_check
        self.response_filter = response_filter
        self.request_kwargs = request_kwargs or {}
        self.extra_options = extra_options or {}
        self.http_conn_id = http_conn_id
        self.log_response = log_response
        self.auth_type = auth_type
        self.deferrable = deferrable
        self.retry_args = retry_args

    def code(self) -> Any:
        return self.response_filter or self.response_check or self.pagination_function

    def reads(self) -> Reads:
        found = Reads()
        for each in (self.response_check, self.response_filter):
            found = found if each is None else found.with_(reads_of(each))
        return found

    def execute(self, context: Any) -> Any:
        answers = [self._asked(self.endpoint, self.data, self.headers, self.extra_options)]
        while self.pagination_function is not None and (more := self.pagination_function(answers[-1])):
            answers.append(self._page(cast("Mapping[str, Any]", more)))
        answer: Any = answers[0] if self.pagination_function is None else answers
        if self.log_response:
            for each in answers:
                self.log.info(each.text)
        known = dict(context)
        if self.response_check is not None:
            given = determine_kwargs(self.response_check, [answer], known)
            if not self.response_check(answer, **given):
                raise AirflowException("Response check returned False.")
        if self.response_filter is not None:
            return self.response_filter(answer, **determine_kwargs(self.response_filter, [answer], known))
        return answer.text if self.pagination_function is None else [each.text for each in answers]

    def _page(self, more: Mapping[str, Any]) -> Any:
        """The answer to the request for another page: a text of `data` takes the place of what there was, all else adds to it."""
        data: Any = more.get("data", {})
        if not isinstance(data, str) and not isinstance(self.data, str):
            data = {**self.data, **data}
        return self._asked(
            more.get("endpoint", self.endpoint),
            data or self.data,
            {**self.headers, **more.get("headers", {})},
            {**self.extra_options, **more.get("extra_options", {})},
        )

    def _asked(self, endpoint: str | None, data: Any, headers: Mapping[str, str], options: Mapping[str, Any]) -> Any:
        hook = HttpHook(self.method, self.http_conn_id, self.auth_type)
        given = (endpoint, data, headers, options)
        if self.retry_args:
            return hook.run_with_advanced_retry(self.retry_args, *given, **self.request_kwargs)
        return hook.run(*given, **self.request_kwargs)


class SimpleHttpOperator(HttpOperator):
    """The same under its former name."""


__all__ = ["HttpOperator", "SimpleHttpOperator"]
