"""What is different in a version of a definition from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec

from penstock.model.identity import TaskIdentity
from penstock.model.registration import Definition
from penstock.runtime.explaining.code import TextOf, Version, code_differences
from penstock.runtime.explaining.difference import Difference

#: the identity of code by its digest; None where it is not kept
IdentityOf = Callable[[bytes], TaskIdentity | None]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a definition that is not as it was."""

    #: `task train`, `node train`, `graph`, `parameter depth`, `source`
    part: str
    change: str = "changed"
    #: what it was and is, where that takes a few words
    before: str = ""
    after: str = ""
    #: of code: what of it differs, down to the line
    differences: tuple[Difference, ...] = ()


def changes(before: Definition, after: Definition, identity_of: IdentityOf, text_of: TextOf) -> list[Change]:
    """In what two versions differ, part by part, in the order of the later one."""
    found: list[Change] = []
    told: set[tuple[Any, ...]] = set()
    for name in dict.fromkeys([*after.parts, *before.parts]):
        old, new = before.parts.get(name), after.parts.get(name)
        if old == new:
            continue
        if name == "parameters" and before.kind == after.kind == "pipeline":
            found += _parameters(_ports(before), _ports(after))
            continue
        differences = _code(old, new, identity_of, text_of)
        # a helper that many tasks reach is told of once
        fresh = tuple(each for each in differences if _key(each) not in told)
        told.update(map(_key, fresh))
        if differences and not fresh:
            continue
        was, now = _words(before, after, name)
        change = "added" if old is None else "removed" if new is None else "changed"
        shown = {"before": was, "after": now} if was != now else {}
        found.append(Change(part=name, change=change, differences=fresh, **shown))
    return found


def _key(difference: Difference) -> tuple[Any, ...]:
    return difference.kind, difference.name, difference.where, difference.diff


def _code(old: bytes | None, new: bytes | None, identity_of: IdentityOf, text_of: TextOf) -> list[Difference]:
    if old is None or new is None:
        return []
    one, other = identity_of(old), identity_of(new)
    return [] if one is None or other is None else code_differences(Version(one, text_of), Version(other, text_of))


def _ports(definition: Definition) -> dict[str, Mapping[str, Any]]:
    document: Mapping[str, Any] = definition.document or {}
    return {port["name"]: port for port in document.get("parameters") or ()}


def _parameters(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*after, *before]):
        old, new = before.get(name), after.get(name)
        if old != new:
            change = "added" if old is None else "removed" if new is None else "changed"
            yield Change(part=f"parameter {name}", change=change, before=_port(old), after=_port(new))


def _port(port: Mapping[str, Any] | None) -> str:
    if port is None:
        return ""
    return port["type"] if port["required"] else f"{port['type']} = {port['default']!r}"


def _words(before: Definition, after: Definition, part: str) -> tuple[str, str]:
    """What a field said and says, where that is short."""
    if after.kind == "pipeline":
        return "", ""
    told = tuple(_told(one, other, part) for one, other in ((before, after), (after, before)))
    return ("", "") if max(map(len, told)) > _LONGEST else (told[0], told[1])


def _told(definition: Definition, other: Definition, part: str) -> str:
    if part == "source" and definition.kind == "trigger":
        from penstock.registering.accounts import source_words, trigger_of

        return source_words(trigger_of(definition))
    value, beside = _field(definition, part), _field(other, part)
    if isinstance(value, dict) and isinstance(beside, dict):
        fields, others = cast("dict[str, Any]", value), cast("dict[str, Any]", beside)
        return ", ".join(f"{name}={_text(each)}" for name, each in fields.items() if others.get(name, ...) != each)
    return "" if value is None else _text(value)


def _field(definition: Definition, part: str) -> Any:
    document: Mapping[str, Any] = definition.document or {}
    return document.get("spec", document).get(part)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


#: characters of what is told in a line
_LONGEST = 120

__all__ = ["Change", "IdentityOf", "changes"]
