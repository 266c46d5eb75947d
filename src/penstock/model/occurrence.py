"""What happens outside of runs, or to them as a whole, and the conditions over it that start runs.

People call it an event; that word is taken here by what happens within a run (`penstock.model.event`). The attributes are
those of CloudEvents 1.0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: penstock's own events have this source, followed by what they are about
OWN_SOURCE = "penstock"


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `source` and `id` together tell it from all others: what comes twice counts once."""

    id: str
    source: str
    #: such as `run.succeeded`, `asset.materialized`, `com.example.upload`
    type: str
    #: seconds since the epoch
    at: float
    #: what it is about: the name of a pipeline, a path
    subject: str = ""
    #: JSON-able
    data: Any = None


class Where(msgspec.Struct, frozen=True):
    """A condition on one value in the data of an event."""

    #: keys and numbers of places, from the top: `("metrics", "accuracy")`
    path: tuple[str | int, ...]
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in", "matches", "not matches", "exists"]
    value: Any = None


class Pattern(msgspec.Struct, frozen=True, tag="pattern", tag_field="form"):
    """Events of a type, by shell patterns (`*`, `?`), that meet all conditions."""

    type: str
    source: str = "*"
    subject: str = "*"
    where: tuple[Where, ...] = ()
    #: field of the data -> its type, where the author has declared them: `str`, `int`, `float`, `bool`, `list`, `dict`, `any`
    fields: dict[str, str] | None = None
    #: what templates and conditions call it where there are several
    name: str = "event"


class AllOf(msgspec.Struct, frozen=True, tag="all", tag_field="form"):
    """All of several conditions have come to hold, in any order, within so many seconds of each other (None: whenever).
    Then all begin anew."""

    conditions: tuple[Condition, ...]
    within: float | None = None


class InOrder(AllOf, frozen=True, tag="in_order", tag_field="form"):
    """The same, and what happened last of each came in the order in which they stand."""


class AnyOf(msgspec.Struct, frozen=True, tag="any", tag_field="form"):
    """One of several conditions."""

    conditions: tuple[Condition, ...]


class Count(msgspec.Struct, frozen=True, tag="count", tag_field="form"):
    """A condition has come to hold so many times, within so many seconds (None: whenever). Then the count begins anew."""

    condition: Condition
    count: int
    within: float | None = None


class Debounce(msgspec.Struct, frozen=True, tag="debounce", tag_field="form"):
    """A condition has come to hold, and then not again for `quiet` seconds, or for `longest` since the first time."""

    condition: Condition
    quiet: float
    longest: float | None = None


class Absence(msgspec.Struct, frozen=True, tag="absence", tag_field="form"):
    """A condition has come to hold, and then another one has not for so many seconds."""

    after: Condition
    expected: Condition
    within: float


class EachSubject(msgspec.Struct, frozen=True, tag="each_subject", tag_field="form"):
    """A condition over the events of one subject, for each subject by itself."""

    condition: Condition


class Crossing(msgspec.Struct, frozen=True, tag="crossing", tag_field="form"):
    """A number in the data of an event has come to lie above a line, or below one: in the event before of the same subject
    it did not, or there was none before."""

    pattern: Pattern
    path: tuple[str | int, ...]
    above: float | None = None
    below: float | None = None


Condition = Pattern | Crossing | AllOf | InOrder | AnyOf | Count | Debounce | Absence | EachSubject
