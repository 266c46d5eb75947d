"""`trigger(...)`: a pipeline, or assets, and what starts runs of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, Unpack, cast

import msgspec

from penstock.authoring.kinds.conversion import listed, shortened
from penstock.authoring.pipeline import Composition
from penstock.authoring.source import caller, calling_module
from penstock.authoring.triggers.options import TriggerOptions, trigger_fields
from penstock.authoring.triggers.schedules import Schedule
from penstock.errors import DefinitionError, Skip
from penstock.model.firing import Firing
from penstock.model.occurrence import Condition
from penstock.model.place import Location
from penstock.model.trigger import Cause, EventSource, SensorSource, Source, WatchSource
from penstock.model.trigger import Trigger as TriggerNoun
from penstock.triggers.conditions import patterns

#: what a trigger may start: a pipeline, an asset, or a selection of assets
Target = Any


class Trigger:
    """Something that starts runs of a pipeline, or materialises assets. It does so once it is registered."""

    #: what it is called in messages
    role = "trigger"

    def __init__(
        self,
        noun: TriggerNoun,
        composition: Composition[..., Any] | None,
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        #: what it is, as data; its name is empty until it has one
        self.noun = noun
        #: the pipeline that it starts; None for assets
        self.composition = composition
        #: functions of the user's, by the names that the noun has for them
        self.functions = functions
        #: the name of the module that it is written in
        self.module = calling_module()

    @property
    def location(self) -> Location | None:
        """Where it is written."""
        return self.noun.location

    def __repr__(self) -> str:
        return f"<{self.role} {self.noun.name or '(without a name yet)'} at {self.location}>"

    def named(self, name: str) -> Self:
        """The same under the name of the variable that it is assigned to; one that has a name already keeps it."""
        if self.noun.name:
            return self
        import copy

        changed = copy.copy(self)
        changed.noun = msgspec.structs.replace(self.noun, name=name)
        return changed

    def check(self) -> None:
        """Hold the parameters to the pipeline's, and the templates in them to what the source tells. One DefinitionError, with
        the line of the trigger, lists everything that is wrong."""
        from penstock.authoring.triggers.checking import faults_of

        faults = faults_of(self)
        if faults:
            what = listed(
                faults, f"the {self.role} {self.noun.name or 'of ' + (self.noun.pipeline or self.noun.assets)}"
            )
            raise DefinitionError(what, where=str(self.location))

    def test(self, event: Any = None, *, at: Any = None) -> list[Firing]:
        """What would come of an event, or of several in a row, or of a moment: the firings, with their parameters and their
        cause; one that the condition refuses is `skipped`, with the reason. Nothing is started or recorded.

        An event is a dict of its attributes (`type`, `subject`, `data`, `source`, `id`, `at`), of which most may be left out;
        after the last one, nothing more happens. Of a schedule, it is the first tick from `at` on (default: from now on).
        Raises DefinitionError, as registering would and for what cannot be filled in, and what the condition raises.
        """
        from penstock.authoring.triggers.trying import causes_of, firings_of

        self.check()
        causes, now = causes_of(self, event, at)
        return firings_of(self, causes, now)

    def refusal(self, cause: Cause) -> str | None:
        """Why its condition does not let a run start; None if it may. Raises what the condition raises."""
        if not self.noun.condition:
            return None
        function = self.functions[self.noun.condition]
        takes = takes_argument(function)
        try:
            answer = function(cause) if takes else function()
        except Skip as skip:
            answer = skip
        if isinstance(answer, Skip):
            return answer.why or f"{self.noun.condition}() said so"
        return None if answer else f"{self.noun.condition}() returned {answer!r}"


def trigger(target: Target, source: Any, **options: Unpack[TriggerOptions]) -> Trigger:
    """What starts runs of a pipeline, or materialises assets, once it is registered.

    `target` is a pipeline, an asset, or a selection of assets as text (`"+report"`); `source` a schedule (`cron`, `every`,
    `recurring`, `once`, joined by `|`), a condition over events (`event`, `all_of`, `run_ends` and the like), or what is
    looked at (`files`, `objects`, `rows`). The options are those of `TriggerOptions`. Assign it to a variable at the top level
    of a module: that is its name.

    Raises DefinitionError, with the line of the call, for what cannot be a target or a source, and for options that do not
    exist or have values that they cannot have.
    """
    fields = trigger_fields(options)
    composition, assets = target_of(target)
    found = _source(source)
    if not isinstance(source, Schedule) and "missed" in options:
        raise DefinitionError(
            "missed= says which ticks of a schedule are made up for, and this trigger has no schedule",
            where=str(caller()),
            remedy="Leave it out: what events tell is never missed.",
        )
    condition = options.get("condition")
    noun = TriggerNoun(
        source=found,
        pipeline="" if composition is None else composition.name,
        assets=assets,
        location=caller(),
        **fields,
    )
    return Trigger(noun, composition, {} if condition is None else {noun.condition: condition})


def target_of(target: Any) -> tuple[Composition[..., Any] | None, str]:
    """The pipeline that a target is, or the selection of assets. Raises DefinitionError."""
    if isinstance(target, Composition):
        return cast("Composition[..., Any]", target), ""
    several = cast("Sequence[Any]", target) if isinstance(target, (list, tuple)) else (target,)
    names = [each if isinstance(each, str) else _asset_name(each) for each in several]
    if not names or not all(names):
        raise DefinitionError(
            f"a trigger starts a pipeline or materialises assets, and {shortened(repr(cast(Any, target)))} is neither",
            where=str(caller()),
            remedy='Give it a function under @pipeline or @asset, or a selection of assets such as "+report".',
        )
    return None, ", ".join(cast("list[str]", names))


def _asset_name(target: Any) -> str | None:
    return target.name if getattr(target, "role", "") == "asset" else None


def _source(source: Any) -> Source:
    if isinstance(source, Schedule):
        return source.timetable
    if isinstance(source, Condition):
        _check_names(source)
        return EventSource(source)
    if isinstance(source, (WatchSource, EventSource, SensorSource)):
        return source
    remedy = 'Give it cron("0 2 * * *"), every("1h"), event("type"), files("*.csv") or the like.'
    if isinstance(source, str):
        remedy = f'Write cron("{source}") for a schedule, event("{source}") for events of a type.'
    raise DefinitionError(
        f"{shortened(repr(source))} is nothing that a trigger can follow", where=str(caller()), remedy=remedy
    )


def _check_names(condition: Condition) -> None:
    """Raise DefinitionError for a name of an event that templates would take for something else."""
    from penstock.triggers.templates import RESERVED

    taken = next((each.name for each in patterns(condition) if each.name in RESERVED), None)
    if taken is not None:
        raise DefinitionError(
            f"an event cannot go by the name {taken!r}, which templates know as something else", where=str(caller())
        )


def takes_argument(function: Callable[..., Any]) -> bool:
    """Whether a function takes an argument by its position."""
    try:
        parameters: Iterable[inspect.Parameter] = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL) for each in parameters
    )
