"""Secrets: named where they are used, read where they are needed, and masked in all that is told.

What travels, in graphs, journals, parameters and jobs, is a reference. The value is only ever in the process that reads
it, and that process keeps it out of what it hands on.
"""

from penstock.secrets.secret import Secret

__all__ = ["Secret"]
