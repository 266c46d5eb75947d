"""Templates that do no more than to put params of the DAG into texts: `copy {{ params.table }}`. These are parameters of the
run, which any language has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from penstock.dialects.airflow.params import CONF, DagParam, annotation_of, declared, identifier

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator

_PLACE = re.compile(
    r"""\{\{\s*params(?:\.(?P<name>[A-Za-z_]\w*)|\[(?P<quote>['"])(?P<key>[^'"]+)(?P=quote)\])\s*\}\}"""
)
#: what a dict has, and no param is read by
_METHODS = frozenset(dir(dict)) | {"get_param", "dump", "validate", "suppress_exception"}


def with_params(operator: BaseOperator, value: Any) -> Any:
    """A value in which texts that are no more than a param of the DAG, one that is a text, are that parameter."""
    if isinstance(value, str):
        match = _PLACE.fullmatch(value)
        return value if match is None else _param(operator, match, (str,)) or value
    if type(value) is dict:
        return {key: with_params(operator, each) for key, each in cast("dict[Any, Any]", value).items()}
    if type(value) in (list, tuple):
        return type(value)(with_params(operator, each) for each in cast("list[Any]", value))
    return value


def as_command(operator: BaseOperator, text: str) -> tuple[str, dict[str, DagParam]] | None:
    """A template as one of penstock's commands, with its inputs; None for one that takes more than params which are texts or
    whole numbers."""
    inputs: dict[str, DagParam] = {}
    pieces: list[str] = []
    at = 0
    # as in Jinja, a line ends where the next would begin
    text = text.removesuffix("\n") if _is_template(text) else text
    for match in _PLACE.finditer(text):
        param = _param(operator, match, (str, int))
        if param is None:
            return None
        inputs[identifier(param.name)] = param
        pieces += [_plain(text[at : match.start()]), f"{{{identifier(param.name)}}}"]
        at = match.end()
    rest = [text[begin:end] for begin, end in _between(text)]
    return None if any(map(_is_template, rest)) else ("".join([*pieces, _plain(text[at:])]), inputs)


def _between(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for match in _PLACE.finditer(text):
        yield at, match.start()
        at = match.end()
    yield at, len(text)


def _is_template(text: str) -> bool:
    return any(mark in text for mark in ("{{", "{%", "{#"))


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _param(operator: BaseOperator, match: re.Match[str], kinds: tuple[type, ...]) -> DagParam | None:
    """The param of the DAG that a place names, if it is of one of some types, and nothing else goes before it."""
    name, dag = match["name"] or match["key"], operator.dag
    if dag is None or name in _METHODS or name in operator.params or CONF in declared(dag):
        return None
    if dag.render_template_as_native_obj or dag.jinja_environment_kwargs or "params" in dag.user_defined_macros:
        return None
    if getattr(operator, "render_template_as_native_obj", None):
        return None
    known = declared(dag).get(name)
    return None if known is None or annotation_of(known) not in kinds else DagParam(dag, name)


__all__ = ["as_command", "with_params"]
