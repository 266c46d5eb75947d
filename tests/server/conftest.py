from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sender import Endpoint

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Endpoint]:
    """A project whose endpoints are open; the settings are those of `Endpoint`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK_SECRET", "canary-hook")
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    with ExitStack() as stack:
        yield Endpoint(tmp_path, stack)
