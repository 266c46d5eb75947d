from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from object_server import ObjectServer, environment

pytest.register_assert_rewrite("penstock.testing.blobs_conformance")


@pytest.fixture(scope="session")
def object_server() -> Generator[ObjectServer]:
    """An S3 server for all tests, with a bucket `blobs`."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    server = ObjectServer()
    server.bucket("blobs")
    yield server
    server.kill()


@pytest.fixture
def server(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """The S3 server, which this process, and those that it starts, reach with their environment."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    for name, value in environment(object_server.endpoint).items():
        monkeypatch.setenv(name, value)
    return object_server
