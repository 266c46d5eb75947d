"""Looks for a value in everything that was written, in all the ways in which it could stand there."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from pathlib import Path
from urllib.parse import quote, quote_plus


def disguises(value: str) -> dict[str, bytes]:
    """The value as it could stand in a file, written here anew rather than taken from what is tested."""
    data = value.encode()
    found: dict[str, bytes] = {
        "as it is": data,
        "in JSON": json.dumps(value)[1:-1].encode(),
        "in JSON, UTF-8": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "in a repr": repr(value)[1:-1].encode(),
        "in a URL": quote(value, safe="").encode(),
        "in a query": quote_plus(value).encode(),
        "in HTML": html.escape(value).encode(),
        "in hexadecimal": data.hex().encode(),
        "in upper hexadecimal": data.hex().upper().encode(),
    }
    for before in range(3):
        # what stays the same whatever comes before and after
        text = base64.b64encode(b"." * before + data + b"...")
        found[f"in base64 after {before}"] = text[4 if before else 0 : (before + len(data)) // 3 * 4]
    return found


def leaks(root: Path, value: str, *texts: str) -> list[str]:
    """Where the value is in the files under a folder, in the rows of databases there, or in texts."""
    found: list[str] = []
    wanted = disguises(value)

    def look(place: str, data: bytes) -> None:
        found.extend(f"{place}: {how}" for how, disguise in wanted.items() if disguise in data)

    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            look(str(path.relative_to(root)), path.read_bytes())
            look(f"the name of {path.relative_to(root)}", path.name.encode())
        if path.suffix == ".db":
            look(f"the rows of {path.name}", _rows(path))
    for number, text in enumerate(texts):
        look(f"text {number}", text.encode())
    return found


def _rows(path: Path) -> bytes:
    """All that is in a database, one value after the other: what SQLite spreads over pages is whole here."""
    parts: list[bytes] = []
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                parts += [each if isinstance(each, bytes) else str(each).encode() for each in row]
    connection.close()
    return b"\n".join(parts)


__all__ = ["disguises", "leaks"]
