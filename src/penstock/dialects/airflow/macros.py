"""What templates find under `macros`, and files in `airflow.macros`."""

from __future__ import annotations

import importlib
import json
import time
import uuid
from datetime import datetime, timedelta
from random import random
from types import SimpleNamespace
from typing import Any

import dateutil
import yaml

from penstock.dialects.airflow.extras import needed


def ds_add(ds: str, days: int) -> str:
    """A date (`YYYY-MM-DD`) so many days later, or, for a number below 0, earlier."""
    return (datetime.strptime(str(ds), "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d")


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    """A date in another form."""
    return datetime.strptime(str(ds), input_format).strftime(output_format)


def ds_format_locale(ds: str, input_format: str, output_format: str, locale: Any = None) -> str:
    """A date in another form, in the words of a locale (`en_US`). Needs the library babel."""
    found = needed("babel.dates", "dates in the words of a locale", "")
    return found.format_datetime(
        datetime.strptime(str(ds), input_format), format=output_format, locale=locale or found.LC_TIME or "en_US"
    )


def datetime_diff_for_humans(dt: Any, since: Any = None) -> str:
    """How far a moment is from another one, or from now, for people."""
    return needed("pendulum", "moments as Airflow gives them").instance(dt).diff_for_humans(since)


def macros() -> Any:
    """What templates find under `macros`."""
    for part in ("parser", "relativedelta", "rrule", "tz"):
        # `macros.dateutil.relativedelta` is there without an import of its own
        importlib.import_module(f"dateutil.{part}")
    return SimpleNamespace(
        dateutil=dateutil,
        datetime=datetime,
        datetime_diff_for_humans=datetime_diff_for_humans,
        ds_add=ds_add,
        ds_format=ds_format,
        ds_format_locale=ds_format_locale,
        json=json,
        random=random,
        time=time,
        timedelta=timedelta,
        uuid=uuid,
        yaml=yaml,
    )


__all__ = [
    "dateutil",
    "datetime",
    "datetime_diff_for_humans",
    "ds_add",
    "ds_format",
    "ds_format_locale",
    "json",
    "macros",
    "random",
    "time",
    "timedelta",
    "uuid",
    "yaml",
]
