"""The command that waits for the end of a run."""

from __future__ import annotations

import sys
import time

import click

from penstock.cli.named_runs import firing_to_come, run_named
from penstock.cli.reporting import FAILED, PAUSED, SUCCEEDED, json_option, print_json, show
from penstock.errors import NotFoundError, RunFailedError
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store

#: seconds between two looks
_LOOK = 0.2


@click.command(
    "wait",
    epilog="""\b
Examples:
  penstock wait latest
  penstock wait "$(penstock run pipeline.py --detach)"
  timeout 600 penstock wait 20261121-0953 --json

\b
Exit codes are those of run: 0 if it succeeded, 1 if it failed, was cancelled or has lost its process, 3 if it is
paused.""",
)
@click.argument("run", default="latest")
@json_option
def wait(run: str, as_json: bool) -> None:
    """Wait until a RUN has ended or is paused, and tell how it went.

    RUN is an id, the start of one, or `latest`; also that of a run that a trigger is yet to start. Interrupting this does nothing to
    the run.
    """
    from penstock.app import Services
    from penstock.cli.views import summary
    from penstock.runtime.reading.document import run_document

    services = Services()
    with services.existing_store() as store:
        ended = _awaited(store, _begun(store, run))
        document = run_document(store, services.values, ended)
    if as_json:
        print_json(document)
    else:
        show(summary(document))
    sys.exit({RunState.SUCCEEDED: SUCCEEDED, RunState.PAUSED: PAUSED}.get(ended.state, FAILED))


def _begun(store: Store, name: str) -> RunRecord:
    """The run, once it has begun. Raises NotFoundError for one that is not there, and will not be."""
    told = False
    while True:
        # looked up before the run, which may begin between the two
        firing = firing_to_come(store, name)
        try:
            return run_named(store, name)
        except NotFoundError as error:
            if firing is None:
                raise
            if not told:
                click.echo(error.what, err=True)
                told = True
        time.sleep(_LOOK)


def _awaited(store: Store, run: RunRecord) -> RunRecord:
    """The run, once nobody drives it any longer. Raises RunFailedError if its driver is gone before its end."""
    from penstock.runtime.surroundings.leases import Fate, Watch

    watch = Watch(store)
    while run.state is RunState.RUNNING:
        if watch.fate(run) is Fate.GONE and store.find(run.run_id) == run:
            raise RunFailedError(
                f"run {run.run_id} has lost its process and is not finished",
                remedy=f"Go on with it: penstock resume {run.run_id}",
            )
        time.sleep(_LOOK)
        run = store.find(run.run_id)
    return run


__all__ = ["wait"]
