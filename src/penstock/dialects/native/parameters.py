"""The parameters of a pipeline as those of its function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.authoring.pipeline import Definition
from penstock.dialects import Account
from penstock.dialects.code.annotations import CAUSES, annotation, default
from penstock.dialects.code.formatting import Imports, quoted
from penstock.dialects.code.sources import Sources
from penstock.model.expression import Expression, Parameter, parts
from penstock.model.graph import Node, ParameterPort, PipelineAction

#: parameters that the DAGs of Airflow have, whether they use them or not
_EVERY_DAG = frozenset({"conf", "logical_date", "data_interval_start", "data_interval_end"})


class Parameters:
    """The parameters of a definition. `nodes` are all of its nodes, those of bodies as well."""

    def __init__(self, definition: Definition, nodes: Iterable[Node], imports: Imports, sources: Sources) -> None:
        self._definition = definition
        self._graph = definition.graph
        self._nodes = list(nodes)
        self._imports = imports
        self._sources = sources
        #: what is not as it was
        self.accounts: list[Account] = []

    def texts(self) -> list[str]:
        """The parameters in the order in which they stand."""
        found: list[str] = []
        optional = False
        for port in self._read():
            text = self._parameter(port)
            if "=" in text:
                optional = True
            elif optional and "*" not in found:
                # what comes after a parameter with a default needs none, if it is given by name
                found.insert(0, "*")
            found.append(text)
        return found

    def _read(self) -> list[ParameterPort]:
        """The parameters, without those that every DAG of Airflow's has, where nothing reads them."""
        ports = list(self._graph.parameters)
        if not {port.name for port in ports} >= _EVERY_DAG:
            return ports
        found = [each for node in self._nodes for each in node.expressions()]
        bodies = [task.action for task in self._graph.tasks.values() if isinstance(task.action, PipelineAction)]
        found += [self._graph.result, *(each.result for each in bodies)]
        read = {name for each in found for name in parameters_of(each)}
        return [port for port in ports if port.name not in _EVERY_DAG or port.name in read]

    def _parameter(self, port: ParameterPort) -> str:
        kind = annotation(port.type, self._imports)
        if kind is None:
            kind = self._own_type(port.type)
        if kind is None:
            self.accounts.append(
                Account("", "changed", f"the parameter {port.name} was a {port.type}, which the file does not have")
            )
        noted = f"{port.name}: {kind}" if kind and kind != "Any" else port.name
        if port.required:
            return noted
        value = default(port, self._imports)
        if value is None and isinstance(port.default, str) and port.default.startswith(CAUSES):
            self._imports.name("penstock", port.default.partition("(")[0])
            value = port.default
        if kind == "Secret":
            value = f"Secret({quoted(str(port.default))})"
        return f"{noted} = {value}" if ":" in noted else f"{noted}={value}"

    def _own_type(self, text: str) -> str | None:
        """The name of a class of the user's that the functions know."""
        if text == "Secret":
            return self._imports.name("penstock", "Secret")
        if not text.isidentifier():
            return None
        for task in self._definition.functions.values():
            found = getattr(task.function, "__globals__", {}).get(text)
            if isinstance(found, type):
                return self._sources.reach(task.function, text, task.name)
        return None


def parameters_of(expression: Expression) -> Iterator[str]:
    """The names of the parameters that an expression reads."""
    if isinstance(expression, Parameter):
        yield expression.name
    for part in parts(expression):
        yield from parameters_of(part)


__all__ = ["Parameters", "parameters_of"]
