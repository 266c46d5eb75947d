"""Imported by the processes that workers come from: puts the faults into them that their driver was started with."""

from penstock.testing.faults.injection import inject_as_told

inject_as_told()
