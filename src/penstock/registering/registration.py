"""Registering: what files and modules define is made known by name, and it is said what is new, changed and gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penstock.dialects.recognition import split_dialect
from penstock.errors import DefinitionError, PenstockError
from penstock.model.registration import Definition, Kind
from penstock.registering.changes import Change, IdentityOf, changes
from penstock.registering.checking import checked, warnings_of
from penstock.registering.collecting import Collected, Fault, Found
from penstock.registering.isolation import TIMEOUT, collect_apart
from penstock.registering.loading import is_path
from penstock.registering.places import Place, is_below, places_of

if TYPE_CHECKING:
    from penstock.ports import Store
    from penstock.runtime.explaining.code import TextOf
    from penstock.services import Services

KINDS: tuple[Kind, ...] = ("pipeline", "asset", "trigger")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one definition."""

    kind: Kind
    name: str
    #: `returned` has been retired, and is there again
    change: Literal["new", "changed", "unchanged", "returned", "retired"]
    #: of the definition as it is registered now; of what was only tried out, the one that it would get
    version: int
    where: str = ""
    target: str = ""
    changes: tuple[Change, ...] = ()


class Outcome(msgspec.Struct, kw_only=True):
    """What registering has come to."""

    entries: list[Entry] = []
    faults: list[Fault] = []
    #: what is hardly meant, and registered all the same
    warnings: list[Fault] = []
    #: whether anything was recorded
    recorded: bool = False


def targets_of(services: Services, given: Sequence[str]) -> list[str]:
    """What is to be registered: what was given, else what the setting `register` names, from the project's folder. Raises
    DefinitionError where nothing is."""
    if given:
        return list(given)
    project = services.project
    named: list[str] = project.settings.get("register", [])
    if not named:
        raise DefinitionError(
            "nothing is named that could be registered",
            remedy='Name a file, a folder or a module, or set register = ["pipelines/"] in [tool.penstock] of pyproject.toml.',
        )
    return [_from_folder(each, project.folder) for each in named]


def _from_folder(target: str, folder: Path) -> str:
    place, colon, name = target.rpartition(":") if ":" in target else (target, "", "")
    path = folder / place
    # a file that is gone is still one of the project
    return f"{path}{colon}{name}" if path.exists() or path.suffix == ".py" else target


def register(
    services: Services,
    targets: Sequence[str],
    *,
    strict: bool = False,
    dry_run: bool = False,
    move: bool = False,
    by: str = "",
    now: float = 0.0,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Register what targets define. What is wrong is among the faults, and the rest is registered all the same; with
    `strict`, nothing is then. With `dry_run`, it is only said what would change. With `move`, names are taken over from other
    places that have them. `by` and `now` are recorded. A file may take `timeout` seconds to load. Raises StoreError."""
    places, faults = _places(targets)
    collected = {place: collect_apart(place, services.options, timeout) for place in places}
    faults += [fault for each in collected.values() for fault in each.faults]
    with services.store_as_it_is() as store:
        known = [] if store is None else store.agenda.definitions(retired=True)
    faults = [fault for fault in faults if not _is_gone(fault.place, known)]
    found, more = checked(collected, known, move=move, now=now)
    faults += more
    outcome = Outcome(faults=faults, warnings=list(warnings_of(found, known)))
    definitions = [msgspec.structs.replace(each.definition, registered_at=now, registered_by=by) for each in found]
    # what a file with a fault no longer has may be what could not be read
    origins = _origins(places, known, targets) - {place for fault in faults for place in (fault.place, fault.beside)}
    store_of = services.store_as_it_is if dry_run else services.store
    with store_of() as store:
        outcome.entries = list(_entries(store, found, known, origins, collected.values()))
        if store is not None and not dry_run and not (strict and faults):
            outcome.recorded = True
            _record(store, definitions, origins, collected.values())
    return outcome


def _record(store: Store, definitions: Sequence[Definition], origins: Iterable[str], all: Iterable[Collected]) -> None:
    for each in all:
        store.keep(each.identities, each.texts)
    store.agenda.register(definitions, origins=origins)


def _places(targets: Sequence[str]) -> tuple[list[Place], list[Fault]]:
    places: dict[Place, None] = {}
    faults: list[Fault] = []
    for target in targets:
        try:
            places.update(dict.fromkeys(places_of(target)))
        except PenstockError as error:
            faults.append(Fault(place=target, what=error.what, where=error.where, remedy=error.remedy))
    # what is named by itself is in its file as well
    return [place for place in places if not place.name or Place(place.origin) not in places], faults


def _origins(places: Iterable[Place], known: Iterable[Definition], targets: Sequence[str]) -> set[str]:
    """The files and modules that were looked through as a whole, and those that are gone from where we looked."""
    seen = {place.origin for place in places if not place.name}
    gone = {
        each.origin
        for each in known
        if each.origin not in seen and any(is_below(each.origin, target) for target in targets)
    }
    return seen | gone


def _is_gone(target: str, known: Iterable[Definition]) -> bool:
    """Whether a target is a file or a folder that is no longer there, and definitions are known that were in it."""
    there = not is_path(target) or Path(split_dialect(target)[1]).exists()
    return not there and any(is_below(each.origin, target) for each in known)


# What has changed.


def _entries(
    store: Store | None,
    found: Sequence[Found],
    known: Sequence[Definition],
    origins: Iterable[str],
    collected: Iterable[Collected],
) -> Iterator[Entry]:
    before = {(each.kind, each.name): each for each in known}
    identities = {identity.digest: identity for each in collected for identity in each.identities}
    texts = {text.digest: text.text for each in collected for text in each.texts}

    def identity_of(digest: bytes) -> Any:
        return identities.get(digest) or (None if store is None else store.identities([digest]).get(digest))

    def text_of(digest: bytes) -> str | None:
        return texts.get(digest) or (None if store is None else store.texts([digest]).get(digest))

    order = sorted(found, key=lambda each: (KINDS.index(each.definition.kind), each.definition.name))
    for each in order:
        definition = each.definition
        old = before.get((definition.kind, definition.name))
        same = old is not None and old.digest == definition.digest
        yield Entry(
            kind=definition.kind,
            name=definition.name,
            change="new" if old is None else "returned" if old.retired else "unchanged" if same else "changed",
            version=1 if old is None else old.version + (not same),
            where=each.where,
            target=definition.target,
            changes=() if old is None or same else _changes(old, definition, identity_of, text_of),
        )
    names = {(each.definition.kind, each.definition.name) for each in found}
    for old in known:
        if old.origin in origins and not old.retired and (old.kind, old.name) not in names:
            yield Entry(kind=old.kind, name=old.name, change="retired", version=old.version, target=old.target)


def _changes(old: Definition, new: Definition, identity_of: IdentityOf, text_of: TextOf) -> tuple[Change, ...]:
    """In what two versions differ; that this cannot be told is no reason not to register the new one, nor others."""
    try:
        return tuple(changes(old, new, identity_of, text_of))
    except Exception as error:  # what another version of penstock has recorded may be of any form
        return (Change(part="definition", after=f"what of it cannot be told: {type(error).__name__}: {error}"),)


__all__ = ["Entry", "Outcome", "register", "targets_of"]
