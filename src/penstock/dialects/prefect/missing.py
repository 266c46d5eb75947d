"""What stands for a name of Prefect's that penstock has no counterpart of."""

from __future__ import annotations

from typing import Any

from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.places import Place, is_place
from penstock.dialects.uncovered import Uncovered, is_tried

#: what only Prefect 1 had
_FIRST = {"prefect.Parameter", "prefect.case", "prefect.mapped", "prefect.executors", "prefect.run_configs",
          "prefect.storage", "prefect.triggers", "prefect.engine.signals", "prefect.tasks.core"}  # fmt: skip


def missing(module: str, name: str) -> Any:
    """What stands for a name in a module. Raises NotCoveredError for what only Prefect 1 has, and where the file is ready to
    do without it."""
    from penstock.authoring.kinds.conversion import nearest
    from penstock.dialects.prefect.vocabulary import vocabulary

    full = f"{module}.{name}"
    if any(full == each or full.startswith(f"{each}.") for each in _FIRST):
        raise not_covered(full, "It is of Prefect 1: write the file for Prefect 2 or 3, or for penstock.")
    close = nearest(name, [each for each in vocabulary().get(module, ()) if not each.startswith("_")])
    near = close.removeprefix("; ").capitalize()
    if is_tried():
        raise not_covered(full, near)
    if name == "get_client":
        from penstock.dialects.prefect.client import GetClient

        return GetClient("prefect", full)
    if is_place(module, name):
        return Place("prefect", full)
    return Uncovered("prefect", full, near)


__all__ = ["missing"]
