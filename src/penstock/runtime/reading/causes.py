"""Why a run was started, as data and in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from penstock.model.firing import AUTOMATING, BACKFILLING
from penstock.model.run import timestamp
from penstock.model.trigger import Cause


def cause_document(cause: Cause | None) -> dict[str, Any] | None:
    """A cause as JSON-able data, times as RFC 3339; None for a person who said nothing of the kind."""
    if cause is None:
        return None
    return {
        "trigger": cause.trigger,
        "key": cause.key,
        "logical_time": None if cause.logical_time is None else timestamp(cause.logical_time),
        "interval": None if cause.interval is None else [timestamp(each) for each in cause.interval],
        "zone": cause.zone,
        "partitions": list(cause.partitions),
        "backfill": cause.backfill,
        "events": cause.events,
        "text": cause_text(cause),
    }


def cause_text(cause: Cause) -> str:
    """`trigger nightly (2026-11-21T01:00:00Z), about 2026-11-21 02:00 CET`, `backfill 20261121-a1b2c3 (2026-11-20)`."""
    key = f" ({cause.key})" if cause.key else ""
    if cause.backfill or cause.trigger.startswith(BACKFILLING):
        who = f"backfill {cause.backfill or cause.trigger.removeprefix(BACKFILLING)}{key}"
    elif cause.trigger.startswith(AUTOMATING):
        who = f"automation of the asset {cause.trigger.removeprefix(AUTOMATING)}{key}"
    elif cause.trigger:
        who = f"trigger {cause.trigger}{key}"
    else:
        who = "a person"
    about = [] if cause.logical_time is None else [_moment(cause.logical_time, cause.zone)]
    about += [f"partition {', '.join(cause.partitions)}"] if cause.partitions else []
    return f"{who}, about {', '.join(about)}" if about else who


def cause_in_short(cause: dict[str, Any] | None) -> str:
    """What started a run, of its document, in a word or two."""
    if cause is None:
        return ""
    if cause["backfill"]:
        return f"backfill {cause['backfill']}"
    return cause["trigger"] or ", ".join(cause["partitions"]) or (cause["logical_time"] or "")


def _moment(seconds: float, zone: str) -> str:
    found = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    return f"{found:%Y-%m-%d %H:%M:%S %Z}" if found.second else f"{found:%Y-%m-%d %H:%M %Z}"


__all__ = ["cause_document", "cause_in_short", "cause_text"]
