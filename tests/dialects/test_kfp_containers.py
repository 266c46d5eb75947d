"""Components of Kubeflow in containers: real ones, where there is an engine that works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from penstock.executors.programs.containers import ARGUMENTS, available_engine
from penstock.registering.loading import load_pipeline

pytestmark = pytest.mark.slow

#: of this process alone, so that others who run these tests are not counted
IMAGE = f"localhost/penstock-test-kfp:{os.getpid()}"
_MODEST = "--network=none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000"
_LEFT_OUT = ("site-packages", "test", "tests", "__pycache__", "idlelib", "ensurepip", "lib2to3", "tkinter")


BOXED = """
import os
from typing import Optional

from kfp import dsl
from kfp.dsl import *

IMAGE = os.environ["IMAGE"]

@dsl.container_component
def greet(name: str, flag: bool, items: list, out: OutputPath(str), data: Output[Dataset],
          extra: Optional[str] = None):
    program = "import sys; a = sys.argv[1:]; open(a[0], 'w').write('|'.join(a[2:])); open(a[1], 'w').write('D{}')"
    return dsl.ContainerSpec(image=IMAGE, command=["python3"], args=[
        "-c", program, out, data.path, name, dsl.ConcatPlaceholder(["--flag=", flag]),
        dsl.IfPresentPlaceholder("extra", then=["--extra", extra], else_=["--none"]), items,
    ])

@dsl.container_component
def size(data: Input[Dataset], out: OutputPath(int)):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", "wc -c < $0 > $1"], args=[data.path, out])

@dsl.component
def write(data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("12345")

@dsl.component(base_image=IMAGE)
def inside(n: int, source: Input[Dataset], data: Output[Dataset], metrics: Output[Metrics]) -> str:
    import os

    from kfp.dsl import Dataset

    with open(source.path) as file, open(data.path, "w") as out:
        out.write(file.read() * n)
    metrics.log_metric("times", n)
    return os.environ["GREETING"]

@dsl.pipeline
def boxed(name: str = "Bo{b}"):
    greeted = greet(name=name, flag=True, items=[1, 2])
    size(data=greeted.outputs["data"])
    written = write()
    called = inside(n=2, source=written.output).set_env_variable("GREETING", "hello")
    with dsl.ParallelFor([1]):
        size(data=called.outputs["data"])
    old = dsl.ContainerOp(
        name="old", image=IMAGE, command=["sh", "-c", "echo -n $0 > /tmp/x"], arguments=[f"v-{name}"],
        file_outputs={"x": "/tmp/x"},
    )
    dsl.ContainerOp(name="older", image=IMAGE, command=["echo", old.output])
""".lstrip()


def libraries(binary: Path) -> set[str]:
    told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return {word for word in told.split() if word.startswith("/")}


def image_with_python(file: Path, busybox: str) -> None:
    """A file system with this Python and busybox in it, as a tar archive."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python, library = Path(sys.base_prefix, "bin", version), Path(sys.base_prefix, "lib", version)
    needed = libraries(python)
    with tarfile.open(file, "w") as tar:
        for path in sorted(library.rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".a") and not set(path.parts).intersection(_LEFT_OUT):
                tar.add(path, str(path).lstrip("/"))
                needed |= libraries(path) if path.suffix == ".so" else set()
        for path in [str(python), *sorted(needed)]:
            tar.add(os.path.realpath(path), path.lstrip("/"))
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for name, target in {
            **dict.fromkeys(("sh", "cat", "cp", "wc", "echo"), "busybox"),
            "python3": str(python),
        }.items():
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o777
        tar.addfile(folder)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    engine, busybox = available_engine(), shutil.which("busybox")
    if engine is None or busybox is None:
        pytest.skip("no container engine, or no busybox to make an image from")
    file = tmp_path_factory.mktemp("image") / "root.tar"
    image_with_python(file, busybox)
    subprocess.run([engine, "import", str(file), IMAGE], capture_output=True, timeout=120, check=False)
    file.unlink()
    for arguments in ("--network=none", _MODEST, f"--runtime runc {_MODEST}"):
        tried = subprocess.run(
            [engine, "run", "--rm", *arguments.split(), IMAGE, "python3", "-c", "1"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        if tried.returncode == 0:
            break
    else:
        pytest.skip(f"{engine} cannot run a container here: {tried.stderr.decode()[-200:]}")
    before = os.environ.get(ARGUMENTS)
    os.environ[ARGUMENTS] = arguments
    yield IMAGE
    os.environ.pop(ARGUMENTS)
    if before is not None:
        os.environ[ARGUMENTS] = before
    subprocess.run([engine, "rmi", "--force", IMAGE], capture_output=True, timeout=60, check=False)


def test_components_in_containers(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))
    monkeypatch.setenv("IMAGE", image)
    Path("boxed.py").write_text(BOXED)
    run: Any = load_pipeline("boxed.py").options(executor="inline", progress=False).run()
    run.raise_for_state()
    assert run.task("greet").outputs["out"] == "Bo{b}|--flag=true|--none|[1, 2]"
    assert run.task("size").output == 3
    assert run.task("inside").outputs["Output"] == "hello"
    assert run.task("for-loop-1[0]/size-2").output == 10
    assert run.task("old").output == "v-Bo{b}"
    assert run.metrics == {"times": 2.0}
