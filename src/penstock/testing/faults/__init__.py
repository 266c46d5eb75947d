"""Faults at named points, for tests: processes that are killed or stopped there, calls that fail or take long.

    python -m penstock.testing.faults --list
    python -m penstock.testing.faults --at store.commit:after:7 --do kill -- run pipeline.py
    python -m penstock.testing.faults --at blob.write:3 --do ENOSPC -- run pipeline.py

They are put in from outside: penstock itself has no code for them.
"""

from __future__ import annotations

from penstock.testing.faults.injection import Fault, counted, fault, injected, struck
from penstock.testing.faults.points import points

__all__ = ["Fault", "counted", "fault", "injected", "points", "struck"]
