from __future__ import annotations

from penstock.testing.fixtures import postgres_cluster

__all__ = ["postgres_cluster"]
