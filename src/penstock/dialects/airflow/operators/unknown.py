"""Operators that penstock has no counterpart of: their tasks can be shown and written back, and do not run."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.authoring.source import caller
from penstock.dialects.airflow.arguments import ARGUMENTS
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.coverage import Unread, unread
from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.xcomarg import XComArg
from penstock.dialects.uncovered import is_tried
from penstock.errors import NotCoveredError

_OPERATOR = re.compile(r"(Operator|Sensor|Transfer|OperatorAsync|SensorAsync)$")


#: operators that there are others in the place of
_INSTEAD = {"SubDagOperator": "Put its tasks into a TaskGroup, which took its place in Airflow 2."}


class UnknownOperator(BaseOperator):
    """An operator of a provider that is not known. Its arguments are kept as they were given."""

    #: module and name, as the file imports it
    place: tuple[str, str] = ("", "")

    def __init__(self, task_id: str, **kwargs: Any) -> None:
        own = {name: value for name, value in kwargs.items() if name not in (*ARGUMENTS, "dag", "task_group")}
        super().__init__(task_id=task_id, **{name: value for name, value in kwargs.items() if name not in own})
        #: the arguments that are its own
        self.arguments: Mapping[str, Any] = own

    def inputs(self) -> Any:
        yield from XComArg.found_in(dict(self.arguments))

    def reads(self) -> Reads:
        return Reads()

    @property
    def source(self) -> str:
        """The call that made it, as it stands in the file."""
        file = Path(self.location.file)
        try:
            text = file.read_text()
            tree = ast.parse(text)
        except (OSError, SyntaxError):
            return f"{type(self).__name__}(task_id={self.task_id!r})"
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and node.lineno <= self.location.line <= (node.end_lineno or node.lineno)
        ]
        named = [node for node in calls if _name(node.func) == type(self).__name__]
        found = min(named or calls, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)
        return "" if found is None else ast.get_source_segment(text, found) or ""


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def unknown(module: str, name: str) -> Any:
    """What stands for a name that the vocabulary does not have: an operator that does not run, or what stops those who
    use it. Raises NotCoveredError for what is no operator where the file is ready to do without it."""
    if not _OPERATOR.search(name):
        if is_tried():
            raise NotCoveredError(
                f"{module}.{name} is not covered by penstock's reader of Apache Airflow",
                where=str(caller()),
                remedy="Take it out of the file, or write what it does as a task of the file's own.",
            )
        return unread(module, name)
    instead = _INSTEAD.get(name) or _elsewhere(module, name)
    if instead:
        return unread(module, name, instead)
    return type(
        name,
        (UnknownOperator,),
        {
            "place": (module, name),
            "__module__": module,
            "__doc__": inspect.getdoc(UnknownOperator),
            # a function that makes one and lets it execute cannot be run either
            "uncovered": Unread("airflow", f"{module}.{name}"),
        },
    )


def _elsewhere(module: str, name: str) -> str:
    """What is to be done about a name that Airflow itself has in another module, and that is covered there."""
    from penstock.dialects.airflow.vocabulary import vocabulary

    homes = [each for each, names in vocabulary().items() if name in names and each.count(".") > 1]
    if not homes or module.startswith("airflow.providers."):
        return ""
    lowered = name.lower()
    home = min(
        homes,
        key=lambda each: (each.rpartition(".")[2] not in lowered, "contrib" in each, "providers" in each, len(each)),
    )
    return f"Import it from where it is: from {home} import {name}."


__all__ = ["UnknownOperator", "unknown"]
