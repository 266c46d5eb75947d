from __future__ import annotations

from pathlib import Path

import pytest
from asset_project import AssetProject


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetProject:
    """A folder with a file of assets, made in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return AssetProject(tmp_path)
