from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "penstock.testing.executor_bench", "penstock.testing.executor_conformance", "penstock.testing.executor_endings"
)
