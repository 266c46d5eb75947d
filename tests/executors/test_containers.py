"""Commands in containers: real ones, where there is an engine that works."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from test_process_executor import process_executor
from test_worker_deaths import wait_until

from penstock.app import open_values, pipeline
from penstock.authoring.task import Task
from penstock.authoring.tasks.commands import CommandTask, command, container, exit_code, file, stdout
from penstock.errors import CommandError, Skip
from penstock.executors.inline import InlineExecutor
from penstock.executors.programs.containers import ARGUMENTS, ENGINES, available_engine
from penstock.model.work import Done, Erred, Program
from penstock.testing.executor_bench import Bench, name_of

#: the long ring: real environments, real containers
pytestmark = pytest.mark.slow

#: of this process alone, so that others who run these tests are not counted
IMAGE = f"localhost/penstock-test-busybox:{os.getpid()}"
#: engines inside a container need these where limits cannot be raised
_MODEST = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000"
_COMMANDS = ("sh", "cat", "echo", "id", "ls", "pwd", "env", "sleep", "touch", "true", "wc")


def image_from_busybox(busybox: str) -> bytes:
    """A file system with nothing but busybox in it, as a tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in _COMMANDS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "etc"):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(made)
    return archive.getvalue()


def ask(*argv: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, capture_output=True, timeout=60, check=False, **more)


@pytest.fixture(scope="module")
def engine() -> Generator[str]:
    """An engine with the image, and the arguments that it needs here; skips where there is none that works."""
    engine = available_engine()
    busybox = shutil.which("busybox")
    if engine is None:
        pytest.skip(f"no container engine is installed ({' or '.join(ENGINES)})")
    if busybox is None or b"static" not in ask("file", "-L", busybox).stdout + ask("ldd", busybox).stderr:
        pytest.skip("no static busybox to make an image from")
    imported = ask(engine, "import", "-", IMAGE, input=image_from_busybox(busybox))
    if imported.returncode != 0:
        pytest.skip(f"{engine} does not work here: {imported.stderr.decode()[-200:]}")
    for arguments in ("", _MODEST, f"--runtime runc {_MODEST}"):
        tried = ask(engine, "run", "--rm", "--network=none", *arguments.split(), IMAGE, "true")
        if tried.returncode == 0:
            break
    else:
        pytest.skip(f"{engine} cannot run a container here: {tried.stderr.decode()[-200:]}")
    before = os.environ.get(ARGUMENTS)
    os.environ[ARGUMENTS] = arguments
    yield engine
    os.environ.pop(ARGUMENTS)
    if before is not None:
        os.environ[ARGUMENTS] = before
    ask(engine, "rmi", "--force", IMAGE)


def contained(*args: Any, **kwargs: Any) -> Task[..., Any]:
    return container(IMAGE, *args, network="none", **kwargs)


def code_of(task: Task[..., Any]) -> Program:
    assert isinstance(task, CommandTask)
    return Program(task.action)


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.mark.usefixtures("engine")
def test_inputs_go_in_and_outputs_come_out(tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("inside\n")
    run = contained(
        "cat {given} {folder}/inside {data}; echo {text}; echo $V; pwd; echo 0.5 > score; exit 3",
        files={"data": "in/data.json"},
        environment={"V": "<{text}>"},
        outputs={"lines": stdout("lines"), "score": file("score", "float"), "score_file": "score", "code": exit_code()},
    )
    wild = "a 'b' $HOME `id`"
    found = run(given=tmp_path / "given.txt", folder=tmp_path / "folder", data=[1, 2], text=wild)
    made = found.pop("score_file")
    assert made.stat().st_uid == os.getuid()
    assert found == {
        "lines": ["given", "inside", "[1, 2]", wild, f"<{wild}>", "/work"],
        "score": 0.5,
        "code": 3,
    }
    shutil.rmtree(made.parent)


@pytest.mark.usefixtures("engine")
def test_a_list_is_given_as_it_is_and_scripts_are_there(tmp_path: Path) -> None:
    (tmp_path / "show.sh").write_text('echo "script: $1"\n')
    run = contained(["sh", "show.sh", "{x}"], reads=[tmp_path / "show.sh"])
    assert run("a  b") == "script: a  b"


@pytest.mark.usefixtures("engine")
def test_exit_codes_of_a_container() -> None:
    with pytest.raises(
        CommandError, match=rf"(?s)test_containers.py.*exit code 4: .* \(in {IMAGE}\)\n  \| wrong"
    ) as caught:
        contained("echo wrong >&2; exit 4")()
    assert caught.value.exit_code == 4
    with pytest.raises(Skip):
        contained("exit 99", skip=[99])()


def test_an_image_that_is_not_there_is_named(engine: str) -> None:
    missing = container("localhost/penstock-no-such-image", "true", network="none", arguments=["--pull=never"])
    with pytest.raises(CommandError, match=rf"{engine} has no image 'localhost/penstock-no-such-image'"):
        missing()


def test_a_machine_without_an_engine_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match=r"there is no container engine here: neither podman nor docker"):
        container("any", "true")()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", ["inline", "processes"])
def test_what_a_container_says_is_told(storage: dict[str, Any], kind: str) -> None:
    values = open_values(storage)
    executor = InlineExecutor(values, {}, {}) if kind == "inline" else process_executor(storage, size=1)
    bench = Bench(executor, values, code_of)
    assert bench.value(contained("echo out; echo err >&2")) == "out"
    assert bench.texts("stdout") == ["out"]
    assert bench.texts("stderr") == ["err"]
    executor.close()


def names(engine: str) -> list[str]:
    told = ask(engine, "ps", "--all", "--filter", f"ancestor={IMAGE}", "--format", "{{.Names}}").stdout.decode()
    return told.split()


@pytest.mark.parametrize("how", ["timeout", "stop", "kill"])
def test_nothing_is_left_of_a_container_whose_attempt_is_ended(
    engine: str, storage: dict[str, Any], tmp_path: Path, how: str
) -> None:
    executor = process_executor(storage, size=1)
    bench = Bench(executor, open_values(storage), code_of)
    try:
        run = contained("echo begun; sleep 600")
        job = bench.job(run)
        if how == "timeout":
            end = bench.end_with(run, {"timeout": 1.5})
            assert isinstance(end, Erred)
            assert end.fault.cause == "timeout"
        else:
            # the only worker there is
            worker = bench.done(command("true")).usage.worker
            bench.submit(job)
            bench.wait_for(lambda: bench.texts("stdout") == ["begun"])
            assert len(names(engine)) == 1
            if how == "stop":
                executor.stop(job)
            else:
                os.kill(worker, signal.SIGKILL)
            assert isinstance(bench.finish()[name_of(job)], Erred)
        wait_until(lambda: names(engine) == [])
    finally:
        executor.close(kill=True)


@pytest.mark.usefixtures("engine")
def test_a_container_is_held_to_its_memory(storage: dict[str, Any]) -> None:
    executor = InlineExecutor(open_values(storage), {}, {})
    bench = Bench(executor, open_values(storage), code_of)
    run = contained("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true")
    end = bench.end_with(run, {"cpu": 0.5}, {"memory": 64 << 20})
    if isinstance(end, Erred):
        assert "cgroup" in end.fault.message
        pytest.skip("limits need control groups, which the engine does not have here")
    assert isinstance(end, Done)
    told = bench.values.load(end.outputs[0])
    assert str(64 << 20) in told.split() or told == ""
    executor.close()


@pytest.mark.usefixtures("engine")
def test_secrets_go_in_by_variables_and_do_not_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # not written here: the source of a pipeline is recorded
    value = os.urandom(8).hex()
    monkeypatch.setenv("FOR_CONTAINERS", value)
    size = contained(
        'echo "it is $TOKEN" >&2; printf %s "$TOKEN" | wc -c',
        secrets={"TOKEN": "env:FOR_CONTAINERS"},
        outputs={"size": stdout("int")},
        name="size",
    )
    told = contained("echo $TOKEN", secrets={"TOKEN": "env:FOR_CONTAINERS"}, outputs={"text": stdout()}, name="told")

    @pipeline
    def inside() -> Any:
        told()
        return size()

    ended = inside.options(executor="inline", home=tmp_path / "state").run()
    assert [task.state for task in ended.tasks] == ["failed", "succeeded"]
    assert ended.task("size").outputs == {"size": 16}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]
