"""Checks of assets: functions that look at the value of an asset, and say whether it is as it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from penstock.authoring.source import location_of
from penstock.authoring.task import Task
from penstock.errors import DefinitionError, Fail
from penstock.model.asset import Check
from penstock.model.outcome import CheckOutcome

if TYPE_CHECKING:
    import inspect

#: the parameter that takes the key of the partition
PARTITION = "partition"


class AssetCheck(Task[..., Any]):
    """A function that checks an asset. Called by itself, it is that function."""

    role = "check"

    def __init__(
        self,
        function: Callable[..., Any],
        asset: str,
        name: str,
        given: Mapping[str, Any],
        *,
        blocking: bool,
        severity: Literal["warn", "error"],
    ) -> None:
        super().__init__(function, name, given)
        import inspect

        #: what stands in the spec of its asset
        self.spec = Check(name, blocking, severity, inspect.getdoc(function) or "")
        #: the parameter that takes the value of the asset
        self.subject = self._subject(asset)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def _subject(self, asset: str) -> str:
        taken = [
            parameter.name
            for parameter in self.shape.parameters.values()
            if parameter.name != PARTITION and _is_given(parameter)
        ]
        if asset in self.shape.parameters:
            taken = [asset, *(name for name in taken if name != asset)]
        if len(taken) == 1:
            return taken[0]
        raise DefinitionError(
            f"the check {self.name} of {asset} takes {', '.join(taken) or 'nothing'}; a check takes the value of its asset",
            where=str(location_of(self.function)),
            remedy=f"Let it have one parameter for that, def {self.name}({asset}), and defaults for any others.",
        )

    def arguments(self, value: Any, partition: str) -> dict[str, Any]:
        """What it is called with."""
        found = {self.subject: value}
        return {**found, PARTITION: partition} if PARTITION in self.shape.parameters else found


def _is_given(parameter: inspect.Parameter) -> bool:
    """Whether a parameter has to be given something."""
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variable


def outcome_of(answer: Any) -> CheckOutcome:
    """What a check has answered: an outcome, or whether it has passed. Raises TypeError for an answer that is neither."""
    if isinstance(answer, CheckOutcome):
        return answer
    if isinstance(answer, bool) or type(answer).__name__ in ("bool_", "bool"):
        return CheckOutcome(bool(answer))
    raise TypeError(f"a check returns true, false or a CheckOutcome, not {answer!r:.80}")


def hold_back(asset: str, checks: Sequence[str], answers: Sequence[Any]) -> bool:
    """Let what depends on an asset go on, now that its blocking checks have passed. Raises Fail where one has not."""
    outcomes: dict[str, CheckOutcome] = {}
    for name, answer in zip(checks, answers, strict=True):
        try:
            outcomes[name] = outcome_of(answer)
        except TypeError as error:
            raise Fail(f"the check {name} of {asset}: {error}") from None
    failed = [name + (f" ({each.message})" if each.message else "") for name, each in outcomes.items() if not each]
    if failed:
        raise Fail(f"{asset} did not pass: {', '.join(failed)}")
    return True
