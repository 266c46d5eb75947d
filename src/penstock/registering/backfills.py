"""Backfills: planned from what is registered and what is recorded, and begun."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penstock.errors import DefinitionError, NotFoundError, TargetError
from penstock.model.firing import Backfill
from penstock.model.registration import Definition
from penstock.model.trigger import Trigger
from penstock.registering.backfill_assets import Stage, laid_out, roots_of
from penstock.registering.backfill_durations import each_of_assets, each_of_pipeline
from penstock.registering.backfill_rows import values_of
from penstock.registering.backfill_times import pieces_between, scheduled, stretch
from penstock.registering.loading import is_path, load_pipeline
from penstock.runtime.reading.nearest import nearest
from penstock.triggers import backfills
from penstock.triggers.backfills import Order, Piece, key_of
from penstock.triggers.partitions import RANGE, WORDS

if TYPE_CHECKING:
    from penstock.ports import Store
    from penstock.services import Services

#: which of the partitions that are named are meant
Which = Literal["missing", "failed", "stale", "all"]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for: partitions of assets, logical times of a pipeline's schedule, or sets of parameters."""

    #: a registered pipeline, trigger or selection of assets; or a file or module with one
    target: str
    #: keys, ranges of them (`A..B`), or `all`, `latest`
    partitions: tuple[str, ...] = ()
    #: any of these
    which: Which | tuple[Which, ...] = "missing"
    #: also what is made from them, by the mappings between the assets
    downstream: bool = False
    #: partitions of one run
    batch: int = 1
    #: logical times, in seconds since the epoch, or as ISO 8601 text: in the zone of the schedule where it names none; an end
    #: without a time of day is that of the day
    begin: float | str | None = None
    end: float | str | None = None
    #: the trigger whose schedule it is, where a pipeline has several
    trigger: str = ""
    #: sets of parameters
    rows: tuple[dict[str, Any], ...] | None = None
    #: their values are texts, to be read as those of -p are
    texts: bool = False
    #: the file that they are from, or the option
    source: str = ""
    order: Order = "ascending"


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of a backfill that make the same assets, after all that they take from the stages before."""

    assets: tuple[str, ...]
    pieces: tuple[Piece, ...]
    #: how many partitions are meant, of which those that are not wanted are left out
    named: int
    #: seconds that a run may take, by those before; None where there were none
    each: float | None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would consist of."""

    request: Request
    pieces: list[Piece]
    #: of assets
    stages: tuple[PlannedStage, ...] = ()
    pipeline: str = ""
    assets: str = ""
    #: parameters that are filled in from the cause of each run
    templates: dict[str, Any] = {}
    #: how many partitions were named, of which those that are not wanted are left out
    named: int | None = None
    #: seconds that a run may take, by those before; None where there were none
    each: float | None = None
    #: what is left out, and why
    notes: tuple[str, ...] = ()
    #: the backfill of which the failed runs are tried again
    retries: str = ""

    @property
    def partitions(self) -> int:
        """How many partitions are made of the assets that were asked for."""
        return sum(len(piece.partitions) for stage in self.stages[:1] for piece in stage.pieces)

    def expected(self, at_most: int) -> float | None:
        """How many seconds it may take with so many runs at once; None where that is not known."""
        if not self.assets:
            return backfills.expected(self.each, len(self.pieces), at_most)
        known = [backfills.expected(each.each, len(each.pieces), at_most) for each in self.stages]
        times = [each for each in known if each is not None]
        return sum(times) if len(times) == len(known) else None


def planned(services: Services, request: Request, *, by: str = "", now: float | None = None) -> Planned:
    """What a backfill would consist of. A target that is a file or a module is registered on the way.

    Raises DefinitionError, NotFoundError and TargetError for what cannot be.
    """
    moment = time.time() if now is None else now
    request = _registered(services, request, by, moment)
    with services.store() as store:
        pipeline = _pipeline(store, request)
        if pipeline is None:
            return _over_assets(services, store, request)
        if request.downstream:
            raise DefinitionError(
                f"{pipeline.name} is a pipeline, from which no partitions are made that could be downstream",
                remedy="Leave --downstream out, or name assets.",
            )
        if request.begin is not None or request.end is not None:
            return _over_times(store, pipeline, request, moment)
        return _over_parameters(store, pipeline, request)


def _registered(services: Services, request: Request, by: str, now: float) -> Request:
    """The request for what is registered: a file or a module is registered first."""
    place, _, name = request.target.rpartition(":") if ":" in request.target else (request.target, "", "")
    if not (is_path(place) or (name and place not in ("group", "tag", "owner", "kind"))):
        return request
    from penstock.registering.registration import register

    outcome = register(services, [request.target], by=by, now=now)
    for fault in outcome.faults:
        raise DefinitionError(fault.what, where=fault.where, remedy=fault.remedy)
    there = {each.name: each for each in outcome.entries if each.change != "retired" and each.kind != "trigger"}
    if name not in there and len(there) != 1:
        raise TargetError(
            f"there are several pipelines and assets in {place}: {', '.join(there)}"
            if there
            else f"there is no pipeline and no asset in {place}",
            remedy=f"Choose one: {place}:{next(iter(there))}" if there else None,
        )
    if name and (request.begin is not None or request.end is not None):
        # the triggers that tell the times
        register(services, [place], by=by, now=now)
    return msgspec.structs.replace(request, target=name if name in there else next(iter(there)))


def _pipeline(store: Store, request: Request) -> Definition | None:
    """The pipeline that is meant; None for assets."""
    agenda = store.agenda
    known = {each.name: each for each in agenda.definitions("pipeline")}
    triggers = {each.name: each for each in agenda.definitions("trigger")}
    asset = any(each.name == request.target for each in agenda.definitions("asset"))
    times = request.begin is not None or request.end is not None or request.rows is not None
    if request.target in known and (times or not asset):
        return known[request.target]
    if request.target in triggers and not asset:
        started = msgspec.convert(triggers[request.target].document, Trigger).pipeline
        if started in known:
            return known[started]
    assets = [each.name for each in agenda.definitions("asset")]
    if times:
        raise _unknown(request.target, known, "pipeline")
    if request.target.isidentifier() and request.target not in assets:
        raise _unknown(request.target, [*known, *triggers, *assets], "pipeline, trigger or asset")
    return None


def _unknown(target: str, names: Iterable[str], what: str) -> NotFoundError:
    names = list(names)
    near = nearest(target, names)
    listed = f"There are: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}."
    told = f"Did you mean {' or '.join(near)}?" if near else listed
    return NotFoundError(
        f"there is no {what} {target!r}", remedy=told if names else "Make it known: penstock register FILE."
    )


# Partitions of assets.


def _over_assets(services: Services, store: Store, request: Request) -> Planned:
    from penstock.app.asset_states import AssetStates
    from penstock.registering.assets import project_assets
    from penstock.runtime.assets.selecting import select

    assets = project_assets(services)
    states = AssetStates(assets, store, services.options)
    selected = [each for each in select(request.target, assets.graph, states.selectors) if each in assets.made]
    names = roots_of(assets, selected, request.target)
    if not request.partitions:
        raise DefinitionError(
            "it is not said which partitions to make",
            remedy="Name them: --partitions A..B, a list of keys, or all.",
        )
    named = states.chosen(request.partitions)(names[0])
    layout = laid_out(
        assets,
        states,
        names,
        named,
        words_of(request.which),
        others=selected,
        downstream=request.downstream,
        batch=request.batch,
        order=request.order,
    )
    made = list(dict.fromkeys(name for stage in layout.stages for name in stage.assets))
    return Planned(
        request=request,
        assets=", ".join(made or names),
        pieces=layout.pieces,
        stages=tuple(_estimated(store, stage, request.batch) for stage in layout.stages),
        named=len(named),
        notes=layout.notes,
    )


def _estimated(store: Store, stage: Stage, batch: int) -> PlannedStage:
    return PlannedStage(
        assets=stage.assets,
        pieces=stage.pieces,
        named=stage.named,
        each=each_of_assets(store, stage.assets, batch),
    )


def words_of(which: Which | tuple[Which, ...]) -> tuple[Which, ...]:
    """Which partitions are meant, one word or several."""
    return (which,) if isinstance(which, str) else which


# Logical times and parameters of pipelines.


def _over_times(store: Store, pipeline: Definition, request: Request, now: float) -> Planned:
    from penstock.registering.accounts import zone_of_source

    trigger, definition = scheduled(store, pipeline, request)
    zone = zone_of_source(trigger.source)
    meant = stretch(request, zone, now)
    return Planned(
        request=request,
        pipeline=pipeline.name,
        pieces=pieces_between(trigger, definition, meant, request.order),
        templates=trigger.parameters,
        each=each_of_pipeline(store, pipeline.name),
        notes=(f"at the times of the trigger {trigger.name}, by the clocks of {zone}", *meant.notes),
    )


def _over_parameters(store: Store, pipeline: Definition, request: Request) -> Planned:
    if request.rows is not None:
        rows: Iterable[dict[str, Any]] = request.rows
        if request.texts:
            rows = values_of(load_pipeline(pipeline.target).signature, request.rows, request.source)
        pieces = backfills.over_parameters(rows, order=request.order)
    elif request.partitions:
        _check_partitions(pipeline, request.partitions)
        pieces = backfills.over_partitions(request.partitions, batch=request.batch, order=request.order)
    else:
        raise DefinitionError(
            f"it is not said over what {pipeline.name} is to run",
            remedy="Say it: --from A --to B (times of its schedule), --grid x=1,2,3, --params FILE, or --partitions K,K.",
        )
    return Planned(request=request, pipeline=pipeline.name, pieces=pieces, each=each_of_pipeline(store, pipeline.name))


def _check_partitions(pipeline: Definition, keys: Sequence[str]) -> None:
    """Raise DefinitionError where a pipeline cannot be about partitions, or not about these: it has none to choose from."""
    from penstock.authoring.kinds.causes import FromCause

    word = next((key for key in keys if key in WORDS or RANGE in key), None)
    if word is not None:
        raise DefinitionError(
            f"{pipeline.name} is a pipeline, which has no partitions that {word!r} could mean",
            remedy="Give the keys themselves: --partitions K,K.",
        )
    signature = load_pipeline(pipeline.target).signature
    parts = [each.part for each in signature.defaults.values() if isinstance(each, FromCause)]
    if "partition" not in parts:
        raise DefinitionError(
            f"no parameter of {pipeline.name} takes a partition",
            where=str(signature.location),
            remedy="Have one: def training(region: str = partition()); or give parameters: --grid region=eu,us.",
        )


def check(services: Services, plan: Planned) -> None:
    """Raise DefinitionError or ParameterError where the first run of a backfill of a pipeline could not begin, or any of
    those over parameters."""
    if not plan.pipeline or not plan.pieces:
        return
    with services.existing_store() as store:
        definition = store.agenda.definition("pipeline", plan.pipeline)
    pipeline = load_pipeline(definition.target)
    draft = Backfill(backfill_id="planned", pipeline=plan.pipeline, total=len(plan.pieces), created_at=0.0)
    for firing in backfills.firings(
        draft, plan.pieces if plan.request.rows is not None else plan.pieces[:1], plan.templates
    ):
        pipeline.signature.resolve(
            given={},
            config=firing.parameters,
            config_source=f"{plan.request.source}, the run for {firing.key}".removeprefix(", "),
            environ=os.environ,
            cause=firing.cause,
        )


# Begun.


def begin(
    store: Store,
    plan: Planned,
    *,
    at_most: int = 1,
    priority: int = 0,
    tags: Iterable[str] = (),
    on_failure: Literal["continue", "pause"] = "continue",
    by: str = "",
    now: float | None = None,
) -> Backfill:
    """Record a backfill, for daemons to start its runs. Raises DefinitionError for one without runs."""
    if not plan.pieces:
        raise DefinitionError(
            "there is nothing to do", remedy="Name other partitions, or make all of them again: --all."
        )
    moment = time.time() if now is None else now
    backfill = Backfill(
        backfill_id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(moment))}-{os.urandom(3).hex()}",
        pipeline=plan.pipeline,
        assets=plan.assets,
        total=len(plan.pieces),
        at_most=at_most,
        request=_told(plan),
        priority=priority,
        tags=tuple(tags),
        on_failure=on_failure,
        created_at=moment,
        created_by=by,
    )
    store.agenda.begin_backfill(backfill, backfills.firings(backfill, plan.pieces, plan.templates))
    return backfill


def _told(plan: Planned) -> dict[str, Any]:
    """What was asked for, without sets of parameters: those are in the runs."""
    asked = msgspec.to_builtins(msgspec.structs.replace(plan.request, rows=None, texts=False, source=""))
    first, last = _ends(plan)
    told = {
        "first": first,
        "last": last,
        "zone": _zone(plan),
        "retries": plan.retries or None,
    }
    return {**asked, **{name: value for name, value in told.items() if value is not None}}


def _ends(plan: Planned) -> tuple[str, str]:
    """The first and the last that it is over; of several stages, those of the first one."""
    return _ends_of([piece for piece in plan.pieces if piece.assets == plan.pieces[0].assets])


def _ends_of(pieces: Sequence[Piece]) -> tuple[str, str]:
    keys = [key_of(piece.partitions) or piece.key for piece in pieces] or [""]
    return keys[0], keys[-1]


def _zone(plan: Planned) -> str | None:
    """The zone of the times that the keys are; None where they are others."""
    return plan.pieces[0].zone if plan.pieces and plan.pieces[0].logical_time is not None else None


def plan_document(plan: Planned, at_most: int) -> dict[str, Any]:
    """What a backfill would consist of, as JSON-able data."""
    first, last = _ends(plan)
    each = plan.stages[0].each if len(plan.stages) == 1 else plan.each
    return {
        "pipeline": plan.pipeline or None,
        "assets": plan.assets or None,
        "runs": len(plan.pieces),
        "partitions": plan.partitions if plan.assets else None,
        "named": plan.named,
        "which": ", ".join(words_of(plan.request.which)) if plan.assets else None,
        "first": first or None,
        "last": last or None,
        "zone": _zone(plan),
        "at_most": at_most,
        "each_s": each,
        "expected_s": plan.expected(at_most),
        "stages": [_stage_document(stage) for stage in plan.stages],
        "notes": list(plan.notes),
    }


def _stage_document(stage: PlannedStage) -> dict[str, Any]:
    """Some runs of a plan: those that make the same assets."""
    first, last = _ends_of(stage.pieces)
    divided = any(piece.partitions for piece in stage.pieces)
    return {
        "assets": list(stage.assets),
        "runs": len(stage.pieces),
        "partitions": sum(len(piece.partitions) for piece in stage.pieces) if divided else None,
        "named": stage.named if divided else None,
        "first": first if divided else None,
        "last": last if divided else None,
        "made_from": list(dict.fromkeys(name for piece in stage.pieces for name in piece.reads)),
        "each_s": stage.each,
    }


# From Python.


def backfill(
    target: Any,
    *,
    partitions: str | Iterable[str] = (),
    which: Which | tuple[Which, ...] = "missing",
    downstream: bool = False,
    batch: int = 1,
    begin_at: Any = None,
    end_at: Any = None,
    parameters: Iterable[Mapping[str, Any]] | None = None,
    at_most: int = 1,
    order: Order = "ascending",
    on_failure: Literal["continue", "pause"] = "continue",
    tags: Iterable[str] = (),
    priority: int = 0,
) -> str:
    """Begin a backfill: runs over partitions of assets, over the logical times of a pipeline's schedule (`begin_at`, `end_at`),
    or over sets of parameters. Returns its id; `penstock up` starts its runs, at most `at_most` at once.

    `target` is what is registered, or is registered on the way: a name, a selection of assets, a file, or the pipeline or
    asset itself. `which` of the partitions are made: those that are "missing", "failed", "stale", any of several of these, or
    "all"; with `downstream` also what is made from them. Raises DefinitionError, NotFoundError and ParameterError for what
    cannot be.
    """
    from penstock.authoring.options.reading import moment, option
    from penstock.runtime.requests import person
    from penstock.services import Services

    request = Request(
        target=_target_of(target),
        partitions=(partitions,) if isinstance(partitions, str) else tuple(partitions),
        which=which,
        downstream=downstream,
        batch=batch,
        begin=None if begin_at is None else option("begin_at", moment, begin_at).timestamp(),
        end=None if end_at is None else option("end_at", moment, end_at).timestamp(),
        rows=None if parameters is None else tuple(dict(row) for row in parameters),
        order=order,
    )
    services, by = Services(), person()
    plan = planned(services, request, by=by)
    check(services, plan)
    with services.store() as store:
        begun = begin(store, plan, at_most=at_most, priority=priority, tags=tags, on_failure=on_failure, by=by)
    return begun.backfill_id


def _target_of(target: Any) -> str:
    if isinstance(target, str):
        return target
    if getattr(target, "target", ""):
        return target.target
    import sys

    function = target.function
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return f"{file}:{target.name}" if file else f"{function.__module__}:{target.name}"


__all__ = [
    "Planned",
    "Request",
    "Which",
    "backfill",
    "begin",
    "check",
    "plan_document",
    "planned",
]
