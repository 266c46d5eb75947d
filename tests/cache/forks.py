"""A process that has penstock loaded and forks for every run, so that each starts with fresh modules at no cost.

It reads orders and writes answers, each a line of JSON. An order is `{"folder": ..., "target": ..., "flags": [...]}`, where
the target is a file: a script runs itself, a notebook is run cell by cell as notebooks do, anything else is given to
`penstock run` with the flags. The answer is the document of the run, or `{"error": ...}`.
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import runpy
import site
import sys
import traceback
from pathlib import Path
from types import ModuleType

from penstock import cli


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(answer(Path(order["folder"]), order["target"], order["flags"])), flush=True)


def answer(folder: Path, target: str, flags: list[str]) -> object:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        obey(folder, target, flags, write)
    os.close(write)
    with open(read, encoding="utf-8") as names:  # noqa: PTH123 - a pipe
        # what the first run has loaded, the others find there
        for name in names.read().split():
            importlib.import_module(name)
    _, status = os.waitpid(child, 0)
    if status:
        return {"error": (folder / "errors.txt").read_text()}
    return json.loads((folder / "document.json").read_text())


def obey(folder: Path, target: str, flags: list[str], loaded: int) -> None:
    """Run a target, leave the document of the run in the folder, and end this process."""
    known = set(sys.modules)
    code = 0
    redirect(folder / "errors.txt", 1, 2)
    try:
        os.chdir(folder)
        sys.dont_write_bytecode = True
        site.addsitedir("site-packages")
        sys.path.insert(0, str(folder))
        if target.startswith("script"):
            runpy.run_path(target, run_name="__main__")
        elif target.startswith("notebook"):
            run_cells(Path(target).read_text())
        redirect(folder / "document.json", 1)
        if target.startswith(("script", "notebook")):
            command("show", "latest", "--json")
        else:
            command("run", target, "--executor", "inline", "--json", *flags)
        names = [name for name in sys.modules if name not in known and name.startswith("penstock.")]
        os.write(loaded, "\n".join(names).encode())
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def redirect(file: Path, *descriptors: int) -> None:
    sys.stdout.flush()
    opened = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(opened, descriptor)


def command(*arguments: str) -> None:
    """A command of penstock, which must succeed."""
    sys.argv = ["penstock", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise


def run_cells(text: str) -> None:
    """Run a notebook in the module `__main__`: every cell is a source of its own, known to linecache alone."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    for number, cell in enumerate(text.split("# %%\n")):
        file = f"/tmp/ipykernel_1/{number}.py"
        linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
        exec(compile(cell, file, "exec"), vars(module))


if __name__ == "__main__":
    serve()
