"""The command that makes the run of a firing: what the daemon starts, in a process of its own for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.reporting import SUCCEEDED, json_option, show_error, stdout_kept_clean
from penstock.errors import DefinitionError, NotFoundError, StoreError, TargetError
from penstock.model.firing import Firing, FiringState
from penstock.model.trigger import Start

if TYPE_CHECKING:
    from penstock.app import Pipeline
    from penstock.model.options import RunOptions
    from penstock.ports import Store
    from penstock.runtime.run import Run
    from penstock.services import Services


@click.command(hidden=True)
@click.argument("run_id")
@json_option
def fire(run_id: str, as_json: bool) -> None:
    """Make the run of the firing RUN_ID, which whoever starts this has taken from the queue."""
    from penstock.app import Services
    from penstock.cli.running import told

    services = Services()
    with services.existing_store() as store:
        firing = store.agenda.firing(run_id)
        if _is_made(store, run_id):
            sys.exit(SUCCEEDED)
    if firing.state is not FiringState.STARTED:
        click.echo(f"nothing to start: the firing {run_id} is {firing.state.value}", err=True)
        sys.exit(SUCCEEDED)
    ended = carried_out(services, firing)
    if ended is None:
        sys.exit(SUCCEEDED)
    sys.exit(told(ended, firing.pipeline or run_id, f"penstock resume {run_id}", progress=False, as_json=as_json))


def carried_out(services: Services, firing: Firing) -> Run | None:
    """The run of a firing, ended; None if somebody else has made it meanwhile, or there is nothing to make. A firing of which no run can be made, since
    its definition or its parameters are wrong, has failed.

    Raises what keeps the run from beginning.
    """
    try:
        with stdout_kept_clean():
            return _materialized(services, firing) if firing.assets else _run(services, firing)
    except (DefinitionError, NotFoundError) as error:
        with services.existing_store() as store:
            store.agenda.settle(firing.run_id, FiringState.FAILED, str(error))
        raise
    except StoreError:
        with services.existing_store() as store:
            if _is_made(store, firing.run_id):
                return None
        raise


def _run(services: Services, firing: Firing) -> Run:
    from penstock.cli.running import options_of
    from penstock.registering.loading import load_pipeline

    with services.existing_store() as store:
        definition = store.agenda.definition("pipeline", firing.pipeline)
    if definition.retired:
        raise TargetError(
            f"the pipeline {firing.pipeline!r} is retired: {definition.origin} no longer has it",
            remedy="Register it again, or the trigger without it.",
        )
    pipeline = load_pipeline(definition.target)
    parameters = pipeline.signature.resolve(
        given={},
        config=firing.parameters,
        config_source=f"the trigger {firing.trigger}",
        environ=os.environ,
        cause=firing.cause,
    )
    options = options_of(pipeline, {"progress": False})
    return _launched(firing, pipeline, parameters, options, definition.target, definition.version)


def _materialized(services: Services, firing: Firing) -> Run | None:
    """Make the assets that a firing selects; None if there is nothing to make."""
    from penstock.app.asset_states import AssetStates
    from penstock.app.assets import prepared
    from penstock.cli.running import options_of
    from penstock.registering.assets import project_assets
    from penstock.runtime.assets.selecting import select

    assets = project_assets(services)
    for fault in assets.faults:
        show_error(fault)
    with services.existing_store() as store:
        names = select(firing.assets, assets.graph, AssetStates(assets, store).selectors)
        if not names:
            store.agenda.settle(firing.run_id, FiringState.SKIPPED, f"there is nothing to make for {firing.assets!r}")
            return None
    divided = any(assets.graph[name].partitions is not None for name in names)
    partitions = firing.cause.partitions or (("latest",) if divided else ())
    pipeline, parameters = prepared(assets, firing.assets, partitions=partitions, options=services.options)
    options = options_of(pipeline, {"progress": False})
    return _launched(firing, pipeline, parameters, options, assets.target)


def _launched(
    firing: Firing,
    pipeline: Pipeline[..., Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    target: str,
    version: int | None = None,
) -> Run:
    from penstock.app import launch
    from penstock.cli.running import begun

    start = Start(run_id=firing.run_id, cause=firing.cause, version=version)
    return begun(
        pipeline,
        options,
        lambda observers: launch(
            pipeline, parameters, options, target=target, observers=observers, tags=firing.tags, start=start
        ),
    )


def _is_made(store: Store, run_id: str) -> bool:
    """Whether there is a run of an id."""
    try:
        return store.find(run_id).run_id == run_id
    except NotFoundError:
        return False


__all__ = ["carried_out", "fire"]
