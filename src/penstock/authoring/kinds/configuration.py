"""Configuration files: parameters by name, in YAML, JSON or TOML."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.authoring.kinds.conversion import Form, shown
from penstock.errors import ParameterError


def read_config(path: Path) -> dict[str, Any]:
    """The mapping of names to data in a YAML, JSON or TOML file, by its suffix.

    An empty YAML file is an empty mapping. Raises ParameterError for a file that cannot be read or parsed (with line
    and column), for a key that is there twice, and for anything but a mapping of names at the top.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = "Name it .yaml, .yml, .json or .toml, after what is in it."
        raise ParameterError(
            f"the kind of a configuration file with suffix {path.suffix!r} is not known", where=str(path), remedy=known
        )
    try:
        content = reader(path, path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ParameterError(f"the configuration file cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ParameterError(f"the configuration file is not UTF-8 text: {error.reason}", where=str(path)) from None
    return _names(path, content)


def _names(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        shape = f"a mapping of parameter names to values, and this is {shown(content, Form.DATA)}"
        raise ParameterError(
            f"the top level of a configuration file is {shape}", where=str(path), remedy="Write for instance: depth: 3"
        )
    names = typing.cast(dict[Any, Any], content)
    odd = [shown(name, Form.DATA) for name in names if not isinstance(name, str)]
    if odd:
        raise ParameterError(
            f"not a parameter name: {', '.join(odd)}", where=str(path), remedy="Put it in quotes if it is a name."
        )
    return names


def _read_json(path: Path, text: str) -> Any:
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ParameterError(f"the key {twice!r} is there twice", where=str(path))
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise _not("JSON", path, error.lineno, error.colno, error.msg) from None


def _read_toml(path: Path, text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # the message ends in `(at line 3, column 7)` or `(at end of document)`
        message, _, place = str(error).partition(" (at ")
        numbers = [int(number) for number in re.findall(r"\d+", place)]
        line, column = numbers or (text.count("\n") + 1, len(text) - text.rfind("\n"))
        raise _not("TOML", path, line, column, message) from None


def _read_yaml(path: Path, text: str) -> Any:
    import yaml

    try:
        loader = _yaml_loader(yaml, text)
        root = loader.get_single_node()
        _refuse_repeated_keys(path, root)
        return {} if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _not("YAML", path, line, column, error.problem or "bad syntax") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ParameterError(f"this is not YAML: {error}", where=str(path)) from None


def _yaml_loader(yaml: Any, text: str) -> Any:
    """The safe loader, with numbers and dates as in YAML 1.2: `1e-3` is a number, `12:30` and `010` are text, dates are
    text that the types of the parameters read."""
    numbers = {f"tag:yaml.org,2002:{name}": re.compile(pattern) for name, pattern in _YAML_NUMBERS.items()}
    dropped = {*numbers, "tag:yaml.org,2002:timestamp"}
    loader = yaml.SafeLoader(text)
    resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag not in dropped]
        for first, known in loader.yaml_implicit_resolvers.items()
    }
    for first in "-+.0123456789":
        resolvers[first] = [*resolvers.get(first, ()), *numbers.items()]
    loader.yaml_implicit_resolvers = resolvers
    return loader


def _refuse_repeated_keys(path: Path, node: Any) -> None:
    """Walk over the parsed file, since PyYAML silently keeps the last of several equal keys."""
    pending, visited = [node], set[int]()
    while pending:
        node = pending.pop()
        if node is None or node.id == "scalar" or id(node) in visited:
            continue
        visited.add(id(node))
        if node.id == "sequence":
            pending += node.value
            continue
        pending += [value for _, value in node.value]
        keys = [key for key, _ in node.value if key.id == "scalar"]
        names = [key.value for key in keys]
        for number, key in enumerate(keys):
            if key.value in names[:number]:
                place = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
                raise ParameterError(f"the key {key.value!r} is there twice", where=place)


_YAML_NUMBERS = {
    "int": r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)\Z",
    "float": r"(?:[-+]?(?:(?:[0-9][0-9_]*)?\.[0-9]+|[0-9][0-9_]*\.|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z",
}


_READERS: Mapping[str, Callable[[Path, str], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
}


def _not(language: str, path: Path, line: int, column: int, message: str) -> ParameterError:
    return ParameterError(f"this is not {language}: {message}", where=f"{path}:{line}:{column}")
