"""DAGs of Airflow that are written for Airflow as they stand: what needs its context, and what else would be changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError
from penstock.registering.exporting import exported, put
from penstock.registering.loading import load_pipeline

TWO = '''\
"""Two DAGs in one file."""

import json
import math
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow import DAG
from airflow.decorators import dag, task
from airflow.operators.bash import BashOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator

COMMON = {"retries": 1, "retry_delay": timedelta(0)}
OTHER = {"a": math.pi}


# for the first
def push(ti, **context):
    ti.xcom_push(key="k", value={"n": 5})
    return context["ds"][:2]


def tell(name, ti, params):
    told = {"word": params["word"], "pulled": ti.xcom_pull(task_ids="push", key="k"), "returned": ti.xcom_pull("push")}
    Path(os.environ["TOLD"], name).write_text(json.dumps(told))


def only_second():
    return OTHER


# what is to be there
with DAG(
    "first",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args=COMMON,
    params={"word": "hey"},
    on_failure_callback=print,
) as first:
    a = PythonOperator(task_id="push", python_callable=push)
    b = BashOperator(task_id="bash", bash_command="echo {{ ti.xcom_pull(task_ids='push', key='k')['n'] }} > $TOLD/bash")
    c = BranchPythonOperator(task_id="choose", python_callable=lambda ti: "yes" if ti.task_id == "choose" else "no")
    yes, no = (
        PythonOperator(task_id=name, python_callable=tell, op_kwargs={"name": "{{ task.task_id }}"}) for name in ("yes", "no")
    )

a >> b >> c >> [yes, no]


# the second
@dag(schedule=None, start_date=datetime(2024, 1, 1))
def second():
    @task
    def got(ti=None):
        return ti.task_id

    got() >> PythonOperator(task_id="other", python_callable=only_second)


second()

if __name__ == "__main__":
    first.test()
'''


def written(file: Path, target: str) -> Any:
    return exported(load_pipeline(f"{file}:{target}"), "airflow").written


@pytest.fixture
def two(tmp_path: Path) -> Path:
    file = tmp_path / f"two_{tmp_path.name}.py".replace("-", "_")
    file.write_text(TWO)
    return file


def test_a_dag_that_needs_the_context_is_written_without_the_others_of_its_file(two: Path) -> None:
    found = written(two, "first")
    assert {(each.grade, each.how) for each in found.accounts} == {("exact", f"as it stands in {two.name}")}
    assert len(found.accounts) == 5
    begin, end = TWO.index("# the second"), TWO.index("if __name__")
    expected = TWO[:begin] + TWO[end:]
    gone = ("import math\n", "from airflow.decorators import dag, task\n", 'OTHER = {"a": math.pi}\n')
    for each in (*gone, "def only_second():\n    return OTHER\n\n\n"):
        expected = expected.replace(each, "")
    assert found.text == expected


def test_the_other_dag_of_the_file_is_written_without_the_first(two: Path) -> None:
    text = written(two, "second").text
    assert "from datetime import datetime\n" in text
    assert "from airflow.operators.python import PythonOperator\n" in text
    assert "OTHER = " in text
    for gone in ("first", "COMMON", "push", "json", "timedelta", "BashOperator"):
        assert gone not in text


def test_dags_of_one_loop_are_written_together_and_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "looped.py"
    file.write_text("""\
from datetime import datetime
from airflow import DAG
from airflow.operators.python import PythonOperator

for name in ("one", "two"):
    with DAG(name, schedule=None, start_date=datetime(2024, 1, 1)):
        PythonOperator(task_id="told", python_callable=lambda ti: ti.task_id)
""")
    found = written(file, "two")
    assert found.text == file.read_text()
    assert [each.how for each in found.accounts if not each.node] == ["the code that makes it makes 'one' as well"]


def test_a_dag_that_another_is_made_with_stays_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "leaning.py"
    file.write_text("""\
from datetime import datetime
from airflow import DAG
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator

with DAG("leant_on", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    EmptyOperator(task_id="empty")

ID = dag.dag_id

with DAG("leaning", schedule=None, start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="told", python_callable=lambda ti: ID)
""")
    found = written(file, "leaning")
    assert found.text == file.read_text()
    assert [each.grade for each in found.accounts if not each.node] == ["equivalent"]


def test_statements_on_one_line_stay_together(tmp_path: Path) -> None:
    file = tmp_path / "dense.py"
    file.write_text("""\
from datetime import datetime; from airflow import DAG
from airflow.operators.empty import EmptyOperator
A = 1; B = 2

with DAG("one", schedule=None, start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="told", retries=A)

with DAG("two", schedule=None, start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="told", retries=B)
""")
    text = file.read_text()
    assert written(file, "two").text == text[: text.index("with")] + text[text.index('with DAG("two"') :]


def test_templates_beside_the_file_go_along(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "say.sh").write_text("echo {{ ds }}")
    file = tmp_path / "templated.py"
    file.write_text("""\
from datetime import datetime
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("templated", schedule=None, start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="say", bash_command="there/say.sh")
""")
    put(written(file, "templated"), tmp_path / "out" / "dag.py")
    assert (tmp_path / "out" / "there" / "say.sh").read_text() == "echo {{ ds }}"
    assert load_pipeline(str(tmp_path / "out" / "dag.py")).name == "templated"


def test_what_depends_on_the_name_of_its_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "named.py"
    file.write_text("""\
from datetime import datetime
from pathlib import Path
from airflow import DAG
from airflow.operators.empty import EmptyOperator

with DAG(Path(__file__).stem, schedule=None, start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="one")
""")
    found = written(file, "named")
    assert found.text == file.read_text()
    assert [each.grade for each in found.accounts if not each.node] == ["changed"]


def test_an_operator_without_its_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "apart.yaml"
    file.write_text("""\
pipeline: {name: apart}
stages:
  query:
    opaque: {dialect: airflow, kind: BigQueryOperator, source: "BigQueryOperator(sql='select 1')"}
""")
    with pytest.raises(DefinitionError, match="only its own file can be written for Airflow"):
        exported(load_pipeline(str(file)), "airflow")


def test_other_systems_still_say_what_needs_the_context(two: Path) -> None:
    with pytest.raises(DefinitionError, match="it takes Airflow's context, which only Airflow has"):
        exported(load_pipeline(f"{two}:first"), "prefect")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_written_as_it_stands_runs_there_as_here(
    peer: Callable[[str], Path], two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "dags"
    folder.mkdir()
    put(written(two, "first"), folder / "first.py")
    told = {name: tmp_path / f"told_{name}" for name in ("here", "there")}
    for each in told.values():
        each.mkdir()
    done = subprocess.run(
        [peer("airflow"), Path(__file__).parent / "written" / "airflow_runner.py", folder, tmp_path / "results.json"],
        env={**os.environ, "TOLD": str(told["there"])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    real = json.loads((tmp_path / "results.json").read_text()) if done.returncode == 0 else done.stderr[-2000:]
    monkeypatch.setenv("TOLD", str(told["here"]))
    run = load_pipeline(str(two) + ":first").options(executor="inline", progress=False, home=tmp_path / "home").run()
    states = {task.id: str(task.state).replace("succeeded", "success") for task in run.tasks}
    assert real == {"first": {"state": "success", "states": states, "outputs": None}}
    files = {name: {file.name: file.read_text() for file in folder.iterdir()} for name, folder in told.items()}
    assert files["here"] == files["there"]
    assert set(files["here"]) == {"bash", "yes"}
