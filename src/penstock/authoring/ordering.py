"""Order without data: `>>` and `<<`, `chain`, `cross`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

from penstock.authoring.blocks import Block
from penstock.authoring.building import Building, current_building, flat
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.ref import Ref, building_of
from penstock.authoring.source import caller
from penstock.errors import DefinitionError


def ordered(earlier: Any, later: Any) -> Any:
    """Let one ref or group, or a list of these, wait for another. Returns the later. Raises DefinitionError for what
    cannot wait or be waited for."""
    _building_for(earlier, later).order(later, (earlier,))
    return later


def chain(*steps: Any) -> None:
    """Let every step wait for the one before: `chain(a, [b, c], d)`.

    Steps are refs, groups, and lists of these. All of a list wait for the step before, and the step after for all of
    them; two lists in a row are taken in pairs. Raises DefinitionError for lists in a row of different lengths.
    """
    for earlier, later in pairwise(steps):
        if not (isinstance(earlier, (list, tuple)) and isinstance(later, (list, tuple))):
            ordered(earlier, later)
            continue
        ones, others = cast(Sequence[Any], earlier), cast(Sequence[Any], later)
        if len(ones) != len(others):
            raise DefinitionError(
                f"chain() takes two lists in a row in pairs, and they have {len(ones)} and {len(others)} elements",
                where=str(caller()),
                remedy="To let all wait for all, use cross([...], [...]).",
            )
        for one, other in zip(ones, others, strict=True):
            ordered(one, other)


def cross(earlier: Sequence[Any], later: Sequence[Any]) -> None:
    """Let every one of some refs or groups wait for every one of others."""
    ordered(list(earlier), list(later))


def _building_for(*values: Any) -> Building:
    """The building that an order is made in: that of the body which runs now."""
    found = current_building()
    if found is None:
        found = next((building_of(value) for value in flat(values) if isinstance(value, Ref)), None)
    for value in flat(values):
        if not isinstance(value, (Ref, Block)):
            raise DefinitionError(
                f"only the results of tasks, and groups, can be put in order, and this is {shortened(repr(value))}",
                where=str(caller()),
                remedy="Give what calling the task returned: a = load(); a >> save().",
            )
    if found is None:
        raise DefinitionError("nothing is given to put in order", where=str(caller()))
    return found
