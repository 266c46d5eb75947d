"""`python -m benchmarks`: measure what the engine costs, and print one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.processes import Failed
from benchmarks.workloads import FULL, QUICK, WORKLOADS, Sizes


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="measure this alone; repeatable")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a budget was missed")
    return parser.parse_args(arguments)


def _measure(names: Sequence[str], sizes: Sizes) -> tuple[list[Figure], list[str]]:
    """The figures, and the names of the workloads that crashed."""
    figures: list[Figure] = []
    crashed: list[str] = []
    for name in names:
        load = f" (load {os.getloadavg()[0]:.1f})" if hasattr(os, "getloadavg") else ""
        print(f"measuring {name}{load}", file=sys.stderr, flush=True)
        try:
            figures += WORKLOADS[name](sizes)
        except Failed as error:
            crashed.append(name)
            print(f"{name} crashed: {error}", file=sys.stderr, flush=True)
    return figures, crashed


def _machine(sizes: Sizes) -> dict[str, object]:
    return {"python": platform.python_version(), "platform": platform.platform(), "workers": sizes.workers}


def main(arguments: Sequence[str]) -> int:
    """Returns 1 if a workload crashed, or under --strict missed its budget."""
    options = _options(arguments)
    sizes = QUICK if options.quick else FULL
    figures, crashed = _measure(options.only or list(WORKLOADS), sizes)
    print(table(figures))
    if options.json is not None:
        document = {"machine": _machine(sizes), "sizes": sizes._asdict(), "figures": [f.document() for f in figures]}
        options.json.write_text(json.dumps(document | {"crashed": crashed}, indent=2) + "\n", encoding="utf-8")
    missed = any(each.missed for each in figures)
    return 1 if crashed or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
