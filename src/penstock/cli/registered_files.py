"""What `penstock doctor` says of what is registered: whether anybody sees to its triggers, and whether its files still load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.cli.reporting import stdout_kept_clean
from penstock.runtime.examining.finding import Finding

if TYPE_CHECKING:
    from penstock.ports import Store
    from penstock.services import Services


def of_triggers(store: Store, daemons: list[str]) -> Iterator[Finding]:
    """That nobody sees to triggers that are switched on."""
    known = {each.name for each in store.agenda.definitions("trigger")}
    waiting = [each.trigger for each in store.agenda.standings() if each.enabled and each.trigger in known]
    if waiting and not daemons:
        several = "trigger is" if len(waiting) == 1 else "triggers are"
        yield Finding(
            what=f"{len(waiting)} {several} switched on, and no daemon is running",
            remedy="Start one: penstock up.",
            is_problem=False,
        )


def of_files(services: Services, store: Store) -> Iterator[Finding]:
    """Registered files and modules that no longer load, each tried in a process of its own."""
    from penstock.registering.isolation import collect_apart
    from penstock.registering.places import Place

    for origin in sorted({each.origin for each in store.agenda.definitions() if each.origin}):
        with stdout_kept_clean():
            faults = collect_apart(Place(origin), services.options).faults
        for fault in faults[:1]:
            where = f"{fault.where}: " if fault.where else ""
            yield Finding(
                what=f"{origin} is registered, and something is wrong with it: {where}{fault.what}",
                remedy=f"Mend it, and register it again: penstock register {origin}",
            )


__all__ = ["of_files", "of_triggers"]
