"""`params` of DAGs and tasks: values with a JSON schema, which become typed parameters of the pipeline (`-p name=value`)."""

from __future__ import annotations

import copy
import inspect
import json
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Literal, Union, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.exceptions import ParamValidationError
from penstock.errors import DefinitionError, ParameterError

if TYPE_CHECKING:
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.execution import Given

_NONE: Final[Any] = inspect.Parameter.empty

#: the parameter of every DAG that is `dag_run.conf`: what goes before its params, and may hold more than these
CONF: Final = "conf"
#: the parameter of a DAG that assets start: what happened to them
ASSET_EVENTS: Final = "triggering_asset_events"

_TYPES: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": type(None),
}


class Param:
    """A value with a JSON schema, as its keywords: `Param(5, type="integer", minimum=1)`."""

    def __init__(self, default: Any = _NONE, description: str | None = None, **kwargs: Any) -> None:
        if default is not _NONE:
            _check_json(default)
        self.value = default
        self.description = description
        self.source = kwargs.pop("source", None)
        self.schema: dict[str, Any] = kwargs.pop("schema", None) or kwargs
        self.location = caller()

    @property
    def has_value(self) -> bool:
        return self.value is not _NONE and self.value is not None

    def __repr__(self) -> str:
        return f"Param({'' if self.value is _NONE else repr(self.value)}, schema={self.schema})"

    def __copy__(self) -> Param:
        return Param(self.value, self.description, schema=dict(self.schema))

    def resolve(self, value: Any = _NONE, suppress_exception: bool = False) -> Any:
        """The value, or the one that is given, held to the schema. Raises ParamValidationError, or returns None for what it
        does not take."""
        found = self.value if value is _NONE else value
        try:
            if found is _NONE:
                raise ParamValidationError("No value passed and Param has no default value")
            _check_json(found)
            fault = fault_of(found, self.schema)
            if fault is not None:
                raise ParamValidationError(fault)
        except ParamValidationError:
            if suppress_exception:
                return None
            raise
        self.value = found
        return found

    def dump(self) -> dict[str, Any]:
        """What it says, as a dict."""
        return {
            "value": None if self.value is _NONE else self.value,
            "description": self.description,
            "schema": self.schema,
        }

    serialize = dump


class ParamsDict(MutableMapping[str, Any]):
    """Params by their names; read, they are values."""

    def __init__(self, dict_obj: Mapping[str, Any] | None = None, suppress_exception: bool = False) -> None:
        self._params = {name: as_param(value) for name, value in (_raw(dict_obj) or {}).items()}
        self.suppress_exception = suppress_exception

    def __getitem__(self, key: str) -> Any:
        return self._params[key].resolve(suppress_exception=self.suppress_exception)

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Param) or key not in self._params:
            self._params[key] = as_param(value)
            return
        try:
            self._params[key].resolve(value, self.suppress_exception)
        except ParamValidationError as error:
            raise ParamValidationError(f"Invalid input for param {key}: {error}") from None

    def __delitem__(self, key: str) -> None:
        del self._params[key]

    def __contains__(self, key: object) -> bool:
        # one without a value is there all the same
        return key in self._params

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ParamsDict):
            return self.dump() == other.dump()
        return self.dump() == other if isinstance(other, dict) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.dump())

    def __copy__(self) -> ParamsDict:
        return ParamsDict(self._params, self.suppress_exception)

    def get_param(self, key: str) -> Param:
        """The param itself."""
        return self._params[key]

    def dump(self) -> dict[str, Any]:
        """The values; None for those that their schema does not take."""
        return {name: each.resolve(suppress_exception=True) for name, each in self._params.items()}

    def validate(self) -> dict[str, Any]:
        """The values. Raises ParamValidationError for one that its schema does not take."""
        try:
            return {
                name: each.resolve(suppress_exception=self.suppress_exception) for name, each in self._params.items()
            }
        except ParamValidationError as error:
            raise ParamValidationError(f"Invalid input for a param: {error}") from None


class DagParam:
    """A parameter of a DAG as an argument of its tasks: what `dag.param(...)` and the arguments of a `@dag` function are."""

    def __init__(self, current_dag: DAG, name: str, default: Any = _NONE) -> None:
        default = default.value if isinstance(default, Param) else default
        if default is not _NONE and name not in current_dag.params:
            current_dag.params[name] = default
        self.current_dag = current_dag
        self._name = name
        self._default = default

    @property
    def name(self) -> str:
        """Which of the DAG's params it is."""
        return self._name

    def resolve(self, context: Mapping[str, Any], *_: Any) -> Any:
        """The value in a run."""
        conf: dict[str, Any] = getattr(context.get("dag_run"), "conf", None) or {}
        if self._name in conf:
            return conf[self._name]
        params = context.get("params", {})
        if self._name in params:
            return params[self._name]
        if self._default is not _NONE:
            return self._default
        raise RuntimeError(f"No value could be resolved for parameter {self._name}")

    def __repr__(self) -> str:
        return f"DagParam({self._name!r})"


def as_param(value: Any) -> Param:
    """A param of a value, or the one that it is."""
    return copy.copy(value) if isinstance(value, Param) else Param(value)


def _raw(given: Any) -> Mapping[str, Any] | None:
    return given._params if isinstance(given, ParamsDict) else given  # pyright: ignore[reportPrivateUsage]


def _check_json(value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise ParamValidationError(
            f"All provided parameters must be json-serializable. The value '{value}' is not serializable."
        ) from None


def fault_of(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a value by a JSON schema; None where nothing is."""
    rules = {name: each for name, each in schema.items() if name not in _SHOWN}
    if not rules:
        return None
    from penstock.dialects.airflow.extras import needed

    library = needed("jsonschema", "params with a schema")
    found = next(iter(library.Draft7Validator(rules, format_checker=library.FormatChecker()).iter_errors(value)), None)
    return None if found is None else found.message


#: keywords that only say how a form shows a param
_SHOWN: Final = ("title", "description", "section", "values_display", "examples", "custom_html_form", "description_md")


# Parameters of the pipeline.


def parameters_of(dag: DAG) -> list[inspect.Parameter]:
    """The parameters of a DAG: its params, typed by their schemas or else by their defaults; `conf`; where assets start it,
    what happened to them; and the partition that it is about, where it has them. Raises DefinitionError for a default that its
    schema does not take."""
    from penstock.dialects.airflow.partitions.runs import partition_parameters
    from penstock.dialects.airflow.schedules import has_assets

    found: list[inspect.Parameter] = []
    for name, param in declared(dag).items():
        if param.value is not _NONE and param.value is not None:
            fault = fault_of(param.value, param.schema)
            if fault is not None:
                raise DefinitionError(
                    f"the default of the param {name!r} does not meet its schema: {fault}", where=str(param.location)
                )
        found.append(_parameter(identifier(name), param.value, annotation_of(param)))
    if CONF not in declared(dag):
        found.append(_parameter(CONF, {}, dict[str, Any]))
    if has_assets(dag.schedule):
        found.append(_parameter(ASSET_EVENTS, {}, dict[str, Any]))
    found.extend(partition_parameters(dag, declared(dag)))
    # those that have to be given first, as people expect
    return sorted(found, key=lambda each: each.default is not _NONE)


def declared(dag: DAG) -> dict[str, Param]:
    """The params of a DAG, by their names."""
    return {
        name: value if isinstance(value, Param) else Param(value) for name, value in (_raw(dag.params) or {}).items()
    }


def identifier(name: str) -> str:
    """What the param of a name is called as a parameter: the name, if Python takes it so."""
    found = re.sub(r"\W", "_", name)
    found = found if found and not found[0].isdigit() else f"_{found}"
    return f"{found}_" if keyword.iskeyword(found) else found


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def annotation_of(param: Param) -> Any:
    """The type of a param."""
    options = param.schema.get("enum")
    if isinstance(options, list) and options and all(type(each) in (str, int, bool) for each in _items(options)):
        found: Any = Literal[tuple(_items(options))]  # type: ignore[valid-type]
        return Union[found, None] if param.value is None else found  # noqa: UP007
    named = param.schema.get("type")
    if named is None:
        return _type_of(param.value)
    names = [named] if isinstance(named, str) else _items(named)
    kinds = [_TYPES.get(str(name), Any) for name in names]
    if param.value is None and type(None) not in kinds:
        # as in Airflow: what has no default yet has to be given
        kinds.append(type(None))
    return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007


def _type_of(value: Any) -> Any:
    kinds: Mapping[Any, Any] = {bool: bool, int: int, float: float, str: str, list: list[Any], dict: dict[str, Any]}
    return kinds.get(cast(Any, type(value)), Any)


def _items(value: Any) -> list[Any]:
    return list(cast("Iterable[Any]", value))


def check_given(dag: DAG, values: Mapping[str, Any]) -> None:
    """Hold the parameters of a run, as far as they are known, to the schemas of the params. Raises one ParameterError that
    lists everything that is wrong."""
    from penstock.dialects.airflow.partitions.runs import check_partition

    check_partition(dag, values)
    faults: list[str] = []
    params = declared(dag)
    conf: dict[str, Any] = (values.get(CONF) if CONF not in params and CONF in values else None) or {}
    for name, param in params.items():
        given = identifier(name)
        value: Any = conf[name] if name in conf else values.get(given, _NONE)
        if value is _NONE or (
            value is None and param.value is None and "null" in str(param.schema.get("type", "null"))
        ):
            continue
        fault = fault_of(value, param.schema)
        if fault is not None:
            faults.append(f"{name}: {fault}")
    if faults:
        what = "; ".join(faults)
        raise ParameterError(f"the DAG {dag.dag_id!r} does not take these params: {what}", where=str(dag.location))


def params_in(dag: DAG, own: Mapping[str, Any], given: Given) -> tuple[dict[str, Any], dict[str, Any]]:
    """`params` and `dag_run.conf` in a run, of a DAG's params, those of a task (`own`) and what the run was given.

    What was given goes before what the task says, and that before what the DAG says. Raises ParamValidationError.
    """
    known = declared(dag)
    values = dict(given.params or {})
    conf = dict(values.pop(CONF, None) or {}) if CONF not in known else {}
    merged = ParamsDict(known)
    merged.update(_raw(own) or {})
    for name, param in known.items():
        value = values.get(identifier(name), param.value)
        if value is not _NONE and value != param.value:
            conf.setdefault(name, value)
    for name, value in conf.items():
        merged[name] = value
    return merged.validate(), conf


__all__ = [
    "ASSET_EVENTS",
    "CONF",
    "DagParam",
    "Param",
    "ParamsDict",
    "annotation_of",
    "check_given",
    "declared",
    "identifier",
    "parameters_of",
    "params_in",
]
