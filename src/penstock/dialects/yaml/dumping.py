"""Text of YAML that people would keep: blocks for what is long, one line for what is short."""

from __future__ import annotations

import re
from typing import Any, cast

import yaml

from penstock.dialects.yaml.literals import Tagged
from penstock.dialects.yaml.source import resolvers

_WIDTH = 100
#: texts that other readers of YAML would take for something else
_TAKEN = re.compile(r"(?i:yes|no|on|off)|\d{4}-\d\d?-\d\d?.*|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?|[-+]?[\d_]+|=|<<")


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class Block(dict[str, Any]):
    """A mapping that is written in a block, however short it is."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = None
    if "\n" in value and _fits_block(value):
        style = "|"
    elif _TAKEN.fullmatch(value):
        style = '"'
    return cast(Any, dumper).represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _fits_block(value: str) -> bool:
    lines = value.split("\n")
    return not any(
        line != line.rstrip() or not all(c.isprintable() or c == "\t" for c in line) for line in lines
    ) and bool(lines[0].strip() and lines[0][0] != " ")


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_is_short(value))


def _dict(dumper: yaml.SafeDumper, value: dict[Any, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=_is_short(value))


def _tagged(dumper: yaml.SafeDumper, value: Tagged) -> yaml.Node:
    given: Any = value.value
    if isinstance(given, dict):
        return dumper.represent_mapping(value.tag, cast("dict[Any, Any]", given), flow_style=_is_short(given))
    if isinstance(given, list):
        return dumper.represent_sequence(value.tag, cast("list[Any]", given), flow_style=_is_short(given))
    return cast(Any, dumper).represent_scalar(value.tag, str(given))


def _is_short(value: Any) -> bool:
    """Whether a value fits on a line, with nothing in it that is better read in a block."""
    return _length(value) <= 70 and (not value or _depth(value) <= 2)


def _depth(value: Any) -> int:
    if isinstance(value, Tagged):
        return _depth(value.value)
    if not isinstance(value, (list, dict)):
        return 0
    elements = list(cast("dict[Any, Any]", value).values()) if isinstance(value, dict) else cast("list[Any]", value)
    return 1 + max((_depth(each) for each in elements), default=0)


def _length(value: Any) -> int:
    if isinstance(value, Tagged):
        return len(value.tag) + _length(value.value)
    if isinstance(value, dict):
        return 2 + sum(_length(key) + 4 + _length(each) for key, each in cast("dict[Any, Any]", value).items())
    if isinstance(value, list):
        return 2 + sum(2 + _length(each) for each in cast("list[Any]", value))
    text = str(value)
    return 1000 if "\n" in text else len(text)


def _block(dumper: yaml.SafeDumper, value: Block) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=False)


_Dumper.add_representer(Block, _block)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(dict, _dict)
_Dumper.add_representer(Tagged, _tagged)


def dumped(value: dict[str, Any]) -> str:
    """A mapping as a document of YAML."""
    return cast(Any, yaml).dump(Block(value), Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)


def listed(key: str, entries: list[dict[str, Any]]) -> str:
    """A list of mappings under a key, with a blank line between them, each a block."""
    blocks: list[str] = []
    for entry in entries:
        lines = "".join(dumped({name: value}) for name, value in entry.items()).splitlines()
        blocks.append(
            "\n".join(f"{'  - ' if number == 0 else '    '}{line}".rstrip() for number, line in enumerate(lines))
        )
    return f"{key}:\n" + "\n\n".join(blocks) + "\n"


__all__ = ["Block", "dumped", "listed"]
