"""Argo Workflows: pipelines are written as manifests."""

from __future__ import annotations

from penstock.dialects import Dialect, Export, Written


def write(export: Export) -> Written:
    """A pipeline as the manifest of a Workflow, or of a CronWorkflow where it has a schedule.

    Raises DefinitionError, naming the node, for what Argo cannot say.
    """
    # PyYAML is not needed before
    from penstock.dialects.argo.writing import written

    return written(export)


DIALECT = Dialect("argo", "Argo Workflows", (), write=write)

__all__ = ["DIALECT", "write"]
