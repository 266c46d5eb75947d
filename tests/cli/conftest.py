from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Answer, Project, penstock

SAMPLES = Path(__file__).parent / "project"


def with_samples(folder: Path) -> Path:
    """The folder, with the sample pipelines in it."""
    for file in SAMPLES.glob("*.py"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample pipelines, in which nothing has run."""
    return with_samples(tmp_path)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder with a run of every family of values, a second one from the cache, and a failed one; for reading."""
    folder = with_samples(tmp_path_factory.mktemp("project"))
    trained = penstock("run", "training.py", "--json", cwd=folder)
    again = penstock("run", "training.py", "-p", "threshold=0.9", "--json", cwd=folder)
    failed = penstock("run", "steps.py", "-p", "fail=true", "--json", cwd=folder)
    return Project(folder, trained, again, failed)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A folder in which a pipeline with bodies, repeated attempts and fallbacks has run, and what `run` answered."""
    folder = with_samples(tmp_path_factory.mktemp("shapes"))
    return folder, penstock("run", "shapes.py:shapes", "--json", cwd=folder)
