"""Jinja templates in the fields of operators: rendered as Airflow does, and looked at before anything runs."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from penstock.authoring.kinds.conversion import nearest
from penstock.dialects.airflow.extras import needed
from penstock.dialects.airflow.params import DagParam
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG

_MARKS: Final = ("{{", "{%", "{#")
_PURPOSE: Final = "templates in the fields of operators"


class Names(NamedTuple):
    """What templates read."""

    #: names of the context, and of macros of the DAG's own
    names: frozenset[str] = frozenset()
    #: tasks whose XComs they pull; None where one of them is only known when it is rendered
    tasks: frozenset[str] | None = frozenset()
    #: which of `params`; None where one of them is only known when it is rendered
    params: frozenset[str] | None = frozenset()


class Literal:
    """A text that is no template, though it looks like one: `airflow.utils.template.literal`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def iter_references(self) -> Iterable[Any]:
        return ()

    def resolve(self, context: Any, *_: Any) -> Any:
        return self.value


def literal(value: Any) -> Literal:
    """A value that is not rendered."""
    return Literal(value)


def is_template(value: Any) -> bool:
    """Whether rendering would change anything in a value: a template, or what only a run has a value for."""
    return any(True for _ in _parts(value))


def templates_of(operator: BaseOperator) -> bool:
    """Whether rendering would change anything in the fields of an operator."""
    return any(True for _ in _sources(operator))


def is_filled_in(operator: BaseOperator) -> bool:
    """Whether rendering would change more in an operator than to put in values: parameters, and what tasks return."""
    from penstock.dialects.airflow.xcomarg import XComArg

    return any(not isinstance(part, (DagParam, XComArg)) for _, part in _sources(operator))


def _parts(value: Any, seen: frozenset[int] = frozenset()) -> Iterator[Any]:
    """The templates in a value, as texts, and what resolves itself."""
    if isinstance(value, str):
        if any(mark in value for mark in _MARKS):
            yield value
    elif id(value) in seen:
        return
    elif _resolves(value):
        yield value
    else:
        inner = seen | {id(value)}
        for each in _children(value):
            yield from _parts(each, inner)


def _resolves(value: Any) -> bool:
    """Whether something only a run has a value for knows it itself."""
    plain: tuple[Any, ...] = (type, os.PathLike)
    return callable(getattr(value, "resolve", None)) and not isinstance(value, plain)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return cast("Iterable[Any]", value)
    if not isinstance(value, type) and isinstance(getattr(value, "template_fields", None), (list, tuple)):
        return [getattr(value, name, None) for name in value.template_fields]
    return ()


def _sources(operator: BaseOperator) -> Iterator[tuple[str, Any]]:
    """The fields of an operator that rendering would change, with the templates in them, and the files."""
    for name in operator.template_fields:
        value = getattr(operator, name, None)
        for part in (*_files(operator, value), *_parts(value)):
            yield name, part


def _files(operator: Any, value: Any, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """The files with templates that a field names."""
    if _is_file(operator, value):
        yield value
    elif not isinstance(value, str) and id(value) not in seen:
        for each in _children(value):
            yield from _files(operator, each, seen | {id(value)})


def files_of(operator: BaseOperator) -> list[str]:
    """The files with templates that the fields of an operator name."""
    return [name for field in operator.template_fields for name in _files(operator, getattr(operator, field, None))]


def _is_file(operator: Any, value: Any) -> bool:
    endings = tuple(getattr(operator, "template_ext", None) or ())
    return bool(endings) and isinstance(value, str) and value.endswith(endings)


# Rendering.


def rendered(operator: Any, context: Mapping[str, Any], environment: Any = None) -> Any:
    """A copy of an operator whose `template_fields` are rendered, with the files that they name read. Raises what the
    templates raise, with the field."""
    found = copy.copy(operator)
    for name in found.template_fields:
        value: Any = getattr(found, name, None)
        if _is_file(operator, value):
            setattr(found, name, _content(operator, value))
        elif isinstance(value, list):
            setattr(
                found, name, [_content(operator, each) if _is_file(operator, each) else each for each in _list(value)]
            )
    prepare = getattr(found, "prepare_template", None)
    if prepare is not None:
        prepare()
    renderer = _Renderer(operator, dict(context), environment)
    for name in found.template_fields:
        if not hasattr(found, name):
            raise AttributeError(f"{name!r} is a template field, and {type(found).__name__} has no such attribute")
        value = getattr(found, name)
        if callable(value) and _takes_context(value):
            setattr(found, name, value(context=context, jinja_env=renderer.jinja))
            continue
        if not any(True for _ in (*_files(operator, value), *_parts(value))):
            continue
        try:
            setattr(found, name, renderer.render(value))
        except Exception as error:
            error.add_note(f"(in the template field {name!r} of {getattr(operator, 'task_id', operator)})")
            raise
    return found


def render(value: Any, context: Mapping[str, Any], operator: Any = None) -> Any:
    """A value with all templates in it rendered."""
    return _Renderer(operator, dict(context)).render(value)


def _takes_context(value: Any) -> bool:
    import inspect

    if isinstance(value, type) or not inspect.isfunction(value):
        return False
    return {"context", "jinja_env"} <= set(inspect.signature(value).parameters)


class _Renderer:
    """Renders values, those that stand in each other included."""

    def __init__(self, operator: Any, context: dict[str, Any], jinja: Any = None) -> None:
        self._operator = operator
        self._jinja = jinja
        self._context = context

    @property
    def jinja(self) -> Any:
        if self._jinja is None:
            self._jinja = environment_of(self._operator)
        return self._jinja

    def render(self, value: Any, seen: frozenset[int] = frozenset()) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if id(value) in seen:
            return value
        inner = seen | {id(value)}
        if _resolves(value):
            return value.resolve(self._context)
        kind = cast(Any, type(value))
        if kind is tuple:
            return tuple(self.render(each, inner) for each in cast("tuple[Any, ...]", value))
        if isinstance(value, tuple):
            return kind(*(self.render(each, inner) for each in cast("tuple[Any, ...]", value)))
        if isinstance(value, list):
            return [self.render(each, inner) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self.render(each, inner) for key, each in cast("dict[Any, Any]", value).items()}
        if isinstance(value, (set, frozenset)):
            return {self.render(each, inner) for each in cast("set[Any]", value)}
        return self._object(value, inner)

    def _object(self, value: Any, seen: frozenset[int]) -> Any:
        fields = getattr(value, "template_fields", None)
        if isinstance(value, type) or not isinstance(fields, (list, tuple)):
            return value
        found = copy.copy(value)
        for name in cast("Iterable[str]", fields):
            setattr(found, name, self.render(getattr(value, name, None), seen))
        return found

    def _text(self, text: str) -> Any:
        if _is_file(self._operator, text):
            text = _content(self._operator, text)
        if not any(mark in text for mark in _MARKS):
            return text
        return self.jinja.from_string(text).render(self._context)


def environment_of(operator: Any) -> Any:
    """The Jinja environment of an operator: that of its DAG, native if one of them says so."""
    dag = getattr(operator, "dag", None)
    own = getattr(operator, "render_template_as_native_obj", None)
    native = bool(getattr(dag, "render_template_as_native_obj", False)) if own is None else bool(own)
    return environment(dag, native, _folders(operator))


def environment(dag: DAG | None, native: bool = False, folders: Sequence[str] = ()) -> Any:
    """The Jinja environment of a DAG: its macros and filters, its options, and the folders that files are looked up in. A name
    that is not there is an error."""
    jinja = needed("jinja2", _PURPOSE)
    options: dict[str, Any] = {
        "loader": jinja.FileSystemLoader(list(folders)),
        "undefined": getattr(dag, "template_undefined", None) or jinja.StrictUndefined,
        "extensions": ["jinja2.ext.do"],
        "cache_size": 0,
    }
    options |= dict(getattr(dag, "jinja_environment_kwargs", None) or {})
    module = needed("jinja2.nativetypes" if native else "jinja2.sandbox", _PURPOSE)
    made = (module.NativeEnvironment if native else _sandbox(module))(**options)
    made.globals.update(getattr(dag, "user_defined_macros", None) or {})
    made.filters.update(FILTERS)
    made.filters.update(getattr(dag, "user_defined_filters", None) or {})
    return made


def _sandbox(module: Any) -> Any:
    class Environment(module.SandboxedEnvironment):
        """Airflow's templates may read what begins with one underscore."""

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            from jinja2.sandbox import is_internal_attribute

            return not is_internal_attribute(obj, attr)

    return Environment


def _folders(operator: Any) -> list[str]:
    dag = getattr(operator, "dag", None)
    given = list(getattr(dag, "template_searchpath", None) or ())
    home = _folder(dag or operator)
    # a relative folder is one beside the file of the DAG, or of the working folder
    return [
        str(home),
        *(str(each) for each in given),
        *(str(home / each) for each in given if not Path(each).is_absolute()),
    ]


def _folder(place: Any) -> Path:
    location = getattr(place, "location", None)
    return Path(location.file).resolve().parent if location is not None else Path.cwd()


def _list(value: Any) -> list[Any]:
    return value


def _content(operator: Any, name: str) -> str:
    """The text of a file with a template. Raises DefinitionError."""
    for folder in _folders(operator):
        file = Path(folder) / name
        if file.is_file():
            return file.read_text("utf-8")
    raise DefinitionError(
        f"the file {name} with a template, of the task {getattr(operator, 'task_id', '')!r}, is not there",
        where=str(operator.location),
        remedy=f"It is looked for in: {', '.join(dict.fromkeys(_folders(operator)))}. "
        "Others are named by template_searchpath= of the DAG; a command that only ends like one ends with a space.",
    )


def _in_form(form: str) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else value.strftime(form)


def _as_text(value: Any) -> str | None:
    return None if value is None else value.isoformat()


def _as_plain_text(value: Any) -> str | None:
    return None if value is None else value.isoformat().replace("-", "").replace(":", "")


#: the filters that all templates have
FILTERS: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "ds": _in_form("%Y-%m-%d"),
    "ds_nodash": _in_form("%Y%m%d"),
    "ts": _as_text,
    "ts_nodash": _in_form("%Y%m%dT%H%M%S"),
    "ts_nodash_with_tz": _as_plain_text,
}


# Looked at before anything runs.


def names_of(operator: BaseOperator) -> Names:
    """What the templates in the fields of an operator read. Raises DefinitionError, with the field and the line of the
    operator, for a template that cannot be parsed, a file that is not there, and names that no context has."""
    from penstock.dialects.airflow.context import KEYS

    dag = operator.dag
    own = set(getattr(dag, "user_defined_macros", None) or {})
    found = Names()
    for field, text in _texts(operator):
        each = _names(text, operator, field)
        unknown = sorted(each.names - KEYS - own)
        if unknown:
            raise DefinitionError(
                f"the template in {field} of the task {operator.task_id!r} reads {unknown[0]!r}, which no context has"
                f"{nearest(unknown[0], sorted(KEYS | own))}",
                where=str(operator.location),
                remedy="Names of your own are given to the DAG as user_defined_macros=, and values as params=.",
            )
        found = _joined(found, each)
    if any(isinstance(part, DagParam) for _, part in _sources(operator)):
        found = _joined(found, Names(frozenset({"params"}), params=None))
    return found


def _texts(operator: BaseOperator) -> Iterator[tuple[str, str]]:
    for field in operator.template_fields:
        value = getattr(operator, field, None)
        for file in _files(operator, value):
            yield f"{field} ({file})", _content(operator, file)
        for part in _parts(value):
            if isinstance(part, str) and not _is_file(operator, part):
                yield field, part


def _joined(one: Names, other: Names) -> Names:
    return Names(
        one.names | other.names,
        None if one.tasks is None or other.tasks is None else one.tasks | other.tasks,
        None if one.params is None or other.params is None else one.params | other.params,
    )


@functools.cache
def _jinja_globals() -> frozenset[str]:
    return frozenset(needed("jinja2", _PURPOSE).Environment().globals)


def _names(text: str, operator: Any, field: str) -> Names:
    jinja = needed("jinja2", _PURPOSE)
    meta = needed("jinja2.meta", _PURPOSE)
    nodes = jinja.nodes
    try:
        environment = environment_of(operator)
        # what is found there would not be told
        environment.globals.clear()
        tree = environment.parse(text)
    except jinja.TemplateSyntaxError as error:
        raise DefinitionError(
            f"the template in {field} of the task {operator.task_id!r} cannot be parsed: {error.message} "
            f"(line {error.lineno} of it)",
            where=str(operator.location),
            remedy='Where braces are meant as such, write {% raw %}...{% endraw %}, or literal("...").',
        ) from None
    tasks: frozenset[str] | None = frozenset()
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr == "xcom_pull":
            pulled = _pulled(call, nodes, operator)
            tasks = None if tasks is None or pulled is None else tasks | pulled
    return Names(frozenset(meta.find_undeclared_variables(tree)) - _jinja_globals(), tasks, _params(tree, nodes))


def _pulled(call: Any, nodes: Any, operator: Any) -> frozenset[str] | None:
    """The tasks that a call of `xcom_pull` names; None where they are not constants."""
    given = next((each.value for each in call.kwargs if each.key == "task_ids"), call.args[0] if call.args else None)
    if given is None:
        return frozenset([operator.task_id])
    try:
        value = given.as_const()
    except nodes.Impossible:
        return None
    if value is None:
        return frozenset([operator.task_id])
    return frozenset([value] if isinstance(value, str) else value)


def _params(tree: Any, nodes: Any) -> frozenset[str] | None:
    """Which of `params` a template reads."""
    found: set[str] = set()
    known = 0
    for each in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if not isinstance(each.node, nodes.Name) or each.node.name != "params":
            continue
        if isinstance(each, nodes.Getattr):
            found.add(each.attr)
            known += each.attr not in ("get", "items", "keys", "values")
        elif isinstance(each.arg, nodes.Const):
            found.add(str(each.arg.value))
            known += 1
    used = sum(1 for each in tree.find_all(nodes.Name) if each.name == "params")
    return frozenset(found) if used == known else None


__all__ = [
    "FILTERS",
    "Literal",
    "Names",
    "environment",
    "files_of",
    "is_filled_in",
    "is_template",
    "literal",
    "names_of",
    "render",
    "rendered",
    "templates_of",
]
