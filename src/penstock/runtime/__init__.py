"""Carries out what the kernel decides: the loop of a run, its recovery and its record."""
