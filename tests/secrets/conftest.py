"""A project of its own for each test, and secrets that no other test has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.secrets import masking


@pytest.fixture(autouse=True)
def secret_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "penstock.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    # what other tests have read makes everything slower
    monkeypatch.setattr(masking, "_known", masking._Known())  # pyright: ignore[reportPrivateUsage]
    return tmp_path


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    """The value of the secret env:CANARY: with a quote, a slash and letters that encodings change."""
    value = f"cànary/'\"{os.urandom(9).hex()}+&=é"
    monkeypatch.setenv("CANARY", value)
    return value
