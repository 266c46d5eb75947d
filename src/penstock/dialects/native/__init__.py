"""penstock's own Python, as a dialect that is written: `penstock convert` shows a file in it."""

from __future__ import annotations

from penstock.dialects import Dialect, Export, Written


def _write(export: Export) -> Written:
    from penstock.dialects.native.writing import write

    return write(export)


DIALECT = Dialect("penstock", "penstock", (), write=_write)
