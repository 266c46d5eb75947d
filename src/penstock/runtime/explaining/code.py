"""In which lines two versions of a task's code differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from penstock.model.identity import CodePart, TaskIdentity
from penstock.runtime.explaining.difference import Difference, Kind
from penstock.runtime.explaining.significance import significant

#: the text of a source file by its digest; None where it is not kept
TextOf = Callable[[bytes], str | None]

_CONTEXT = 2
#: what tells things apart that share a name: `module:<lambda> (2)`
_NUMBER = re.compile(r" \(\d+\)$")


class Version(NamedTuple):
    """The code of a task, with what its texts are found by."""

    identity: TaskIdentity
    text_of: TextOf


class CodeComparison:
    """Compares versions of code, each two of them once."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], list[Difference]] = {}

    def differences(self, before: Version, after: Version) -> list[Difference]:
        """See `code_differences`."""
        key = before.identity.digest, after.identity.digest
        if key not in self._known:
            self._known[key] = code_differences(before, after)
        return self._known[key]


def code_differences(before: Version, after: Version) -> list[Difference]:
    """What differs between two versions of the code of a task: definitions, values, packages.

    A definition that has only moved, to another place or another module, is none.
    """
    if before.identity.digest == after.identity.digest:
        return []
    pairs = _pairs(_by_name(before.identity), _by_name(after.identity))
    found = [_Change(before, after, old, new).told() for old, new in pairs]
    if found:
        return _packages_joined(found)
    # all parts are there as they were, and yet they make up something else
    name = after.identity.parts[0].name if after.identity.parts else after.identity.function
    return [Difference(kind="code", name=name)]


def _by_name(identity: TaskIdentity) -> dict[str, CodePart]:
    return {part.name: part for part in identity.parts}


_Pair = tuple[CodePart | None, CodePart | None]


def _pairs(old: Mapping[str, CodePart], new: Mapping[str, CodePart]) -> Iterator[_Pair]:
    """What differs: a part as it was and as it is, None where it was not there, or is gone."""
    gone = {name: part for name, part in old.items() if name not in new or new[name].digest != part.digest}
    come = {name: part for name, part in new.items() if name not in old or old[name].digest != part.digest}
    for name, part in list(come.items()):
        twin = next((other for other in gone if _is_moved(other, name, gone[other], part, old, new)), None)
        if twin is not None:
            del gone[twin], come[name]
    # what is in both comes first, in the order of the later version
    for name in [*come]:
        if name in gone:
            yield gone.pop(name), come.pop(name)
    yield from ((None, part) for part in come.values())
    yield from ((part, None) for part in gone.values())


def _is_moved(
    name: str, to: str, part: CodePart, moved: CodePart, old: Mapping[str, CodePart], new: Mapping[str, CodePart]
) -> bool:
    """Whether two parts are one definition under two names, or one of several that are only told apart by numbers."""
    if part.digest != moved.digest or name.startswith("constant:") != to.startswith("constant:"):
        return False
    return (name not in new and to not in old) or _NUMBER.sub("", name) == _NUMBER.sub("", to)


class _Change:
    """A part as it was and as it is; one of them may be missing."""

    def __init__(self, before: Version, after: Version, old: CodePart | None, new: CodePart | None) -> None:
        self._versions = before, after
        self._old = old
        self._new = new

    def told(self) -> Difference:
        part = self._new or self._old
        assert part is not None
        kind, name, told = _called(part)
        return Difference(
            kind=kind,
            name=name,
            change="added" if self._old is None else "removed" if self._new is None else "changed",
            before="" if self._old is None else told(self._old),
            after="" if self._new is None else told(self._new),
            where=self._where(part),
            diff=() if kind == "constant" else tuple(_unified(*self._lines)),
        )

    @cached_property
    def _lines(self) -> tuple[list[_Line], list[_Line]]:
        before, after = self._versions
        return _lines(before, self._old), _lines(after, self._new)

    def _where(self, part: CodePart) -> str:
        """`file:line` of the first line that does something else."""
        if not part.file:
            return ""
        before, after = self._lines
        if self._old is None or self._new is None or not after or not part.text:
            return f"{part.file}:{part.first}" if part.first else part.file
        return f"{part.file}:{_first_difference(before, after) or part.first}"


class _Line(NamedTuple):
    number: int
    text: str


def _called(part: CodePart) -> tuple[Kind, str, Callable[[CodePart], str]]:
    """The kind of a part, its name, and how its state is told."""
    prefix, _, rest = part.name.partition(":")
    if prefix == "package":
        name = rest.partition("==")[0]
        return ("python" if name == "python" else "package"), name, lambda each: each.name.partition("==")[2]
    if prefix == "constant":
        return "constant", rest, lambda each: each.shown
    if prefix == "file":
        return "file", rest, lambda each: each.digest.hex()[:12]
    if prefix in ("command", "container"):
        return "code", f"{prefix} {rest}", lambda _: ""
    return "code", part.name.removesuffix(":*"), lambda _: ""


def _lines(version: Version, part: CodePart | None) -> list[_Line]:
    """The lines of a part with their numbers; none where its text is not kept."""
    if part is None:
        return []
    text = version.text_of(part.text) if part.text else None
    if text is not None:
        lines = [_Line(number, line) for number, line in enumerate(text.splitlines(), 1)]
        return lines[part.first - 1 : part.last] if part.first else lines
    # of a program, what is shown is what it does
    return [_Line(number, line) for number, line in enumerate(part.shown.splitlines(), 1)]


def _unified(before: Sequence[_Line], after: Sequence[_Line]) -> Iterator[str]:
    """A unified diff with the line numbers of the files."""
    for group in _matcher(before, after).get_grouped_opcodes(_CONTEXT):
        first, last = group[0], group[-1]
        yield f"@@ -{_span(before, first[1], last[2])} +{_span(after, first[3], last[4])} @@"
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (f" {line.text}" for line in before[old_from:old_to])
            else:
                yield from (f"-{line.text}" for line in before[old_from:old_to])
                yield from (f"+{line.text}" for line in after[new_from:new_to])


def _matcher(before: Sequence[_Line], after: Sequence[_Line]) -> difflib.SequenceMatcher[str]:
    old, new = [line.text for line in before], [line.text for line in after]
    return difflib.SequenceMatcher(None, old, new, autojunk=False)


def _span(lines: Sequence[_Line], start: int, stop: int) -> str:
    first = lines[start].number if start < len(lines) else 0
    return f"{first},{stop - start}"


def _first_difference(before: Sequence[_Line], after: Sequence[_Line]) -> int:
    """The number of the first line that is different, apart from comments and docstrings; 0 where there is none."""
    kept = [significant([line.text for line in lines]) for lines in (before, after)]
    matcher = difflib.SequenceMatcher(None, *([text for _, text in lines] for lines in kept), autojunk=False)
    for tag, _, _, start, _ in matcher.get_opcodes():
        if tag != "equal" and kept[1]:
            index, _ = kept[1][min(start, len(kept[1]) - 1)]
            return after[index].number
    return 0


def _packages_joined(differences: Iterable[Difference]) -> list[Difference]:
    """A package that is gone in one version and has come in another has changed."""
    found: dict[tuple[str, str], Difference] = {}
    for each in differences:
        key = (each.kind, each.name)
        other = found.get(key)
        if other is None or each.kind not in ("package", "python"):
            found[key] = each
            continue
        before, after = (other.before or each.before), (other.after or each.after)
        found[key] = Difference(kind=each.kind, name=each.name, before=before, after=after)
    return list(found.values())


__all__ = ["CodeComparison", "TextOf", "Version", "code_differences"]
