"""Holds every file to 600 lines and every function to 50. Prints what is over, as `file:line name lines`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LIMIT = 600
FUNCTION_LIMIT = 50


def findings(path: Path) -> Iterator[str]:
    """One line for the file if it is too long, and one for every function in it that is."""
    source = path.read_text(encoding="utf-8")
    length = len(source.splitlines())
    if length > FILE_LIMIT:
        yield f"{path}:1 (file) {length} lines, at most {FILE_LIMIT}"
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LIMIT:
                yield f"{path}:{node.lineno} {node.name} {length} lines, at most {FUNCTION_LIMIT}"


def main(folders: list[str]) -> int:
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    found = [line for path in files for line in findings(path)]
    print("\n".join(found) if found else f"{len(files)} files, none too long")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
