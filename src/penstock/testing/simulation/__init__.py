"""The real runtime under a seeded scheduler: virtual time, virtual workers, a store that fails, drivers that die.

A simulation is a pure function of its seed. `simulate` plays one, checks every guarantee on the way, and tells what
happened; see `python -m penstock.testing.simulation --help`.
"""

from penstock.testing.simulation.faults import Faults
from penstock.testing.simulation.plans import Plan
from penstock.testing.simulation.playing import Outcome, Violation, shrunk, simulate

__all__ = ["Faults", "Outcome", "Plan", "Violation", "shrunk", "simulate"]
