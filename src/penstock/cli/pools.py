"""The commands about pools, which all runs of a project share."""

from __future__ import annotations

from typing import Any

import click

from penstock.cli.reporting import json_option, print_json, show
from penstock.errors import DefinitionError
from penstock.model.run import item_id
from penstock.ports import Holder, PoolState


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  penstock pools                     sizes, and who holds what
  penstock pools set db=4 api=1""",
)
@json_option
@click.pass_context
def pools(context: click.Context, as_json: bool) -> None:
    """List the pools that runs share, and who holds parts of them; or set their sizes."""
    if context.invoked_subcommand is not None:
        return
    from penstock.app import Services

    services = Services()
    found: list[PoolState] = []
    if services.has_store:
        with services.store() as store:
            found = store.pools()
    _tell(_with_settings(found, services.project.sizes.pools), as_json=as_json)


def _with_settings(found: list[PoolState], sizes: Any) -> list[PoolState]:
    """The pools of the store, and those of the settings that no run has used yet."""
    known = {pool.name for pool in found}
    return sorted(
        [*found, *(PoolState(name, size) for name, size in sizes.items() if name not in known)],
        key=lambda pool: pool.name,
    )


def _tell(found: list[PoolState], *, as_json: bool) -> None:
    from penstock.cli.views import pool_table

    documents = [_document(pool) for pool in found]
    if as_json:
        print_json(documents)
    else:
        show(pool_table(documents))


def _document(pool: PoolState) -> dict[str, Any]:
    return {
        "name": pool.name,
        "size": pool.size,
        "held": sum(amount for _, amount in pool.held),
        "holders": [{"run_id": holder.run_id, "task": _task(holder), "amount": amount} for holder, amount in pool.held],
    }


def _task(holder: Holder) -> str | None:
    return item_id(holder.node, holder.item) if holder.node else None


@pools.command(
    "set",
    epilog="""\b
Examples:
  penstock pools set db=4
  penstock pools set db=4 api=1 --json""",
)
@click.argument("sizes", nargs=-1, required=True, metavar="NAME=SIZE...")
@json_option
def set_pools(sizes: tuple[str, ...], as_json: bool) -> None:
    """Create pools, or change their sizes. What is held stays held.

    A size in the settings ([tool.penstock.pools]) is set again by every run that begins.
    """
    from penstock.app import Services

    wanted = dict(_size(text) for text in sizes)
    with Services().store() as store:
        store.size_pools(wanted)
        found = [pool for pool in store.pools() if pool.name in wanted]
    _tell(found, as_json=as_json)


def _size(text: str) -> tuple[str, int]:
    name, joint, number = text.partition("=")
    if not (name and joint and number.isdigit()):
        raise DefinitionError(f"{text!r} does not say the size of a pool", remedy="Write NAME=SIZE, such as db=4.")
    return name, int(number)


__all__ = ["pools"]
