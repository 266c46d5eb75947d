"""An asset: a task whose result is a new version of a named data product."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, cast

import msgspec

from penstock.authoring.assets.cells import cell_id, check_asset_name, check_id, gate_id
from penstock.authoring.assets.checks import PARTITION, AssetCheck, hold_back
from penstock.authoring.assets.settings import AssetSettings
from penstock.authoring.building import Building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.fanout import bound
from penstock.authoring.kinds.annotations import kind_of
from penstock.authoring.kinds.causes import FromCause
from penstock.authoring.options.policy import read_options
from penstock.authoring.placing import Fan, Placing
from penstock.authoring.ref import Ref, expression_of
from penstock.authoring.source import caller, location_of
from penstock.authoring.task import Task
from penstock.authoring.wiring import check_wiring
from penstock.errors import DefinitionError
from penstock.model.asset import AssetInput, AssetSpec
from penstock.model.expression import Output
from penstock.model.graph import Port
from penstock.model.graph import Task as TaskNoun
from penstock.model.trigger import Cause
from penstock.triggers.partitions import has_time, window_of

if TYPE_CHECKING:
    import inspect

P = ParamSpec("P")
R = TypeVar("R")


class Asset(Task[P, R]):
    """A function that makes an asset. Its parameters without a default are the assets of their names; one that is called
    `partition` takes the key of the partition.

    Called inside a pipeline, it is a node whose result becomes a new version; called anywhere else, it is the function.
    """

    role = "asset"

    def __init__(
        self, function: Callable[P, R], name: str, settings: AssetSettings, given: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(function, name, given)
        self.settings = settings
        self.checks: list[AssetCheck] = []
        self._partition: Any = None
        self._check_parameters()

    # What it is.

    @property
    def spec(self) -> AssetSpec:
        """What it is, apart from its code."""
        import inspect

        return msgspec.structs.replace(
            self.settings.spec(self.name, self.settings.description or inspect.getdoc(self.function) or ""),
            inputs=self.inputs,
            checks=tuple(check.spec for check in self.checks),
            location=location_of(self.function),
        )

    @functools.cached_property
    def inputs(self) -> tuple[AssetInput, ...]:
        """The assets that it is made from: those that its parameters take, then those that it reads by itself."""
        declared = self.settings.inputs
        taken = [declared.get(name, AssetInput(name, name)) for name in self._parameters()]
        known = {each.asset for each in taken}
        return (*taken, *(each for each in self.settings.deps if each.asset not in known))

    def _parameters(self) -> list[str]:
        """The parameters that take an asset."""
        return [
            parameter.name
            for parameter in self.shape.parameters.values()
            if parameter.name in self.settings.inputs or (_is_given(parameter) and not _takes_key(parameter))
        ]

    @functools.cached_property
    def key_parameter(self) -> str:
        """The parameter of its function that takes the key of the partition; empty where none does."""
        return next(
            (
                parameter.name
                for parameter in self.shape.parameters.values()
                if parameter.name not in self.settings.inputs and _takes_key(parameter)
            ),
            "",
        )

    @functools.cached_property
    def moment_parameters(self) -> dict[str, FromCause]:
        """The parameters that take when the time of the partition starts, or ends."""
        return {
            parameter.name: parameter.default
            for parameter in self.shape.parameters.values()
            if isinstance(parameter.default, FromCause) and parameter.default.part != "partition"
        }

    def moments(self, partition: str) -> dict[str, Any]:
        """What those parameters take. Raises NotFoundError for a key that no partition can have."""
        if not self.moment_parameters:
            return {}
        found = window_of(self.settings.partitions, partition)
        assert found is not None
        zone, interval = found
        cause = Cause(logical_time=interval[0], interval=interval, zone=zone)
        kinds = {name: kind_of(self.annotations.get(name, Any)) for name in self.moment_parameters}
        return {name: each.value(kinds[name], cause) for name, each in self.moment_parameters.items()}

    def _check_parameters(self) -> None:
        where = str(location_of(self.function))
        check_asset_name(self.name, where)
        unknown = next((name for name in self.settings.inputs if name not in self.shape.parameters), None)
        if unknown is not None:
            raise DefinitionError(
                f"inputs= of {self.name} names {unknown!r}, which is no parameter of it",
                where=where,
                remedy=f"Its parameters are: {', '.join(self.shape.parameters) or 'none'}. For an asset that the function "
                "reads by itself, write deps=[...].",
            )
        if self.key_parameter and self.settings.partitions is None:
            raise DefinitionError(
                f"{self.name} takes a partition, and has none",
                where=where,
                remedy="Say which there are: partitions=..., or call the parameter something else.",
            )
        if self.moment_parameters and not has_time(self.settings.partitions):
            raise DefinitionError(
                f"{self.name} takes {next(iter(self.moment_parameters.values()))!r}, and its partitions are none of time",
                where=where,
                remedy='Give it such: partitions=daily("2026-01-01").',
            )
        if self.name in {each.asset for each in self.inputs}:
            raise DefinitionError(
                f"{self.name} is made from itself",
                where=where,
                remedy=f"Call the parameter something else, and say what it takes: inputs={{...}}; the version before is "
                f"load_asset({self.name!r}).",
            )

    @property
    def noun(self) -> TaskNoun:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The task as it stands in a graph."""
        noun = super().noun
        unseen = tuple(Port(name, kind="unseen", required=False) for name in self.unseen)
        return msgspec.structs.replace(noun, inputs=noun.inputs + unseen, asset=self.spec)

    @property
    def unseen(self) -> tuple[str, ...]:
        """The assets that it reads by itself: their versions count, and its function does not take them."""
        return tuple(each.asset for each in self.inputs if each.parameter is None)

    # Checks.

    def check(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        blocking: bool = False,
        severity: Literal["warn", "error"] = "error",
        **options: Any,
    ) -> Any:
        """Make a function a check of this asset: it takes the value, and returns whether it is as it should be, or a
        `CheckOutcome`. It runs whenever the asset is made.

        A `blocking` one that fails with the severity `error` fails the run, and keeps what depends on the asset from being
        made; any other is recorded only. The options are those of a task. Raises DefinitionError for a name that another
        check has.
        """
        given = read_options(options)
        if severity not in ("warn", "error"):
            raise DefinitionError(f'severity must be "warn" or "error", not {severity!r}', where=str(caller()))
        if blocking and severity == "warn":
            raise DefinitionError(
                f"a check of {self.name} is blocking, and only warns",
                where=str(caller()),
                remedy='Leave severity="warn" out, or blocking=True.',
            )

        def decorate(function: Callable[..., Any]) -> AssetCheck:
            check_function(function, f"{self.name}.check")
            check_name(name)
            called = name or function.__name__
            if called == "checks" or any(each.name == called for each in self.checks):
                raise DefinitionError(
                    f"{self.name} has two checks called {called!r}"
                    if called != "checks"
                    else "a check cannot be called 'checks', which is what stands for all of them",
                    where=str(location_of(function)),
                    remedy="Give one of them another name: check(name=...).",
                )
            made = AssetCheck(function, self.name, called, given, blocking=blocking, severity=severity)
            self.checks.append(made)
            return made

        return decorate if function is None else decorate(function)

    # In a pipeline.

    def at(self, partition: str) -> Self:
        """The same asset, of which a call makes one partition: `features.at("2026-03-01")(raw)`. Raises DefinitionError for
        one without partitions."""
        if self.settings.partitions is None:
            raise DefinitionError(f"{self.name} has no partitions", where=str(caller()))
        import copy

        changed = copy.copy(self)
        changed._partition = partition
        return changed

    def _call(self, building: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        if self._partition is not None and self.key_parameter:
            kwargs = {**kwargs, self.key_parameter: self._partition}
        arguments = bound(self, args, kwargs)
        check_wiring(self, self._one_by_one(arguments))
        return self.place(building, arguments, arguments.get(self.key_parameter, self._partition))

    def place(
        self, building: Building, arguments: Mapping[str, Any], partition: Any = None, *, checked: bool = True
    ) -> Ref:
        """Add the node that makes it, or a partition of it, and those of its checks. Returns the ref to its value. In
        `arguments` may also be what is unseen."""
        placing = self.placing
        if self.settings.partitions is not None and not (isinstance(partition, str) or self._has_ref(partition)):
            raise DefinitionError(
                f"{self.name} has partitions, and it is not said which one to make",
                where=str(caller()),
                remedy=f"Write {self.name}.at(key)(...).",
            )
        if isinstance(partition, str) and placing.name is None:
            placing = placing.changed({"name": cell_id(self.name, partition)})
        if isinstance(partition, str):
            arguments = {**self.moments(partition), **arguments}
        made = building.call(self, placing, arguments)
        if checked:
            self._add_checks(building, made, partition)
        return made

    def _has_ref(self, partition: Any) -> bool:
        return isinstance(partition, Ref) and self.key_parameter == PARTITION

    def _add_checks(self, building: Building, made: Ref, partition: Any) -> None:
        if not self.checks:
            return
        node = cast(Output, expression_of(made)).node
        cell = node.rpartition("/")[2]
        answers: dict[str, Ref] = {}
        for check in self.checks:
            holds = check.spec.blocking and check.spec.severity == "error"
            placing = Placing(name=check_id(cell, check.name), decides=holds)
            answer = building.call(check, placing, check.arguments(made, partition))
            if holds:
                answers[check.name] = answer
        if answers:
            gate = {"asset": cell, "checks": list(answers), "answers": list(answers.values())}
            passed = building.call(Task(hold_back, "checks"), Placing(name=gate_id(cell)), gate)
            building.gates[node] = cast(Output, expression_of(passed)).node

    def _fan_out(self, building: Building, fan: Fan) -> Ref:
        raise DefinitionError(
            f"{self.name} is an asset, which is made as a whole",
            where=str(caller()),
            remedy="Map a task, and let the asset put together what comes of it; or give the asset partitions.",
        )


def _is_given(parameter: inspect.Parameter) -> bool:
    """Whether a parameter has to be given something."""
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variable


def _takes_key(parameter: inspect.Parameter) -> bool:
    """Whether a parameter takes the key of the partition."""
    default = parameter.default
    return parameter.name == PARTITION or (isinstance(default, FromCause) and default.part == "partition")
