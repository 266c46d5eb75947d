"""What has happened to assets: `inlet_events`, and watchers, which stop only the DAGs that follow them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.dialects.airflow.recorded import happened
from penstock.errors import NotCoveredError
from penstock.registering.loading import load_module, load_pipeline, pipelines_in, reading_of

FILE = """\
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, AssetAlias, task

rows, late, other = Asset("rows", uri="s3://b/rows"), AssetAlias("late"), Asset("other")

with DAG("made", schedule=None):

    @task(outlets=[rows, late])
    def make(n, outlet_events):
        outlet_events[rows].extra = {"n": n}
        outlet_events[late].add(Asset("lately", uri="s3://b/lately"), extra={"n": f"-{n}"})
        return n

    make("{{ params.n }}")
with DAG("told", schedule=None):

    @task(inlets=[rows, late])
    def tell(*, inlet_events):
        found = inlet_events[rows]
        late_ones = inlet_events[late]
        begin = found[-1].timestamp if found else None
        return {
            "rows": [each.extra["n"] for each in found],
            "late": [each.extra["n"] for each in late_ones],
            "newest": [each.extra["n"] for each in found.after(begin).limit(9)] if found else [],
            "turned": [each.extra["n"] for each in inlet_events[0].ascending(False)],
            "sources": sorted({each.source_task_id for each in found}),
            "of": [len(inlet_events), other in inlet_events, rows in inlet_events],
        }

    tell()
    BashOperator(
        task_id="say",
        inlets=[rows],
        bash_command="echo {{ inlet_events.for_asset(uri='s3://b/rows') | map(attribute='extra') | list }}",
    )
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    file = tmp_path / f"history_{tmp_path.name}.py"
    file.write_text(
        FILE.replace('with DAG("made", schedule=None):', 'with DAG("made", schedule=None, params={"n": "0"}):')
    )
    return file


def ran(file: Path, name: str, **parameters: Any) -> Any:
    run = load_pipeline(f"{file}:{name}").options(executor="inline", progress=False, logs=False).run(**parameters)
    run.raise_for_state()
    return run.outputs


@pytest.mark.slow
def test_a_task_is_told_what_has_happened_to_its_inlets(file: Path) -> None:
    nothing = {"rows": [], "late": [], "newest": [], "turned": [], "sources": [], "of": [2, False, True]}
    assert ran(file, "told") == {"tell": nothing, "say": "[]"}
    for n in ("1", "2"):
        ran(file, "made", n=n)
    assert ran(file, "told") == {
        "tell": {
            "rows": ["1", "2"],
            "late": ["-1", "-2"],
            "newest": ["2"],
            "turned": ["2", "1"],
            "sources": ["make"],
            "of": [2, False, True],
        },
        "say": "[{n: 1}, {n: 2}]",
    }


WATCHED = """\
from airflow.sdk import DAG, Asset, AssetWatcher, task
from airflow.providers.standard.triggers.file import DirectoryFileDeleteTrigger, FileDeleteTrigger

watched = Asset("watched", watchers=[AssetWatcher(name="w", trigger=FileDeleteTrigger(filepath="here"))])
flag = DirectoryFileDeleteTrigger(directory="flags", filename="it", poke_interval=1)
also = Asset("also", watchers=[AssetWatcher(name="v", trigger=flag)])


@task
def one():
    return 1


with DAG("following", schedule=[watched, also]):
    one()
with DAG("free", schedule=None):
    one()
"""


def test_watchers_stop_the_dags_that_follow_them(file: Path) -> None:
    unknown = "from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger"
    file.write_text(
        f"{unknown}\n{WATCHED}".replace('FileDeleteTrigger(filepath="here")', 'MessageQueueTrigger(queue="q")')
    )
    found = pipelines_in(load_module(str(file)))
    assert ran(file, "free") == {"one": 1}
    with pytest.raises(
        NotCoveredError, match=r"the watcher 'w' of the asset 'watched' asks .*MessageQueueTrigger"
    ) as caught:
        found["following"].define({})
    assert str(caught.value.where).endswith(f"{file.name}:5")


def test_files_that_watchers_wait_for(file: Path) -> None:
    file.write_text(WATCHED)
    module = load_module(str(file))
    reading = reading_of(module)
    assert reading is not None
    found = reading.triggers
    assert sorted(found) == ["following", "following-v", "following-w"]
    sensors: Any = [found["following-w"], found["following-v"]]
    assert [each.noun.source.every for each in sensors] == [5.0, 1.0]
    assert sensors[0].evaluate(None).skipped == "there is no here"
    Path("flags").mkdir()
    for name in ("here", "flags/it"):
        Path(name).touch()
    told = [each.evaluate(None).skipped for each in sensors]
    assert told == ["here has come: watched was updated", "flags/it has come: also was updated"]
    assert not Path("here").exists()
    assert not Path("flags/it").exists()
    assert sensors[0].evaluate(None).skipped == "there is no here"
    events = [data for _, data in happened("airflow.asset.updated")]
    assert [(each["name"], each["extra"]) for each in events] == [
        ("watched", {"from_trigger": True, "payload": True}),
        ("also", {"from_trigger": True, "payload": {"filepath": "flags/it"}}),
    ]
    condition: Any = found["following"]
    assert len(condition.test([{"type": "airflow.asset.updated", "data": each} for each in events])) == 1
