"""Watching runs: what is shown, told and measured of them while they happen."""
