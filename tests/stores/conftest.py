from __future__ import annotations

import pytest

from penstock.testing.fixtures import postgres_cluster  # noqa: F401

pytest.register_assert_rewrite(
    "penstock.testing.store_agenda",
    "penstock.testing.store_catalog",
    "penstock.testing.store_claims",
    "penstock.testing.store_collection",
    "penstock.testing.store_compaction",
    "penstock.testing.store_conformance",
    "penstock.testing.store_drivers",
    "penstock.testing.store_firings",
    "penstock.testing.store_journal",
    "penstock.testing.store_races",
    "penstock.testing.store_sharing",
)
