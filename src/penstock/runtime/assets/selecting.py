"""Selections of assets, as people write them: `+features group:raw & tag:daily -drafts`.

    selection := part { [","] part }        all of them; a part behind `-` is taken away
    part      := factor { "&" factor }      those that are in all
    factor    := "not" factor | "(" selection ")" | [[n] "+"] atom ["+" [n]]
    atom      := name | glob | group:glob | tag:glob | owner:glob | kind:glob | stale() | missing() | late()

`+a` is `a` with all that it is made from, `a+` with all that is made from it, `2+a` two steps up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NoReturn

from penstock.errors import DefinitionError
from penstock.model.asset import AssetSpec
from penstock.runtime.assets.graph import AssetGraph, remedy_of_absent
from penstock.runtime.reading.nearest import nearest

#: finds the assets in a state, when it is asked
States = Mapping[str, Callable[[], Iterable[str]]]

#: names of the states that can be asked for
STATES = ("stale", "missing", "late")

KINDS = ("plain", "partitioned", "external")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<state>\w+)\(\s*\)
      | (?P<up>\d*\+)(?=[^\s,&)+])
      | (?P<minus>-)(?=\s*[^\s])
      | (?P<word>[^\s,&()+]+)
      | (?P<sign>[,&()])
    )(?P<down>\+\d*)?""",
    re.VERBOSE,
)

_FIELDS: Mapping[str, Callable[[AssetSpec], Iterable[str]]] = {
    "group": lambda spec: (spec.group,) if spec.group else (),
    "tag": lambda spec: spec.tags,
    "owner": lambda spec: spec.owners,
    "kind": lambda spec: ("external",) if spec.external else ("partitioned",) if spec.partitions else ("plain",),
}


def select(text: str, graph: AssetGraph, states: States | None = None) -> list[str]:
    """The assets that a selection means, each behind those that it is made from.

    Raises DefinitionError, pointing at the place, for what is no selection, and for a name, a group or a pattern that
    means nothing.
    """
    return graph.in_order(_Parser(text, graph, states or {}).all())


class _Parser:
    """Reads one selection from left to right."""

    def __init__(self, text: str, graph: AssetGraph, states: States) -> None:
        self._text = text
        self._graph = graph
        self._states = states
        self._at = 0
        self._known: dict[str, set[str]] = {}

    def all(self) -> set[str]:
        found = self._selection()
        if self._peek() is not None:
            self._refuse("this closes nothing", self._start())
        return found

    # Tokens.

    def _peek(self) -> re.Match[str] | None:
        if not self._text[self._at :].strip():
            return None
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self._refuse("this is no part of a selection", self._start())
        return found

    def _start(self) -> int:
        """Where what comes next begins."""
        return len(self._text) - len(self._text[self._at :].lstrip())

    def _sign(self, sign: str) -> bool:
        """Take a sign, if it comes next."""
        found = self._peek()
        if found is None or found["sign"] != sign:
            return False
        self._at = found.end("sign")
        return True

    def _refuse(self, what: str, at: int, remedy: str | None = None) -> NoReturn:
        raise DefinitionError(
            f"in the selection: {what}\n    {self._text}\n    {' ' * at}^",
            remedy=remedy
            or "Write names, +name, name+, group:g, tag:t, owner:o, stale(), missing(), late(); commas and spaces for "
            "all of several, & for what is in both, - or not for what is not.",
        )

    # Grammar.

    def _selection(self) -> set[str]:
        found: set[str] | None = None
        while (token := self._peek()) is not None and token["sign"] != ")":
            if token["sign"] == ",":
                if found is None:
                    self._refuse("a name is missing before the comma", self._start())
                self._at = token.end("sign")
                if self._peek() is None:
                    self._refuse("a name is missing after the comma", len(self._text))
                continue
            if token["minus"]:
                self._at = token.end("minus")
                found = (set(self._graph) if found is None else found) - self._part()
            else:
                found = (found or set[str]()) | self._part()
        if found is None:
            self._refuse("an asset is missing here", min(self._start(), len(self._text)))
        return found

    def _part(self) -> set[str]:
        found = self._factor()
        while self._sign("&"):
            found &= self._factor()
        return found

    def _factor(self) -> set[str]:
        start = self._start()
        token = self._peek()
        if token is None or token["sign"] in (")", ",", "&"):
            self._refuse("an asset is missing here", start)
        if token["minus"]:
            self._at = token.end("minus")
            return set(self._graph) - self._factor()
        if token["word"] == "not" and token["down"] is None:
            self._at = token.end()
            return set(self._graph) - self._factor()
        up: int | None = 0
        if token["up"]:
            self._at = token.end("up")
            up = _steps(token["up"][:-1])
            token = self._peek()
            assert token is not None
        found, down = self._atom(token, start)
        return self._graph.around(found, up=up, down=down)

    def _atom(self, token: re.Match[str], start: int) -> tuple[set[str], int | None]:
        """What an atom means, and how many steps down from it."""
        self._at = token.end()
        if token["sign"] == "(":
            self._at = token.end("sign")
            found = self._selection()
            if not self._sign(")"):
                self._refuse("a closing parenthesis is missing", len(self._text))
            down = re.compile(r"\+(\d*)").match(self._text, self._at)
            if down is None:
                return found, 0
            self._at = down.end()
            return found, _steps(down[1])
        down = 0 if token["down"] is None else _steps(token["down"][1:])
        if token["state"]:
            return self._state(token["state"], start), down
        if not token["word"]:
            self._refuse("an asset is missing here", self._start())
        return self._named(token["word"], token.start("word")), down

    # Meaning.

    def _state(self, name: str, at: int) -> set[str]:
        if name not in STATES:
            near = nearest(name, STATES)
            self._refuse(f"there is no {name}(){f'; did you mean {near[0]}()?' if near else ''}", at)
        if name not in self._known:
            find = self._states.get(name)
            if find is None:
                self._refuse(f"{name}() cannot be asked here", at)
            self._known[name] = set(find()) & set(self._graph)
        return self._known[name]

    def _named(self, word: str, at: int) -> set[str]:
        field, colon, pattern = word.partition(":")
        if colon and word not in self._graph:
            if field not in _FIELDS:
                near = nearest(field, _FIELDS)
                self._refuse(f"there is no {field}:{f'; did you mean {near[0]}:?' if near else ''}", at)
            return self._with(field, pattern, at)
        if word in self._graph:
            return {word}
        if not any(sign in word for sign in "*?["):
            if word in self._graph.absent:
                self._refuse(f"{word} {self._graph.absent[word]}", at, remedy_of_absent(word))
            near = nearest(word, self._graph)
            told = f"; did you mean {' or '.join(near)}?" if near else ""
            self._refuse(f"there is no asset {word!r}{told}", at)
        found = {name for name in self._graph if fnmatchcase(name, word)}
        if not found and word != "*":
            self._refuse(f"no asset is called like {word!r}", at)
        return found

    def _with(self, field: str, pattern: str, at: int) -> set[str]:
        """The assets of which one of the words of a field is as wanted."""
        words = {name: set(_FIELDS[field](spec)) for name, spec in self._graph.specs.items()}
        found = {name for name, each in words.items() if any(fnmatchcase(word, pattern) for word in each)}
        if not found and (field != "kind" or not any(fnmatchcase(word, pattern) for word in KINDS)):
            known = sorted(KINDS if field == "kind" else {word for each in words.values() for word in each})
            near = nearest(pattern, known)
            told = f"; did you mean {' or '.join(near)}?" if near else f"; there are: {', '.join(known[:10]) or 'none'}"
            self._refuse(f"no asset has the {field} {pattern!r}{told}", at)
        return found


def _steps(digits: str) -> int | None:
    return int(digits) if digits else None


__all__ = ["STATES", "States", "select"]
