"""Kinds of values: what annotations declare of parameters and outputs, and how values are read as such."""
