"""Operators that ask a person, and wait: a request that is put together, an approval of penstock's own, and what the answer
amounts to (see `asking`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode, urlparse, urlunparse

from penstock.dialects.airflow.baseoperator import BaseOperator, SkipMixin
from penstock.dialects.airflow.callbacks import BaseNotifier
from penstock.dialects.airflow.exceptions import HITLRejectException, HITLTimeoutError
from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.nodes import Choice
from penstock.dialects.airflow.operators.branch import checked_branches
from penstock.dialects.airflow.params import ParamsDict
from penstock.errors import NotCoveredError

if TYPE_CHECKING:
    from penstock.model.outcome import Approval

#: who has answered where nobody has, see `Approval.by`
_DEADLINE = "deadline"
#: what subclasses of users' own may not change: a person is asked between the two
_OWN = ("execute", "execute_complete", "validate_chosen_options", "validate_params_input")


class HITLOperator(BaseOperator):
    """Asks a person to choose among options, and to fill in a form. Its result are `chosen_options`, `params_input`,
    `responded_at` and `responded_by_user`."""

    template_fields: ClassVar[Sequence[str]] = ("subject", "body")
    cached = False

    def __init__(
        self,
        *,
        subject: str,
        options: list[str],
        body: str | None = None,
        defaults: str | list[str] | None = None,
        multiple: bool = False,
        params: Any = None,
        notifiers: Any = None,
        assigned_users: Any = None,
        response_timeout: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.execution_timeout and not response_timeout:
            # as in Airflow
            response_timeout, self.execution_timeout = self.execution_timeout, None
        self.response_timeout = response_timeout
        self.subject = subject
        self.body = body
        self.options = options
        self.defaults = [defaults] if isinstance(defaults, str) else defaults
        self.multiple = multiple
        self.params = cast(Any, params if isinstance(params, ParamsDict) else ParamsDict(params or {}))
        self.notifiers = [notifiers] if isinstance(notifiers, BaseNotifier) else list(notifiers or ())
        self.assigned_users: Any = [assigned_users] if isinstance(assigned_users, dict) else assigned_users
        self.validate_options()
        self.validate_params()
        self.validate_defaults()
        self._note()

    def _note(self) -> None:
        if self.assigned_users:
            self.without_effect["assigned_users"] = "who has the project's store may answer; the request names them"
        if self.retries:
            self.without_effect["retries"] = "a question is put once: what comes before it is repeated"
        changed = [name for each in type(self).__mro__ if not _is_ours(each) for name in _OWN if name in vars(each)]
        if changed or "post_execute" in self.around:
            what = changed[0] if changed else "post_execute"
            self._refuse(
                NotCoveredError(
                    f"{what} of the {self.task_type} {self.task_id!r}, which is to run once a person has answered, is not "
                    "covered by penstock's reader of Apache Airflow",
                    where=str(self.location),
                    remedy="Do it in a task that comes after it, and takes its result.",
                )
            )

    def validate_options(self) -> None:
        """Raises ValueError where there is nothing to choose."""
        if not self.options:
            raise ValueError('"options" cannot be empty.')

    def validate_params(self) -> None:
        """Raises ValueError for a field of the form whose name is taken."""
        for name in ("_options", CHOSEN):
            if name in self.params:
                raise ValueError(f'"{name}" is not allowed in params')

    def validate_defaults(self) -> None:
        """Raises ValueError for defaults that cannot be chosen."""
        if self.defaults is None:
            return
        if not set(self.defaults).issubset(self.options):
            raise ValueError(f'defaults "{self.defaults}" should be a subset of options "{self.options}"')
        if self.multiple is False and len(self.defaults) > 1:
            raise ValueError('More than one defaults given when "multiple" is set to False.')

    def own_params(self) -> Mapping[str, Any]:
        # what is to be filled in yet has no value
        form = cast(ParamsDict, self.params)
        return {name: param for name in form if (param := form.get_param(name)).has_value}

    @property
    def serialized_params(self) -> dict[str, dict[str, Any]]:
        """The fields of the form, as dicts."""
        form = cast(ParamsDict, self.params)
        return {name: form.get_param(name).serialize() for name in form}

    @property
    def is_yes_or_no(self) -> bool:
        """Whether a rejection is one of the answers."""
        return False

    @property
    def default_answer(self) -> bool:
        """Whether it is approved where nobody answers in time."""
        return self.defaults is not None

    def reads(self) -> Reads:
        return Reads(None, None) if self.notifiers else Reads()

    def execute(self, context: Any) -> dict[str, Any]:
        """What the person is shown. Tells the notifiers."""
        for notifier in self.notifiers:
            notifier(context)
        shown = {"subject": self.subject, "body": self.body, "options": self.options, "defaults": self.defaults}
        users = [str(each.get("name", each)) for each in self.assigned_users or ()]
        return {name: each for name, each in {**shown, "assigned_users": users}.items() if each}

    def answered(self, answer: Approval) -> Any:
        """What an answer amounts to. Raises HITLTimeoutError where nobody has answered in time, HITLRejectException where
        the question was rejected, and ParamValidationError for what the schemas of the form do not take."""
        late = answer.by == _DEADLINE
        if late and self.defaults is None:
            raise HITLTimeoutError("The timeout has passed, and the response has not yet been received.")
        if not answer.approved and not self.is_yes_or_no:
            raise HITLRejectException(f"{answer.by} rejected it" + (f": {answer.why}" if answer.why else ""))
        form = ParamsDict(cast(Any, self.params))
        given = {name: value for name, value in answer.values.items() if name in form}
        if not late:
            form.update(given)
        return {
            "chosen_options": self.defaults if late else self.chosen(answer),
            "params_input": given,
            "responded_at": answer.at,
            "responded_by_user": None if late else {"id": answer.by, "name": answer.by},
        }

    def chosen(self, answer: Approval) -> list[str]:
        """The options that a person has chosen."""
        found = answer.values.get(CHOSEN, self.options[:1])
        return list(cast("list[str]", found)) if isinstance(found, (list, tuple)) else [found]

    def generate_link_to_ui(
        self,
        *,
        task_instance: Any,
        base_url: str | None = None,
        options: str | list[str] | None = None,
        params_input: dict[str, Any] | None = None,
    ) -> str:
        """The address of the page on which Airflow would ask, below `base_url`. Raises ValueError for options and params
        that there are none of, and without a base."""
        query: dict[str, Any] = {}
        wanted = [options] if isinstance(options, str) else options
        if wanted:
            if wrong := set(wanted) - set(self.options):
                raise ValueError(f"options {wrong} are not valid options")
            query["_options"] = wanted
        if wrong := set(params_input or ()) - set(self.params):
            raise ValueError(f"params {wrong} are not valid params")
        query |= params_input or {}
        query["map_index"] = task_instance.map_index
        base = base_url or _base_url()
        if not base:
            raise ValueError("Not able to retrieve base_url")
        parsed = urlparse(base)
        path = f"/dags/{self.dag_id}/runs/{task_instance.run_id}/tasks/{self.task_id}/required_actions"
        return urlunparse((parsed.scheme, parsed.netloc, path, "", urlencode(query), ""))

    @staticmethod
    def generate_link_to_ui_from_context(
        *,
        context: Any,
        base_url: str | None = None,
        options: list[str] | None = None,
        params_input: dict[str, Any] | None = None,
    ) -> str:
        """The same, of the task of a context. Raises ValueError for one that asks nobody."""
        task = context["task"]
        if not isinstance(task, HITLOperator):
            raise ValueError("This method only supports HITLOperator")
        return task.generate_link_to_ui(
            task_instance=context["task_instance"], base_url=base_url, options=options, params_input=params_input
        )


#: the field of the form that is what was chosen
CHOSEN = "chosen_options"


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("penstock.") or kind is object


def _base_url() -> str | None:
    from penstock.dialects.airflow.configuration import conf

    return conf.get("api", "base_url", fallback=None)


class ApprovalOperator(HITLOperator, SkipMixin):
    """Asks for a yes. A no skips what comes after it, or fails the task with `fail_on_reject`."""

    APPROVE = "Approve"
    REJECT = "Reject"
    FIXED_ARGS = ("options", "multiple")

    def __init__(
        self, *, ignore_downstream_trigger_rules: bool = False, fail_on_reject: bool = False, **kwargs: Any
    ) -> None:
        for name in self.FIXED_ARGS:
            if name in kwargs:
                raise ValueError(f"Passing {name} to ApprovalOperator is not allowed.")
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules
        self.fail_on_reject = fail_on_reject
        super().__init__(options=[self.APPROVE, self.REJECT], multiple=False, **kwargs)

    @property
    def is_yes_or_no(self) -> bool:
        return True

    @property
    def default_answer(self) -> bool:
        return self.defaults == [self.APPROVE]

    def chosen(self, answer: Approval) -> list[str]:
        return [self.APPROVE if answer.approved else self.REJECT]

    def answered(self, answer: Approval) -> Any:
        found = super().answered(answer)
        if self.fail_on_reject and found["chosen_options"] == [self.REJECT]:
            raise HITLRejectException('Receive "Reject"')
        return found

    def choice(self) -> Choice:
        return Choice(False, self.ignore_downstream_trigger_rules, ("chosen_options", self.APPROVE))


class HITLBranchOperator(HITLOperator):
    """Asks which of the tasks directly after it run. Its result are their ids."""

    def __init__(self, *, options_mapping: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options_mapping = options_mapping or {}
        self.validate_options_mapping()

    def validate_options_mapping(self) -> None:
        """Raises ValueError for what is no option, or no id of a task."""
        unknown = sorted(set(self.options_mapping) - set(self.options))
        if unknown:
            raise ValueError(f"`options_mapping` contains keys that are not in `options`: {unknown}")
        wrong = {name: (each, type(each).__name__) for name, each in self.options_mapping.items() if not _is_text(each)}
        if wrong:
            raise ValueError(f"`options_mapping` values must be strings (task_ids).\nInvalid entries: {wrong}")

    def answered(self, answer: Approval) -> Any:
        chosen: list[str] = super().answered(answer)["chosen_options"]
        return checked_branches(self, [self.options_mapping.get(each, each) for each in chosen])

    def choice(self) -> Choice:
        return Choice(by_name=True)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


class HITLEntryOperator(HITLOperator):
    """Asks a person to fill in a form."""

    OK = "OK"

    def __init__(self, **kwargs: Any) -> None:
        if "options" not in kwargs:
            kwargs["options"] = [self.OK]
            kwargs.setdefault("defaults", [self.OK])
        super().__init__(**kwargs)


__all__ = ["CHOSEN", "ApprovalOperator", "HITLBranchOperator", "HITLEntryOperator", "HITLOperator"]
