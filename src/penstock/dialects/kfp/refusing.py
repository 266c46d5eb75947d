"""What this reader does not cover, said at the user's line."""

from __future__ import annotations

from typing import Any, NoReturn

from penstock.authoring.source import caller
from penstock.errors import NotCoveredError


def uncovered(what: str, remedy: str = "") -> NotCoveredError:
    """The error that something of Kubeflow has no counterpart here."""
    return NotCoveredError(
        f"{what} is not covered by penstock's reader of Kubeflow Pipelines",
        where=str(caller()),
        remedy=remedy or "Take it out of the file, or write what it does as a component of the file's own.",
    )


def unknown(name: str) -> NotCoveredError:
    """The same, of a name."""
    return uncovered(name)


class Uncovered:
    """A name that may be imported, and not used."""

    def __init__(self, name: str, remedy: str = "") -> None:
        self._name = name
        self._remedy = remedy

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise uncovered(self._name, self._remedy)


#: names of Kubeflow that a file may import and that only its own service has
notebook_component = Uncovered(
    "dsl.notebook_component", "Run the notebook in a component: jupyter nbconvert --execute."
)
run_notebook = Uncovered("dsl.run_notebook", "Run the notebook in a component: jupyter nbconvert --execute.")
CreatePVC = Uncovered("kubernetes.CreatePVC", "Files go between tasks as artifacts; take volumes out of the file.")
DeletePVC = Uncovered("kubernetes.DeletePVC", "Files go between tasks as artifacts; take volumes out of the file.")


__all__ = ["CreatePVC", "DeletePVC", "Uncovered", "notebook_component", "run_notebook", "uncovered", "unknown"]
