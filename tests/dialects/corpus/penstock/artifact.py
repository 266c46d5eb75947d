"""A file that one task makes and another one reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from penstock import pipeline, task


@task
def write(lines: int) -> Path:
    file = Path(tempfile.mkdtemp()) / "lines.txt"
    file.write_text("".join(f"line {number}\n" for number in range(lines)))
    return file


@task
def count(file: Path) -> int:
    return len(file.read_text().splitlines())


@pipeline
def artifact(lines: int = 3) -> int:
    return count(write(lines))
