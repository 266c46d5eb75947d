"""`PythonSensor`: waits until a function returns something true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from penstock.dialects.airflow.basesensor import BaseSensorOperator, PokeReturnValue
from penstock.errors import DefinitionError


class PythonSensor(BaseSensorOperator):
    """Waits until a function returns something true."""

    template_fields: ClassVar[Sequence[str]] = ("templates_dict", "op_args", "op_kwargs")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: dict[str, Any] | None = None,
        provide_context: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(python_callable):  # pyright: ignore[reportUnnecessaryComparison]
            raise DefinitionError("python_callable has to be a function", where=str(self.location))
        self.python_callable = python_callable
        self.op_args = op_args or []
        self.op_kwargs = op_kwargs or {}
        self.templates_dict = templates_dict

    def poke(self, context: Any) -> bool | PokeReturnValue:
        from penstock.dialects.airflow.context import determine_kwargs

        context["templates_dict"] = self.templates_dict
        given = determine_kwargs(self.python_callable, self.op_args, {**_readable(self, context), **self.op_kwargs})
        found = self.python_callable(*self.op_args, **given)
        return found if isinstance(found, PokeReturnValue) else bool(found)


def _readable(sensor: PythonSensor, context: Any) -> Mapping[str, Any]:
    """What the function takes of the context."""
    import inspect

    shape = inspect.signature(sensor.python_callable).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in shape):
        return dict(context)
    return {each.name: context[each.name] for each in shape if each.name in context}


__all__ = ["PythonSensor"]
