"""What a computation was made of: everything that counts for its fingerprint, in a form that can be compared and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import unified_diff
from functools import partial
from itertools import islice, zip_longest
from typing import NamedTuple

import msgspec

from penstock.model.action import Environment
from penstock.model.expression import Parameter, describe
from penstock.model.graph import Node
from penstock.model.policy import Caching
from penstock.model.value import Argument, Artifact
from penstock.ports import Store
from penstock.runtime.driving.fingerprints import counted
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.code import CodeComparison, Version
from penstock.runtime.explaining.difference import Difference, Kind, in_order
from penstock.runtime.explaining.shown import shown
from penstock.runtime.explaining.sources import Source, source_of
from penstock.runtime.reading.past import Past
from penstock.values import Values


class Account(NamedTuple):
    """What one attempt was made of, or would be."""

    node: Node
    #: what the node or the item is called: `fit[rf]`
    name: str
    #: None where nothing is kept of the code, or there is none
    code: Version | None
    environment: Environment | None
    #: of the files that the task declares: name -> digest of the content
    files: Mapping[str, bytes]
    inputs: Mapping[str, Argument]
    values: Values
    store: Store
    #: where an input comes from, by its name; None where only the bindings of the node tell
    source: Callable[[str], Source] | None = None
    #: the code of the user's own classes and functions in its inputs, by their names
    classes: Mapping[str, Version] = {}


def account_of(past: Past, cell: Cell) -> Account:
    """The account of an attempt that was made, or taken from the cache. Raises as `Past.inputs` does."""
    progress = past.progress_of(cell)
    task = past.progress.tasks[progress.node.task]
    identity = past.identity(cell)
    caching, inputs = progress.node.policy.caching, past.inputs(cell)
    return Account(
        node=progress.node,
        name=past.name(cell),
        code=None if identity is None else Version(identity, past.text_of),
        environment=task.environment,
        files={name: past.basis.files.get(name, b"") for name in caching.reads},
        inputs=inputs,
        values=past.values,
        store=past.store,
        source=partial(source_of, progress),
        classes=_classes(past, [inputs[name] for name in counted(caching, inputs)]) if past.classes else {},
    )


def _classes(past: Past, inputs: Iterable[Argument]) -> dict[str, Version]:
    names = {name for each in inputs for name in past.values.classes(each)}
    return {name: Version(past.classes[name], past.text_of) for name in sorted(names) if name in past.classes}


class Comparison:
    """Compares accounts. What several of them have in common is looked at once."""

    def __init__(self) -> None:
        self._code = CodeComparison()
        # kept beside what is known of them, so that nothing else can come to have their addresses
        self._digests: dict[int, tuple[Argument, bytes]] = {}
        self._shown: dict[int, tuple[Argument, str]] = {}
        self._sources: dict[tuple[int, str], tuple[Node, Source]] = {}

    def differences(self, before: Account, after: Account) -> list[Difference]:
        """In what two computations differ, of what counts; causes before effects."""
        found: list[Difference] = []
        if before.code is not None and after.code is not None:
            found += self._code.differences(before.code, after.code)
        for name in sorted(before.classes.keys() & after.classes.keys()):
            in_value = self._code.differences(before.classes[name], after.classes[name])
            within = _holding(after, name) if in_value else ""
            found += [msgspec.structs.replace(each, within=within) for each in in_value if within]
        return in_order([*_once(found), *_of_settings(before, after), *self._of_inputs(before, after)])

    def difference(
        self, kind: Kind, name: str, before: Argument | None, after: Argument | None, accounts: tuple[Values, Store]
    ) -> Difference | None:
        """In what a named value differs from what it was; None where it does not. None for a value that is not there."""
        if before is not None and after is not None and self._digest(before, accounts) == self._digest(after, accounts):
            return None
        return Difference(
            kind=kind,
            name=name,
            change="added" if before is None else "removed" if after is None else "changed",
            before="" if before is None else self._told(before, accounts),
            after="" if after is None else self._told(after, accounts),
        )

    def _of_inputs(self, before: Account, after: Account) -> Iterator[Difference]:
        ignored = after.node.policy.caching.ignored
        for name in dict.fromkeys([*before.inputs, *after.inputs]):
            if name in ignored:
                continue
            found = self.difference(
                "input", name, before.inputs.get(name), after.inputs.get(name), (after.values, after.store)
            )
            if found is not None:
                yield _with_source(found, self._source(after if name in after.inputs else before, name))

    def _source(self, account: Account, name: str) -> Source:
        """Where an input comes from, which is the same for all instances and items of a node, but for their ids."""
        key = id(account.node), name
        known = self._sources.get(key)
        if known is None:
            known = self._sources[key] = account.node, _source(account, name)
        return known[1]

    def _digest(self, argument: Argument, accounts: tuple[Values, Store]) -> bytes:
        if isinstance(argument, Artifact):
            return argument.digest
        known = self._digests.get(id(argument))
        if known is None:
            known = self._digests[id(argument)] = argument, accounts[0].digest(argument)
        return known[1]

    def _told(self, argument: Argument, accounts: tuple[Values, Store]) -> str:
        known = self._shown.get(id(argument))
        if known is None:
            known = self._shown[id(argument)] = argument, shown(argument, *accounts)
        return known[1]


def _once(differences: Iterable[Difference]) -> Iterable[Difference]:
    """What a class has in common with a task is told once."""
    found: dict[tuple[str, ...], Difference] = {}
    for each in differences:
        found.setdefault((each.kind, each.name, each.where), each)
    return found.values()


def _holding(account: Account, name: str) -> str:
    """The first input that has a class or a function in it."""
    counting = counted(account.node.policy.caching, account.inputs)
    return next((each for each in counting if name in account.values.classes(account.inputs[each])), "")


def _source(account: Account, name: str) -> Source:
    if account.source is not None:
        return account.source(name)
    bound = account.node.bindings.get(name)
    if isinstance(bound, Parameter):
        return Source(parameter=bound.name)
    return Source() if bound is None else Source(describe(bound))


def _with_source(difference: Difference, source: Source) -> Difference:
    if source.parameter:
        return msgspec.structs.replace(difference, kind="parameter", name=source.parameter)
    return msgspec.structs.replace(difference, source=source.text)


def _of_settings(before: Account, after: Account) -> Iterator[Difference]:
    old, new = before.node.policy.caching, after.node.policy.caching
    if before.environment != after.environment:
        yield _environment(before.environment, after.environment)
    yield from _text("version", "version", old.version, new.version)
    yield from _text("setting", "secrets", _secrets(before.node), _secrets(after.node))
    yield from _text("setting", "cache_ignore", ", ".join(old.ignored), ", ".join(new.ignored))
    yield from _text("setting", "cache_key", _keyed(old), _keyed(new))
    # their order counts, and what they are called does not
    for was, now in zip_longest(before.files.items(), after.files.items()):
        yield from _file(was, now)


def _environment(before: Environment | None, after: Environment | None) -> Difference:
    change = "added" if before is None else "removed" if after is None else "changed"
    lines = unified_diff(_in_lines(before), _in_lines(after), n=0, lineterm="")
    # without its header, and the places in a text that is nowhere
    diff = tuple(line for line in islice(lines, 2, None) if not line.startswith("@@"))
    return Difference(kind="environment", name="environment", change=change, diff=diff)


def _in_lines(environment: Environment | None) -> list[str]:
    if environment is None:
        return []
    files = [f"{name}: {line}" for name, text in environment.files.items() for line in text.splitlines()]
    return [*([f"python {environment.python}"] if environment.python else []), *environment.requirements, *files]


def _secrets(node: Node) -> str:
    return ", ".join(f"{name} from {reference}" for name, reference in sorted(node.policy.secrets.items()))


def _keyed(caching: Caching) -> str:
    return "a function" if caching.keyed else ""


def _text(kind: Kind, name: str, before: str, after: str) -> Iterator[Difference]:
    if before != after:
        change = "added" if not before else "removed" if not after else "changed"
        yield Difference(kind=kind, name=name, change=change, before=before, after=after)


def _file(before: tuple[str, bytes] | None, after: tuple[str, bytes] | None) -> Iterator[Difference]:
    if before is None or after is None:
        name, _ = before or after or ("", b"")
        yield Difference(kind="file", name=name, change="added" if before is None else "removed")
    elif before[1] != after[1]:
        yield Difference(kind="file", name=after[0], before=before[1].hex()[:12], after=after[1].hex()[:12])


__all__ = ["Account", "Comparison", "account_of"]
