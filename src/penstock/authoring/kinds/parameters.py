"""The typed parameters of a pipeline: from annotations, and from the command line, a file or the environment to values.

A value comes from the first of these that has one: `run(name=...)`, `-p name=value`, the configuration file, the
environment variable `PENSTOCK_PARAM_<NAME>`, the default of the function.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from penstock.authoring.kinds.annotations import either, enumerated, kind_of, plain, pydantic_model
from penstock.authoring.kinds.causes import FromCause, check_settled, settled
from penstock.authoring.kinds.conversion import Form, Kind, Mismatch, listed, nearest, shortened
from penstock.authoring.kinds.scalars import NOTHING
from penstock.authoring.source import location_of
from penstock.errors import DefinitionError, ParameterError
from penstock.model.graph import ParameterPort
from penstock.model.place import Location
from penstock.model.trigger import Cause
from penstock.secrets import Secret


class Source(msgspec.Struct, frozen=True):
    """A place that values come from."""

    values: Mapping[str, Any]
    form: Form
    #: how people call the value of a name in it: `-p depth=abc`
    label: Callable[[str], str]


class Signature(msgspec.Struct, frozen=True):
    """The typed parameters of one pipeline function."""

    name: str
    location: Location
    parameters: tuple[ParameterPort, ...]
    kinds: dict[str, Kind]
    #: the defaults themselves; the ports have them as data
    defaults: dict[str, Any]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature:
        """The parameters of a function, by its annotations.

        Raises DefinitionError for `*args`, `**kwargs` and parameters by position only, and for annotations that cannot
        be resolved or are not types.
        """
        function = inspect.unwrap(function)
        declared = _declared(function)
        kinds = {parameter.name: _kind(parameter, function) for parameter in declared}
        defaults = {p.name: p.default for p in declared if p.default is not inspect.Parameter.empty}
        _check_causes(defaults, kinds, function)
        ports = tuple(
            ParameterPort(name, kind.name, name not in defaults, to_json(defaults.get(name)))
            for name, kind in kinds.items()
        )
        return cls(function.__name__, location_of(function), ports, kinds, defaults)

    def resolve(
        self,
        *,
        given: Mapping[str, Any],
        texts: Mapping[str, str] = {},
        config: Mapping[str, Any] = {},
        config_source: str = "",
        environ: Mapping[str, str] = {},
        where: str = "",
        partial: bool = False,
        cause: Cause | None = None,
    ) -> dict[str, Any]:
        """One value of the right type for every parameter, in the order of the function.

        `given` are objects from Python, `texts` come from the command line, `config` is the content of a configuration
        file (`config_source`), `environ` the environment. `where` is the place to name in the message, if it is not
        the pipeline's own. With `partial`, parameters without a value are left out. `cause` is that of the run, for defaults
        that stand for a part of it; None for a run that begins now. Raises one ParameterError that lists everything that is
        wrong.
        """
        sources = (
            Source(given, Form.OBJECT, lambda name: f"{self.name}({name}=...)"),
            Source(texts, Form.TEXT, lambda name: f"-p {name}={shortened(texts[name])}"),
            Source(config, Form.DATA, lambda name: f"{config_source or 'the configuration'}: {name}"),
            Source(self._environment(environ), Form.TEXT, _variable),
            Source(self._defaults(cause, partial), Form.OBJECT, lambda name: f"the default at {self.location}"),
        )
        cause = settled(cause)
        values: dict[str, Any] = {}
        faults: list[str] = []
        for name, kind in self.kinds.items():
            source = next((source for source in sources if name in source.values), None)
            if source is None:
                if not partial:
                    faults.append(f"{name}: missing; it takes {kind.words}")
                continue
            try:
                values[name] = _read(kind, source.values[name], source.form, cause)
            except Mismatch as mismatch:
                label = f"-p {name}=..." if kind.hides() and source.values is texts else source.label(name)
                faults += [f"{name}{path}: {text} ({label})" for path, text in mismatch.problems]
        unknown = self._unknown(sources)
        if faults or unknown:
            missing = not partial and any(not any(name in source.values for source in sources) for name in self.kinds)
            raise self._error([*faults, *unknown], where, self._advice(missing, bool(unknown)))
        return values

    def resolve_part(self, known: Mapping[str, Any], others: Iterable[str], where: str) -> dict[str, Any]:
        """The values that are known of a pipeline that is a part of another one; `others` are parameters that it is given as
        well. Raises ParameterError, and DefinitionError for one that only a run can have a value for."""
        for name in self.defaults.keys() - {*known, *others}:
            check_settled(self.name, name, self.defaults[name])
        return self.resolve(given=known, where=where, partial=True)

    def _defaults(self, cause: Cause | None, partial: bool) -> dict[str, Any]:
        """The defaults; without those that wait for the cause of a run, where it is not known and nothing has to be complete."""
        if cause is not None or not partial:
            return self.defaults
        return {name: value for name, value in self.defaults.items() if not isinstance(value, FromCause)}

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        variables = {name: _variable(name) for name in self.kinds}
        return {name: environ[variable] for name, variable in variables.items() if variable in environ}

    def _unknown(self, sources: Iterable[Source]) -> list[str]:
        return [
            f"{name}: there is no such parameter{nearest(name, self.kinds)} ({source.label(name)})"
            for source in sources
            for name in source.values
            if name not in self.kinds
        ]

    def _advice(self, missing: bool, unknown: bool) -> str | None:
        advice: list[str] = []
        if unknown:
            takes = ", ".join(f"{port.name}: {port.type}" for port in self.parameters) or "no parameters"
            advice.append(f"{self.name} takes {takes}.")
        if missing:
            ways = "-p name=value, in a --config file, as PENSTOCK_PARAM_NAME, or as run(name=...)"
            advice.append(f"Give what is missing with {ways}.")
        return "\n  ".join(advice) or None

    def _error(self, faults: list[str], where: str, advice: str | None) -> ParameterError:
        here = str(self.location)
        declared = f" (declared at {here})" if where and where != here else ""
        what = listed(faults, f"the parameters of {self.name}{declared}")
        return ParameterError(what, where=where or here, remedy=advice)


def _read(kind: Kind, value: Any, form: Form, cause: Cause) -> Any:
    return value.value(kind, cause) if isinstance(value, FromCause) else kind.read(value, form)


def _variable(name: str) -> str:
    return f"PENSTOCK_PARAM_{name.upper()}"


def _declared(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        declared = list(inspect.signature(function).parameters.values())
    except NameError as error:
        # annotations are evaluated at this point from Python 3.14 on
        raise _unresolved(f"the annotations of {function.__name__}()", error, function) from None
    for parameter in declared:
        if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise DefinitionError(
                f"a pipeline has a fixed set of parameters, given by name; {function.__name__}() declares {parameter}"
                + (" by position only" if parameter.kind is inspect.Parameter.POSITIONAL_ONLY else ""),
                where=str(location_of(function)),
                remedy="Declare every parameter by its name, and several values as a list or a dict.",
            )
    return declared


def _kind(parameter: inspect.Parameter, function: Callable[..., Any]) -> Kind:
    """The kind of a parameter; a default of None makes it optional."""
    if parameter.annotation is inspect.Parameter.empty:
        return kind_of(Any)
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(function, "__globals__", {})
    try:
        hint = typing.get_type_hints(holder, names, include_extras=True)[parameter.name]
        kind = kind_of(hint)
    except Exception as error:
        what = f"the annotation of parameter {parameter.name!r} of {function.__name__}()"
        raise _unresolved(what, error, function) from None
    return either(kind, NOTHING) if parameter.default is None and not _takes_none(kind) else kind


def _check_causes(defaults: Mapping[str, Any], kinds: Mapping[str, Kind], function: Callable[..., Any]) -> None:
    """Raise DefinitionError for a parameter that cannot have what its default stands for."""
    for name, default in defaults.items():
        if isinstance(default, FromCause) and not default.fits(kinds[name]):
            raise DefinitionError(
                f"the parameter {name!r} of {function.__name__}() has the default {default!r}, which is a moment, and takes "
                f"{kinds[name].words}",
                where=str(location_of(function)),
                remedy=f"Declare it as {name}: datetime, date or str.",
            )


def _takes_none(kind: Kind) -> bool:
    try:
        kind.read(None, Form.OBJECT)
    except Mismatch:
        return False
    return True


def _unresolved(what: str, error: Exception, function: Callable[..., Any]) -> DefinitionError:
    return DefinitionError(
        f"{what} is not a type that penstock can resolve: {error}",
        where=str(location_of(function)),
        remedy="Define or import the type at the top level of the module, and not only under `if TYPE_CHECKING:`."
        if isinstance(error, (NameError, AttributeError)) or "is not defined" in str(error)
        else None,
    )


def to_json(value: Any) -> Any:
    """The JSON-able form of a value, which `resolve` reads back from a configuration file.

    Secrets become their references; paths, UUIDs and decimals text, dates and times ISO 8601, durations ISO 8601 (`PT5400S`), infinite floats and
    NaN the text `inf`, `-inf`, `nan`; members of an Enum their value (their name, when the value is not a text or a
    number); dataclasses, named tuples and models a dict; sets a sorted list; the keys of a dict text. Any other object
    becomes its repr, which nothing reads back.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, Enum):
        return enumerated(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (int, str)):
        return int(value) if isinstance(value, int) else str(value)
    if isinstance(value, (PurePath, UUID, Decimal)):
        return str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return msgspec.to_builtins(value)
    if isinstance(value, Secret):
        return value.reference
    return _compound_json(value)


def _compound_json(value: Any) -> Any:
    if isinstance(value, FromCause):
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, tuple) and (names := getattr(typing.cast(Any, value), "_fields", None)):
        return dict(zip(names, map(to_json, typing.cast(Iterable[Any], value)), strict=True))
    if isinstance(value, Mapping):
        return {_key(key): to_json(item) for key, item in typing.cast(Mapping[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in typing.cast(Iterable[Any], value)]
    if isinstance(value, (set, frozenset)):
        return sorted(map(to_json, typing.cast(Iterable[Any], value)), key=msgspec.json.encode)
    if (model := pydantic_model()) and isinstance(value, model):
        return _model_json(value)
    return repr(value)


def _model_json(model: Any) -> Any:
    try:
        return to_json(model.model_dump(mode="json", by_alias=True))
    except ValueError:
        # a field that pydantic cannot write as JSON
        return repr(model)


def _key(key: Any) -> str:
    written = to_json(key)
    return written if isinstance(written, str) else plain(written)


def parse_assignments(texts: Sequence[str], option: str = "-p", example: str = "depth=3") -> dict[str, str]:
    """The names and texts of the `name=value` arguments of an option; of a name that is there twice, the last.

    Raises ParameterError for texts without a name and `=`.
    """
    pairs = [text.partition("=") for text in texts]
    bad = [f"{option} {''.join(pair)}" for pair in pairs if not pair[1] or not pair[0].strip()]
    if bad:
        remedy = f"Write {option} name=value, for instance: {option} {example}"
        raise ParameterError(f"not a name and a value: {', '.join(bad)}", remedy=remedy)
    return {name.strip(): value for name, _, value in pairs}
