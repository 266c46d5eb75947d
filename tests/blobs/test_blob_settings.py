"""Where blobs are kept, by settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.blobs.cached import CachedBlobs
from penstock.blobs.local import LocalBlobs
from penstock.errors import DefinitionError
from penstock.model.options import RunOptions
from penstock.runtime.surroundings.project import Project, find_project
from penstock.services import Services, open_blobs


def project(folder: Path, settings: str, **environ: str) -> Project:
    (folder / "penstock.toml").write_text(settings)
    return find_project(folder, environ)


def test_blobs_are_in_the_projects_folder_unless_something_else_is_said(tmp_path):
    assert project(tmp_path, "").blobs_url is None
    assert project(tmp_path, 'blobs = "s3://one/x"').blobs_url == "s3://one/x"
    assert project(tmp_path, 'blobs = "s3://one/x"', PENSTOCK_BLOBS="gs://two").blobs_url == "gs://two"


def test_the_cache_has_ten_gigabytes_unless_something_else_is_said(tmp_path):
    assert project(tmp_path, "").blob_cache_size == 10**10
    given = project(tmp_path, 'blob_cache = "500MB"')
    assert given.blob_cache_size == 500 * 10**6
    assert given.blob_cache == tmp_path / ".penstock" / "cache"


@pytest.mark.parametrize("settings", ['blob_cache = "much"', "blob_cache = 5", "blobs = 5", 'blob = "s3://one"'])
def test_settings_that_do_not_fit_are_told(tmp_path, settings):
    with pytest.raises(DefinitionError, match="setting 'blob"):
        project(tmp_path, settings)


def test_the_url_says_what_keeps_blobs(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def kept() -> object:
        return open_blobs(Services(RunOptions()).storage)

    monkeypatch.delenv("PENSTOCK_BLOBS", raising=False)
    assert isinstance(kept(), LocalBlobs)
    monkeypatch.setenv("PENSTOCK_BLOBS", (tmp_path / "shared").as_uri())
    assert isinstance(kept(), LocalBlobs)
    monkeypatch.setenv("PENSTOCK_BLOBS", "nonsense")
    with pytest.raises(DefinitionError, match="no URL for blobs"):
        kept()
    pytest.importorskip("obstore")
    for url in ("s3://bucket/x", "gs://bucket/x", "az://box/x"):
        monkeypatch.setenv("PENSTOCK_BLOBS", url)
        assert isinstance(kept(), CachedBlobs)


def test_workers_are_told_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_BLOBS", "s3://bucket/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    settings = Services(RunOptions()).worker_settings((), {})
    assert "canary-secret" not in repr(settings)
    assert settings.storage["blobs"] == "s3://bucket/x"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "canary-secret"
