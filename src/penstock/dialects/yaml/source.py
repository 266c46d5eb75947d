"""A file of YAML as parts that know where they stand, and all that is wrong in it.

Scalars are read as YAML 1.2 has them: `no` is a text, `1e-3` a number, `1:30` and a date are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import yaml

from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.source import nearby
from penstock.errors import DefinitionError
from penstock.model.place import Location

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str"))
#: the tag of a scalar without one -> what it looks like, and the characters that it begins with
SCALARS: tuple[tuple[str, str, str], ...] = (
    (_NULL, r"~|null|Null|NULL|", "~nN"),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        _FLOAT,
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


def resolvers() -> dict[Any, list[tuple[str, Any]]]:
    """What PyYAML tells scalars apart by."""
    found: dict[Any, list[tuple[str, Any]]] = {}
    for tag, form, first in SCALARS:
        for character in (*first, *([""] if tag == _NULL else [])):
            found.setdefault(character, []).append((tag, re.compile(f"^(?:{form})$")))
    return found


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = resolvers()


#: how many things that are wrong are told
_TOLD = 100


class Mark(NamedTuple):
    """A place in the file; both count from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """Something that is wrong, and what to do about it."""

    mark: Mark
    what: str
    remedy: str = ""


class Problems:
    """All that is wrong in a file."""

    def __init__(self, file: str) -> None:
        self.file = nearby(file)
        self.found: list[Problem] = []

    def add(self, mark: Mark, what: str, remedy: str = "") -> None:
        """Note a problem, once."""
        problem = Problem(mark, what, remedy)
        if problem not in self.found:
            self.found.append(problem)

    def check(self) -> None:
        """Raise one DefinitionError for all that was found."""
        found = sorted(self.found, key=lambda each: each.mark)
        if not found:
            return
        first = found[0]
        where = f"{self.file}:{first.mark.line}:{first.mark.column}"
        if len(found) == 1:
            raise DefinitionError(first.what, where=where, remedy=first.remedy or None)
        lines = [f"{len(found)} things are wrong in {self.file}"]
        for each in found[:_TOLD]:
            remedy = "\n    " + each.remedy.replace("\n", "\n    ") if each.remedy else ""
            told = each.what.replace("\n", "\n    ")
            lines.append(f"  {self.file}:{each.mark.line}:{each.mark.column}: {told}{remedy}")
        if len(found) > _TOLD:
            lines.append(f"  and {len(found) - _TOLD} more")
        raise DefinitionError("\n".join(lines), where=where)


def _mark_of(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _near(name: str, known: list[str]) -> str:
    plural = next((each for each in known if each in (f"{name}s", name[:-1] + "ies", name.removesuffix("s"))), None)
    return nearest(name, known) if plural is None else f"; did you mean {plural!r}?"


class Part:
    """A part of the file."""

    def __init__(self, node: yaml.Node, problems: Problems, called: str = "") -> None:
        self.node = node
        self.problems = problems
        #: what messages call it: `timeout`
        self.called = called

    @property
    def mark(self) -> Mark:
        return _mark_of(self.node.start_mark)

    @property
    def location(self) -> Location:
        return Location(self.problems.file, self.mark.line)

    @property
    def tag(self) -> str:
        """`str`, `int`, `float`, `bool`, `null`, `seq`, `map`, or a tag with its mark: `!tuple`."""
        return self.node.tag.removeprefix(_TAG)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode) and self.tag == "map"

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode) and self.tag == "seq"

    @property
    def is_text(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.tag == "str"

    @property
    def is_null(self) -> bool:
        return self.tag == "null"

    @property
    def written(self) -> str:
        """A scalar as it is written, without quotes."""
        return cast(str, self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def text_mark(self) -> Mark:
        """Where the text of a scalar on one line begins."""
        style = getattr(self.node, "style", None)
        return Mark(self.mark.line, self.mark.column + (1 if style in ("'", '"') else 0))

    @property
    def in_one_line(self) -> bool:
        """Whether columns of the text are columns of the file."""
        return (
            self.node.start_mark.line == self.node.end_mark.line
            and getattr(self.node, "style", None) not in ("|", ">")
            and "\\" not in self.written
        )

    def refuse(self, what: str, remedy: str = "") -> None:
        """Note that something is wrong here."""
        self.problems.add(self.mark, what, remedy)

    def wrong(self, wanted: str, remedy: str = "") -> None:
        """Note that it is not what it has to be."""
        self.refuse(f"{self.called or 'this'} must be {wanted}, not {self.told}", remedy)

    @property
    def told(self) -> str:
        """What it is, for messages."""
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list"
        if self.is_null:
            return "nothing"
        shown = self.written if len(self.written) <= 60 else f"{self.written[:57]}..."
        return repr(shown) if self.is_text else shown

    def pairs(self) -> list[tuple[Part, Part]]:
        """The keys and values of a mapping; none of anything else."""
        if not isinstance(self.node, yaml.MappingNode):
            return []
        nodes = cast("list[tuple[yaml.Node, yaml.Node]]", self.node.value)
        return [(Part(key, self.problems), Part(value, self.problems)) for key, value in nodes]

    def items(self) -> list[Part]:
        """The elements of a list; none of anything else."""
        if not isinstance(self.node, yaml.SequenceNode):
            return []
        nodes = cast("list[yaml.Node]", self.node.value)
        return [Part(node, self.problems, f"an element of {self.called}" if self.called else "") for node in nodes]

    def fields(self, known: Iterable[str] | None = None, of: str = "") -> dict[str, Part]:
        """The values of a mapping by key, one of each. Notes keys that are no text, that are there twice, and, where `known`
        is given, those that are not known; `of` is what they would be keys of."""
        if not self.is_mapping:
            self.wrong("a mapping")
            return {}
        names = None if known is None else list(known)
        found: dict[str, Part] = {}
        for key, value in self.pairs():
            name = key.written
            if not isinstance(key.node, yaml.ScalarNode):
                key.refuse("a key must be a text")
            elif name in found:
                key.refuse(f"{name!r} is there twice", f"It stands in line {found[name].mark.line} already; keep one.")
            elif names is not None and name not in names:
                near = _near(name, names)
                remedy = "" if near else f"There are: {', '.join(names)}."
                key.refuse(f"there is no {name!r} in {of or self.called or 'this'}{near}", remedy)
            else:
                value.called = name
                found[name] = value
        return found

    # What it has to be; None where it is something else, which is then noted.

    def text(self) -> str | None:
        if self.is_text and self.written:
            return self.written
        self.wrong("a text", f'Write "{self.written}".' if self.tag in ("int", "float", "bool") else "")
        return None

    def label(self) -> str | None:
        """A text, or a number that is meant as one: a version, a name."""
        if self.tag in ("str", "int", "float") and self.written:
            return self.written
        self.wrong("a text")
        return None

    def flag(self) -> bool | None:
        if self.tag == "bool":
            return self.written.lower() == "true"
        self.wrong("true or false")
        return None

    def whole(self) -> int | None:
        if self.tag == "int":
            return int(self.written, 0) if self.written[:2] in ("0x", "0o") else int(self.written)
        self.wrong("a whole number")
        return None

    def texts(self) -> list[str]:
        """A text, or a list of texts."""
        listed = self.items() if self.is_list else [self]
        return [text for each in listed if (text := each.text()) is not None]


def text_of(data: bytes, file: str) -> str:
    """The text of a file. Raises DefinitionError, with its line and column, for what is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        problems = Problems(file)
        problems.add(
            _mark_after(before), f"the file is not UTF-8: a byte 0x{data[error.start]:02x}", "Save it as UTF-8."
        )
        problems.check()
        raise


def _mark_after(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


def read_source(text: str, file: str) -> Part:
    """The whole of a file. Raises DefinitionError, with its line and column, for what is no YAML, and for more than one
    document or none."""
    problems = Problems(file)
    try:
        node = cast(Any, yaml).compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        _note(error, text, problems)
        problems.check()
        raise
    except yaml.reader.ReaderError as error:
        what = f"this is not YAML: the character #x{ord(text[error.position]):04x} cannot be in it"
        problems.add(_mark_after(text[: error.position]), what, "Take it out.")
        problems.check()
        raise
    if node is None:
        problems.add(Mark(1, 1), "the file is empty", "Write a pipeline: and its stages: into it.")
        problems.check()
    return Part(_merged(cast(yaml.Node, node), problems), problems)


#: in what PyYAML says -> what is wrong, where it says that unclearly, and what to do
_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("expected a single document", "", "Write each pipeline into a file of its own."),
    (
        "scanning an alias",
        "a text that begins with * has to stand in quotes",
        'Write it in quotes, as in cron: "* * * * *".',
    ),
    ("found undefined alias", "", "A text that begins with * has to stand in quotes."),
    ("while parsing a flow sequence", "a list that begins with [ does not end", "Close it with ]."),
    ("while parsing a flow mapping", "a mapping that begins with { does not end", "Close it with }."),
    ("while scanning a quoted scalar", "a text in quotes does not end", "Close the quotes."),
    (
        "expected <block end>",
        "this line is indented otherwise than those that it belongs to",
        "Indent all keys of a mapping alike, and all - of a list.",
    ),
    ("could not find expected ':'", "a key has no colon", "Write key: value, with a space after the colon."),
    (
        "mapping values are not allowed",
        "",
        "A text with a colon and a space in it has to stand in quotes; or the indentation is off.",
    ),
    ("cannot start any token", "", "A text that begins with @, ` or % has to stand in quotes."),
)


def _note(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    """Note what PyYAML has found, in the words of one who writes a file."""
    said = " ".join(filter(None, (error.context, error.problem)))
    _, what, advice = next((each for each in _FAULTS if each[0] in said), ("", "", ""))
    # what does not end is told where it begins
    begins = "does not end" in what and error.context_mark is not None
    mark = error.context_mark if begins else error.problem_mark or error.context_mark
    place = Mark(1, 1) if mark is None else _mark_of(mark)
    problems.add(place, f"this is not YAML: {what or said}", _advice(text, place, said) or advice)


def _advice(text: str, place: Mark, what: str) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\\t" in what or "\t" in line:
        return "Indent by spaces: YAML knows no tabs."
    if "${" in line:
        return 'Between { } or [ ], ${...} has to stand in quotes: {epochs: "${epochs}"}.'
    return ""


def _merged(node: yaml.Node, problems: Problems, known: dict[int, yaml.Node] | None = None) -> yaml.Node:
    """The same with what `<<` takes in."""
    known = {} if known is None else known
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = node
    if isinstance(node, yaml.SequenceNode):
        node.value = [_merged(each, problems, known) for each in cast("list[yaml.Node]", node.value)]
    elif isinstance(node, yaml.MappingNode):
        own: list[tuple[yaml.Node, yaml.Node]] = []
        taken: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            whole = _merged(value, problems, known)
            if isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None:
                taken += _taken(whole, problems)
            else:
                own.append((key, whole))
        names = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        for key, value in taken:
            if key.value not in names:
                names.add(key.value)
                own.append((key, value))
        node.value = own
    return node


def _taken(node: yaml.Node, problems: Problems) -> list[tuple[yaml.Node, yaml.Node]]:
    several = cast("list[yaml.Node]", node.value) if isinstance(node, yaml.SequenceNode) else [node]
    found: list[tuple[yaml.Node, yaml.Node]] = []
    for each in several:
        if isinstance(each, yaml.MappingNode):
            found += cast("list[tuple[yaml.Node, yaml.Node]]", each.value)
        else:
            Part(each, problems, "<<").wrong("a mapping to take in")
    return found


Fields = Mapping[str, Part]

__all__ = ["Fields", "Mark", "Part", "Problems", "read_source", "resolvers", "text_of"]
