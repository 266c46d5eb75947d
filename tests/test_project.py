"""The project as a whole: what the wheel holds, what importing costs, what the tree may not say."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "pandas",
    "numpy",
    "pyarrow",
    "polars",
    "sklearn",
    "scipy",
    "torch",
    "matplotlib",
    "pydantic",
    "rich",
    "click",
    "yaml",
}

#: what only a run needs
FOR_RUNS = (
    "penstock.executors",
    "penstock.fingerprint",
    "penstock.kernel",
    "penstock.observe",
    "penstock.runtime",
    "penstock.stores",
    "penstock.values",
)
#: what is loaded when a pipeline is first called, on top of what msgspec loads
FOR_GRAPHS = {
    "asyncio",
    "dataclasses",
    "inspect",
    "pathlib",
    "penstock.authoring.handlers",
    "penstock.authoring.kinds.parameters",
    "queue",
    "sqlite3",
    "threading",
}

loaded_by_import = """
import sys
import penstock
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    sources = [path for path in (ROOT / "src" / "penstock").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.relative_to(ROOT / "src").as_posix() for path in sources} <= set(names)
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"penstock"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "penstock/py.typed" in archive.namelist()


def test_importing_penstock_loads_no_heavy_library() -> None:
    ran = subprocess.run([sys.executable, "-c", loaded_by_import], check=True, capture_output=True, text=True)
    assert "penstock" in ran.stdout.split()
    assert HEAVY.isdisjoint(ran.stdout.split())


defining = """
import sys
import msgspec
before = set(sys.modules)
from penstock import pipeline, task

@task(retries=2)
def double(n: int) -> int:
    return 2 * n

@pipeline
def twice(n: int = 1) -> int:
    return double(double(n))

print(*sorted(set(sys.modules) - before))
"""


def test_defining_tasks_loads_nothing_that_only_graphs_and_runs_need() -> None:
    ran = subprocess.run([sys.executable, "-c", defining], check=True, capture_output=True, text=True)
    loaded = ran.stdout.split()
    assert "penstock.authoring.task" in loaded
    assert not [name for name in loaded if name.startswith(FOR_RUNS)]
    assert FOR_GRAPHS.isdisjoint(loaded)


def make_environment(folder: Path) -> list[str]:
    """A new virtual environment; returns the command that installs into it."""
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        return [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]


@pytest.mark.slow
def test_the_wheel_works_without_extras(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    install = make_environment(environment)
    subprocess.run([*install, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True)

    python = str(environment / "bin" / "python")
    ran = subprocess.run([python, "-c", loaded_by_import], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert HEAVY.isdisjoint(ran.stdout.split())

    absent = "import importlib.util as u; assert not any(map(u.find_spec, ('pandas', 'numpy', 'sklearn', 'pydantic')))"
    subprocess.run([python, "-c", absent], check=True, cwd=tmp_path)

    version = [str(environment / "bin" / "penstock"), "--version"]
    ran = subprocess.run(version, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert re.search(r"\d+\.\d+\.\d+", ran.stdout)


PUBLIC = [
    *("task", "pipeline", "unmapped", "repeat", "value", "current", "start", "find_run"),
    *("when", "elif_", "otherwise", "switch", "continue_if", "choose", "group"),
    *("chain", "cross", "succeeded", "failed", "skipped", "done", "outcome", "scope", "on_exit"),
    *("wait", "wait_for_time", "wait_for_duration", "wait_for_file", "wait_for_url", "wait_for_artifact", "approval"),
    *("command", "container", "stdout", "file", "exit_code", "Environment"),
    *(
        "Task",
        "Pipeline",
        "Ref",
        "Run",
        "TaskRun",
        "Plan",
        "Replay",
        "Context",
        "HookContext",
        "Outcome",
        "Failure",
        "Approval",
        "Secret",
    ),
    *("Skip", "Fail", "Retry", "TaskTimeoutError", "OutOfMemoryError", "SkippedError", "NondeterministicError"),
    *("PenstockError", "DefinitionError", "ParameterError", "TargetError", "NotFoundError", "RunFailedError"),
    *("WorkerLostError", "OutputError", "CancelledError", "StoreError", "ArtifactMissingError"),
    *("ArtifactDamagedError", "SchemaError", "SecretError", "UntrustedError"),
    *("cron", "every", "recurring", "once", "together", "calendar", "Schedule"),
    *("trigger", "Trigger", "sensor", "Sensor", "RunRequest", "SensorResult", "Cause", "files", "objects", "rows"),
    *("event", "all_of", "any_of", "count_of", "debounce", "run_ends", "artifact_made", "model_promoted"),
    *("in_order", "absence_of", "each_subject"),
    *("metric_crosses", "asset_updated", "logical_time", "interval_start", "interval_end", "partition", "emit"),
    *("asset", "Asset", "external_asset", "upstream", "fresh_by", "CheckOutcome", "materialize", "load_asset"),
    *(
        "wait_for_asset",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "partitioned_by_cron",
        "static",
        "dynamic",
        "dimensions",
    ),
    *("same", "last", "backfill", "by_time", "all_partitions"),
    *("eager", "when_ready", "when_missing", "on_schedule", "on_code_change"),
]


def test_every_public_name_is_there() -> None:
    penstock = importlib.import_module("penstock")
    assert sorted(penstock.__all__) == sorted(PUBLIC)
    # each has one home
    assert sorted(name for names in penstock._HOMES.values() for name in names) == sorted(PUBLIC)
    assert [name for name in PUBLIC if getattr(penstock, name).__module__.partition(".")[0] != "penstock"] == []
    assert set(dir(penstock)) == {*PUBLIC, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'pipelines'"):
        _ = penstock.pipelines


def tracked_texts() -> list[tuple[str, str]]:
    """Path and text of every file that is in git, or would be if all were added."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = [(name, ROOT / name) for name in listed]
    return [(name, path.read_text(encoding="utf-8", errors="replace")) for name, path in files if path.is_file()]


def machine_paths() -> re.Pattern[str]:
    """Where people keep their own things, and where this checkout and this user's are."""
    known = r"/(?:home|Users|root|opt)/\w"
    here = [re.escape(str(place)) for place in (ROOT, Path.home()) if len(place.parts) > 2]
    return re.compile(rf"(?<![\w.-])(?:{'|'.join([known, *here])})")


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    machine = machine_paths()
    found = [f"{name}: {hit[0]}" for name, text in tracked_texts() for hit in machine.finditer(text)]
    assert found == []


def test_pinned_versions_name_no_index_and_no_file() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pin = re.compile(r"[a-z0-9._-]+==[\w.]+( ; [\w. <>='*!]+)?")
    assert lines
    assert [line for line in lines if not pin.fullmatch(line)] == []
