"""The collection beside pipelines that are under way in other processes, without any grace time."""

from __future__ import annotations

import tempfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penstock.app import Services
from penstock.runtime.collecting.retention import retention

if TYPE_CHECKING:
    from running import Project

PIPELINES = """
    import sys
    from pathlib import Path
    import numpy as np
    from penstock import current, pipeline, task

    @task
    def noise(seed: int) -> list:
        # the same arrays again and again, so that what is about to be removed is found and used
        return [np.full(2000, float(seed)), {"half": np.full(1000, float(seed))}]

    @task
    def written(arrays: list) -> Path:
        file = current().folder / "sum.txt"
        file.write_text(f"{arrays[0].sum() + arrays[1]['half'].sum():.0f} " * 2000)
        return file

    @task(cache=False)
    def read(file: Path, arrays: list) -> float:
        return float(file.read_text().split()[-1]) - arrays[0].sum()

    @pipeline
    def sums(seed: int = 0):
        arrays = [noise.options(name=f"noise-{number}")(seed + number) for number in range(3)]
        return [read(written(each), each) for each in arrays]

    for number in range(int(sys.argv[2])):
        run = sums.options(executor=sys.argv[1], workers=2, progress=False).run(seed=number % 4)
        assert run.result == [(number % 4 + each) * 1000.0 for each in range(3)], run.result
        print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "count"), [("inline", 20), ("processes", 25)])
def test_runs_lose_nothing_while_everything_old_is_removed(
    project: Project, monkeypatch: pytest.MonkeyPatch, executor: str, count: int
) -> None:
    project.write("sums.py", PIPELINES)
    monkeypatch.chdir(project.folder)
    # what others that were killed have left in the machine's own is none of this
    scratch = project.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    process = project.start("sums.py", executor, str(count))
    services = Services()
    project.wait_until(lambda: services.has_store, process)
    # of what was recorded, only the run under way and the one before; of the cache, nothing
    kept = retention({"keep": 1, "grace": 0, "cache_older_than": 0})
    removed: Counter[str] = Counter()
    while process.poll() is None:
        with services.store() as store:
            collected = services.collector(store).collect(kept)
        removed.update({name: kind.count for name, kind in collected.kinds.items()})
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.split() == [str(number) for number in range(count)]
    assert removed["runs"] > 0
    assert removed["blobs"] > 0
    assert removed["unfinished"] == 0
    with services.store() as store:
        services.collector(store).collect(kept)
        [last] = store.runs()
        [array, _] = services.values.load(store.attempts(last.run_id, "noise-1")[0].outputs[0])
        assert np.array_equal(array, np.full(2000, (count - 1) % 4 + 1.0))
