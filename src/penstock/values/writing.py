"""Any value as a file for a program that is not Python's: the format follows the suffix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from penstock.errors import OutputError
from penstock.secrets import Secret, private
from penstock.values.arrays import Arrays, Scalars
from penstock.values.codec import Codec, type_name
from penstock.values.figures import Figures
from penstock.values.frames import Frames
from penstock.values.identity import identify
from penstock.values.jsonable import NotJsonable, jsonable
from penstock.values.models import Estimators


def write(value: Any, path: Path, *, link: bool = False) -> None:
    """Write a value to exactly this path.

    Text and bytes are written as they are, a secret by its value, for this user alone; of a Path, the file or folder that it leads to is copied (with `link`,
    linked). Frames are written as .csv, .parquet or .json (a list of objects), arrays as .npy or .csv, estimators as
    .joblib or .pkl, figures as .png and the like; everything else as .json. Raises OutputError for a suffix that the
    value cannot be written in, and for a file that is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, Path):
        place(value, path, link=link)
    elif isinstance(value, Secret):
        private.write(path, value.reveal().encode())
    elif isinstance(value, str):
        path.write_text(value, encoding="utf-8")
    elif isinstance(value, (bytes, bytearray, memoryview)):
        path.write_bytes(bytes(cast(Any, value)))
    elif path.suffix.lower() == ".json":
        path.write_text(_json(value), encoding="utf-8")
    else:
        _write_by_family(value, path)


def place(source: Path, path: Path, *, link: bool) -> None:
    """Put a file or a folder of the user's at a path, which its folders are made for: a link to it, or a copy."""
    import shutil

    source = source.absolute()
    if not source.exists():
        raise OutputError(f"there is no file or folder {source}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if link:
        path.symlink_to(source)
    elif source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copy(source, path)


def _json(value: Any) -> str:
    records = _records(value)
    if records is not None:
        return records
    try:
        plain = jsonable(value.tolist() if Arrays().accepts(value) or Scalars().accepts(value) else value)
    except NotJsonable:
        raise OutputError(
            f"a value of type {type_name(type(value))} cannot be written as JSON",
            remedy="Turn it into plain data (numbers, text, lists, dicts) in a task before, or choose another suffix.",
        ) from None
    return json.dumps(plain, ensure_ascii=False) + "\n"


def _records(value: Any) -> str | None:
    """A frame as a JSON list of objects; None for anything else."""
    if not Frames(identify).accepts(value):
        return None
    if hasattr(value, "to_json"):
        return value.to_json(orient="records", date_format="iso") if value.ndim == 2 else value.to_json(orient="values")
    listing = next(name for name in ("to_dicts", "to_pylist", "to_list") if hasattr(value, name))
    return json.dumps(jsonable(getattr(value, listing)()), ensure_ascii=False)


def _write_by_family(value: Any, path: Path) -> None:
    families: list[Codec] = [Arrays(), Frames(identify), Estimators(), Figures()]
    family = next((family for family in families if family.accepts(value)), None)
    if family is None:
        raise OutputError(
            f"a value of type {type_name(type(value))} cannot be written to {path.name}",
            remedy="Choose a name that ends in .json, or turn the value into text, bytes or a file in a task before.",
        )
    written = family.export(value, path)
    if written != path:
        written.rename(path)


__all__ = ["place", "write"]
