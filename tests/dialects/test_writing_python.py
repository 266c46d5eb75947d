"""Pipelines as Python code: penstock's own, Airflow's and Prefect's."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from penstock.dialects import Export, Written
from penstock.dialects.code.formatting import Imports, broken, literal
from penstock.dialects.recognition import named
from penstock.errors import DefinitionError
from penstock.model.graph import Graph, PipelineAction
from penstock.model.place import Location
from penstock.registering.exporting import exported
from penstock.registering.loading import load_module, load_pipeline, pipelines_in

SHAPES = Path(__file__).with_name("written") / "shapes.py"
NAMES = [
    node.name
    for node in ast.parse(SHAPES.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any("pipeline" in ast.unparse(each) for each in node.decorator_list)
    and len(node.args.defaults) == len(node.args.args)
]


@functools.cache
def module_of(file: Path) -> ModuleType:
    return load_module(str(file))


def written(file: Path, name: str, dialect: str) -> Written:
    pipeline = pipelines_in(module_of(file))[name]
    write = named(dialect).write
    assert write is not None
    return write(Export(pipeline.define(pipeline.signature.resolve(given={}))))


def graph_of(file: Path, name: str) -> Graph:
    pipeline = pipelines_in(module_of(file))[name]
    return pipeline.define(pipeline.signature.resolve(given={})).graph


def compared(value: Any) -> Any:
    """A part of a graph without where it stands, and without orders that mean nothing."""
    if isinstance(value, Location):
        return None
    if isinstance(value, msgspec.Struct):
        found = {name: compared(getattr(value, name)) for name in value.__struct_fields__ if name != "module"}
        if "nodes" in found:
            found["nodes"] = sorted(found["nodes"], key=lambda node: node["id"])
        if isinstance(getattr(value, "action", None), PipelineAction):
            # how a body is declared; what it consists of is compared
            found |= {"inputs": None, "outputs": None, "description": None}
        return {**found, "kind": type(value).__name__}
    if isinstance(value, dict):
        return {key: compared(each) for key, each in value.items()}
    return [compared(each) for each in value] if isinstance(value, (list, tuple)) else value


Make = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a file with a pipeline `flow`."""
    monkeypatch.chdir(tmp_path)
    count = iter(range(10))

    def make(text: str) -> Path:
        path = tmp_path / f"{tmp_path.name}_{next(count)}.py".replace("-", "_")
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_as_penstock_is_the_same_graph(name: str, tmp_path: Path) -> None:
    made = written(SHAPES, name, "penstock")
    again = tmp_path / f"{name}_again.py"
    again.write_text(made.text)
    assert compared(graph_of(again, name)) == compared(graph_of(SHAPES, name))
    assert {account.grade for account in made.accounts} == {"exact"}


@pytest.mark.parametrize("dialect", ["airflow", "prefect"])
def test_every_node_is_accounted_for(dialect: str) -> None:
    made = written(SHAPES, "nested_maps", dialect)
    assert {account.node for account in made.accounts if account.node} == {
        *("load", "load-2", "fit", "cell", "cell/square", "cell/add")
    }
    ast.parse(made.text)


def test_branches_become_those_of_the_other_system() -> None:
    assert "with elif_(fit_result < 100):" in written(SHAPES, "branches", "penstock").text
    assert "elif fit_result.result() < 100:" in written(SHAPES, "branches", "prefect").text
    airflow = written(SHAPES, "branches", "airflow").text
    assert '@task.branch(task_id="branch_say")' in airflow
    assert 'trigger_rule="none_failed_min_one_success"' in airflow


def test_helpers_and_constants_come_along() -> None:
    text = written(SHAPES, "linear", "airflow").text
    assert "FACTOR = 2\n" in text
    assert "    return value * FACTOR  # read from the module\n" in text
    assert "import math\n" in text
    assert "OFFSETS" not in text
    assert "penstock" not in text


def test_functions_of_modules_of_their_own_are_imported(file: Make, tmp_path: Path) -> None:
    (tmp_path / "steps_of_mine.py").write_text("def clean(text):\n    return text.strip()\n")
    made = written(
        file(
            "import sys\nsys.path.insert(0, '.')\nfrom penstock import pipeline, task\nfrom steps_of_mine import clean\n"
            "cleaned = task(clean)\n@pipeline\ndef flow():\n    return cleaned(' a ')\n"
        ),
        "flow",
        "prefect",
    )
    assert "from steps_of_mine import clean\n" in made.text
    assert "def clean" not in made.text


def test_what_a_nested_function_captures_comes_along_where_it_is_plain(file: Make) -> None:
    source = (
        "from penstock import pipeline, task\n@pipeline\ndef flow():\n    factor = {value}\n    @task\n"
        "    def scale(x: int):\n        return x * factor\n    return scale(2)\n"
    )
    assert "\nfactor = 3\n" in written(file(source.replace("{value}", "3")), "flow", "prefect").text
    with pytest.raises(DefinitionError, match=r"'scale' cannot be written .* captures 'factor'"):
        written(file(source.replace("{value}", "object()")), "flow", "prefect")


def test_lambdas_become_functions(file: Make) -> None:
    text = written(
        file(
            "from penstock import pipeline, task\nadd = task(lambda x: x + 1)\n@pipeline\ndef flow():\n    return add(2)\n"
        ),
        "flow",
        "airflow",
    ).text
    assert "    return x + 1\n" in text


def test_what_needs_the_system_that_it_was_written_for_is_refused(file: Make) -> None:
    source = file(
        "from penstock import current, pipeline, task\n@task\ndef noted():\n    current().log_metric('a', 1)\n"
        "@pipeline\ndef flow():\n    noted()\n"
    )
    with pytest.raises(
        DefinitionError, match=r"'noted' cannot be written for Prefect: its function uses penstock.current"
    ):
        written(source, "flow", "prefect")


def test_skipping_becomes_that_of_airflow(file: Make) -> None:
    source = file(
        "from penstock import Skip, pipeline, task\n@task\ndef odd(n: int = 1):\n    raise Skip('odd')\n"
        "@pipeline\ndef flow():\n    odd()\n"
    )
    assert "from airflow.exceptions import AirflowSkipException as Skip\n" in written(source, "flow", "airflow").text


def test_a_task_that_returns_nothing_is_no_different_in_airflow(file: Make) -> None:
    source = file(
        "from penstock import pipeline, task\n@task\ndef told() -> None:\n    print(1)\n@pipeline\ndef flow():\n    told()\n"
    )
    accounts = written(source, "flow", "airflow").accounts
    assert [(each.node, each.grade, each.how) for each in accounts] == [("told", "exact", "")]


LOGGING = """
from prefect import flow, get_run_logger, task


@task
def add(a: int, b: int) -> int:
    get_run_logger().info("adding %s", a)
    return a + b


@flow
def logged(n: int = 2) -> int:
    return add.submit(n, 3)
"""


@pytest.mark.parametrize("dialect", ["airflow", "argo", "kfp", "penstock", "prefect"])
def test_the_logger_of_a_run_is_that_of_the_standard_library_elsewhere(tmp_path: Path, dialect: str) -> None:
    found = exported_of(tmp_path, f"logged_to_{dialect}", LOGGING, dialect).text
    assert ("from logging import getLogger as get_run_logger\n" in found) == (dialect != "prefect")
    assert "prefect" not in found or dialect == "prefect"


def test_what_a_function_imports_itself_is_replaced_as_well(tmp_path: Path) -> None:
    inside = LOGGING.replace("get_run_logger, task", "task").replace(
        '    get_run_logger().info("adding %s", a)\n',
        "    from prefect.logging import get_run_logger as log\n    if a: from prefect import get_run_logger; log().info(a)\n",
    )
    text = exported_of(tmp_path, "logged_inside", inside, "airflow").text
    assert "\n    from logging import getLogger as log\n" in text
    assert "\n    if a: from logging import getLogger as get_run_logger; log().info(a)\n" in text
    skipping = (
        "from datetime import datetime\nfrom airflow.sdk import dag, task\n\n@task\ndef odd():\n"
        "    from airflow.exceptions import (AirflowFailException,\n        AirflowSkipException as Skip)\n"
        "    raise Skip('é') if True else AirflowFailException\n\n@dag(schedule=None, start_date=datetime(2024, 1, 1))\n"
        "def skipped():\n    odd()\n\nskipped()\n"
    )
    text = exported_of(tmp_path, "skipped_inside", skipping, "penstock").text
    assert "\n    from penstock import Fail as AirflowFailException\n    from penstock import Skip\n    raise" in text


def test_what_mapped_groups_return_in_parts_comes_back(tmp_path: Path) -> None:
    text = written(SHAPES, "mapped_records", "airflow").text
    (tmp_path / "records_back.py").write_text(text)
    nodes = {node.id for node in graph_of(tmp_path / "records_back.py", "mapped_records").nodes}
    assert nodes == {"both", "both.result.all", "both.add.all"}


@pytest.mark.parametrize("dialect", ["penstock", "airflow", "prefect"])
def test_dynamic_pipelines_are_refused_with_their_line(file: Make, dialect: str) -> None:
    source = file(
        "from penstock import pipeline, task\n@task\ndef count() -> int:\n    return 2\n"
        "@pipeline\ndef flow():\n    if count():\n        count()\n"
    )
    with pytest.raises(DefinitionError, match="yet to run") as refused:
        written(source, "flow", dialect)
    assert str(refused.value.where).endswith(":7")


@pytest.mark.parametrize(
    ("body", "dialect", "message"),
    [
        ("    one.options(failure_threshold=1).map([1, 2])", "airflow", "'one' goes on though some of its items"),
        ("    one.options(failure_threshold=1).map([1, 2])", "prefect", "'one' goes on though some of its items"),
        ("    inner.map([[1], [2]])", "airflow", "'one' is mapped inside a body that is mapped"),
        ("    one(object())", "prefect", "'one' is given an object of class builtins.object"),
        ("    with on_exit(last):\n        one(1)", "airflow", "'last' takes penstock's Outcome"),
    ],
)
def test_what_the_target_cannot_say_is_refused(file: Make, body: str, dialect: str, message: str) -> None:
    source = file(
        "from penstock import on_exit, pipeline, task\n@task\ndef one(x):\n    return x\n@task\ndef last(outcome):\n"
        "    return 1\n@pipeline\ndef inner(xs):\n    return one.map(xs)\n@pipeline\ndef flow():\n" + body + "\n"
    )
    with pytest.raises(DefinitionError, match=message):
        written(source, "flow", dialect)


@pytest.mark.parametrize(
    ("option", "dialect", "grade", "how"),
    [
        ("memory='2GB'", "airflow", "changed", "those of the worker"),
        ("retry_on=OSError, retries=1", "prefect", "changed", "retried after any exception"),
        ("retries=3", "airflow", "exact", ""),
        ("pools={'db': 2}", "airflow", "exact", ""),
        ("pools={'db': 2}", "prefect", "changed", "limits of concurrency"),
    ],
)
def test_what_is_different_is_told(file: Make, option: str, dialect: str, grade: str, how: str) -> None:
    source = file(
        f"from penstock import pipeline, task\n@task({option})\ndef one() -> int:\n    return 1\n"
        "@pipeline\ndef flow():\n    one()\n"
    )
    (account,) = [each for each in written(source, "flow", dialect).accounts if each.node == "one"]
    assert account.grade == grade
    assert how in account.how


def test_schedules_are_written(file: Make) -> None:
    source = file(
        "from penstock import cron, pipeline, task, trigger\n@task\ndef one():\n    return 1\n"
        "@pipeline\ndef flow():\n    one()\n"
        'nightly = trigger(flow, cron("0 2 * * *", zone="Europe/Berlin"), missed="all", at_most=1)\n'
    )
    module = load_module(str(source))
    pipeline, nightly = module.flow, module.nightly.named("nightly").noun

    def text(dialect: str) -> str:
        write = named(dialect).write
        assert write is not None
        return write(Export(pipeline.define({}), (nightly,))).text

    assert 'schedule="0 2 * * *"' in text("airflow")
    assert "catchup=True" in text("airflow")
    assert 'tzinfo=ZoneInfo("Europe/Berlin")' in text("airflow")
    assert '.serve(name="nightly", schedule=Cron("0 2 * * *", timezone="Europe/Berlin"), limit=1)' in text("prefect")
    again = load_module(str(file(text("penstock"))))
    assert msgspec.structs.replace(again.nightly.noun, location=None, name="nightly") == msgspec.structs.replace(
        nightly, location=None
    )


def test_commands_and_approvals_come_back_as_they_were(file: Make) -> None:
    source = file(
        "from penstock import approval, command, pipeline, wait_for_duration\n"
        'count = command("wc -c < {path} | tr -d x", outputs=int, retries=2)\n'
        'listing = command(["ls", "{folder}"], inputs={"folder": str}, outputs=list[str], name="listing")\n'
        "@pipeline\ndef flow(path: str = 'a'):\n    size = count(path)\n"
        "    agreed = approval('Ship it?', form={'share': (float, 0.5)}, deadline=60)(size=size)\n"
        "    waited = wait_for_duration(2, after=agreed)\n"
        "    return listing.options(after=waited)(path)\n"
    )
    again = file(written(source, "flow", "penstock").text)
    assert compared(graph_of(again, "flow")) == compared(graph_of(source, "flow"))


def test_records_go_through_airflow_in_parts(file: Make) -> None:
    source = file(
        "from typing import NamedTuple\nfrom penstock import pipeline, task\nclass Two(NamedTuple):\n    a: int\n    b: int\n"
        "@task\ndef two() -> Two:\n    return Two(1, 2)\n@task\ndef one(x: int) -> int:\n    return x\n"
        "@pipeline\ndef flow():\n    return one(two().b)\n"
    )
    made = written(source, "flow", "airflow")
    assert '    return {"a": found.a, "b": found.b}\n' in made.text
    assert '    return one(two_result["b"])\n' in made.text
    assert {account.grade for account in made.accounts if account.node} == {"exact"}


def test_airflow_fails_a_run_though_its_last_task_tolerates_failures(file: Make) -> None:
    source = file(
        "from penstock import pipeline, task\n@task\ndef one():\n    raise ValueError\n@task\ndef last():\n    return 1\n"
        "@pipeline\ndef flow():\n    return last.options(join='all_done', after=one())()\n"
    )
    lines = written(source, "flow", "airflow").text.splitlines()
    assert lines.index("    watched = watcher()") < lines.index("    return last_result")


def test_values_are_written_as_literals() -> None:
    imports = Imports()
    for value in (
        *(None, True, -1, 2.5, "it's", 'say "so"', b"x", (1,), [], {"a": (1, [2])}, {1, 2}, frozenset({3})),
        *(datetime(2026, 1, 2, 3, tzinfo=UTC), date(2026, 1, 2), timedelta(hours=2), Decimal("1.5"), float("inf")),
    ):
        text = literal(value, imports)
        names: dict[str, Any] = {}
        exec(imports.text(), names)
        assert eval(text, names) == value


def test_long_lines_are_broken_in_their_brackets() -> None:
    line = f"found = call({', '.join(f'argument_{n}=value_{n}' for n in range(12))})"
    parts = broken([line])
    assert parts[0] == "found = call("
    assert all(part.endswith(",") for part in parts[1:-1])
    assert ast.dump(ast.parse("\n".join(parts))) == ast.dump(ast.parse(line))
    condition = f"if ({' + '.join(['a_long_name'] * 12)}) > 1:"
    assert ast.dump(ast.parse("\n".join([*broken([condition]), "    pass"]))) == ast.dump(
        ast.parse(f"{condition}\n    pass")
    )


# What only another system has.


ETL = """
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def extract(ti):
    return ti.run_id


with DAG("etl", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    extracted = PythonOperator(task_id="extract", python_callable=extract)
    done = BashOperator(task_id="done", bash_command="echo done")
    extracted >> done
"""
WAITING = """
from prefect import flow, task


@task
def count() -> int:
    return 3


@task(retries=2)
def step(n: int) -> int:
    return n + 1


@flow
def climbing(start: int = 1):
    total = start
    while total < count.submit().result():
        total = step(total)
    return total
"""
NAMED = """
from typing import NamedTuple

from kfp import dsl


@dsl.component
def split(text: str) -> NamedTuple("Parts", [("first", str), ("count", int)]):
    import os

    return (os.environ["PREFIX"] + text.split()[0], len(text.split()))


@dsl.pipeline(name="named")
def named(text: str = "a b") -> str:
    return split(text=text).set_env_variable("PREFIX", ">").outputs["first"]
"""
OUTPUTS = """
from kfp import dsl
from kfp.dsl import Dataset, Output


@dsl.component
def write(data: Output[Dataset]):
    open(data.path, "w").write(data.uri)


@dsl.pipeline(name="outputs")
def outputs():
    write()
"""


def exported_of(tmp_path: Path, name: str, text: str, dialect: str, *, draft: bool = False) -> Any:
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    return exported(load_pipeline(str(file)), dialect, stem="it", draft=draft).written


@pytest.mark.parametrize("dialect", ["penstock", "prefect", "argo", "kfp"])
def test_what_takes_the_context_of_airflow_is_refused_for_that_reason(tmp_path: Path, dialect: str) -> None:
    with pytest.raises(
        DefinitionError, match=r"'extract' cannot .*: it takes Airflow's context, which only Air"
    ) as told:
        exported_of(tmp_path, f"etl_{dialect}", ETL, dialect)
    assert str(told.value.where).endswith(f"etl_{dialect}.py:14")


@pytest.mark.parametrize("dialect", ["penstock", "prefect", "airflow"])
def test_what_takes_artifacts_of_kubeflow_is_refused_for_that_reason(tmp_path: Path, dialect: str) -> None:
    with pytest.raises(DefinitionError, match=r"its function uses data.uri, which a file does not have"):
        exported_of(tmp_path, f"outputs_{dialect}", OUTPUTS, dialect)


def test_what_needs_another_system_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "import prefect\n\n@prefect.task\ndef one():\n    prefect.get_run_logger()\n\n@prefect.flow\ndef f():\n    one()\n"
    with pytest.raises(DefinitionError, match="its function uses prefect, which there is not in Apache") as told:
        exported_of(tmp_path, "logging_flow", text, "airflow")
    assert str(told.value.where).endswith("logging_flow.py:3")


@pytest.mark.parametrize("dialect", ["penstock", "prefect", "airflow"])
def test_components_keep_their_named_outputs_and_variables(tmp_path: Path, dialect: str) -> None:
    text = exported_of(tmp_path, f"named_{dialect}", NAMED, dialect).text
    assert 'with patch.dict(os.environ, {"PREFIX": ">"}):' in text
    assert 'return dict(zip(("first", "count"), split(text=text), strict=True))' in text
    again = tmp_path / f"again_{dialect}.py"
    again.write_text(text)
    run = load_pipeline(str(again)).options(executor="inline", progress=False, home=str(tmp_path / "home")).run()
    made = [each["value"] for task in run.document["tasks"] for each in task["outputs"].values()]
    assert any(each == ">a" or (isinstance(each, dict) and each.get("first") == ">a") for each in made)


def test_a_draft_leaves_what_cannot_be_written_to_be_finished(tmp_path: Path) -> None:
    found = exported_of(tmp_path, "etl_draft", ETL, "penstock", draft=True)
    assert {each.node: each.grade for each in found.accounts} == {"extract": "opaque", "done": "exact"}
    assert "    #     def extract(ti):\n    #         return ti.run_id\n" in found.text
    assert '    #     extracted = PythonOperator(task_id="extract", python_callable=extract)\n' in found.text
    assert "takes Airflow's context" in found.text
    again = tmp_path / "etl_native.py"
    again.write_text(found.text)
    graph = graph_of(again, "etl")
    assert [(node.id, set(node.upstream())) for node in graph.nodes] == [("extract", set()), ("done", {"extract"})]


def test_a_draft_of_a_dynamic_flow_shows_its_body(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="depends on the value of something that has yet to run"):
        exported_of(tmp_path, "climbing_strict", WAITING, "penstock")
    checked = WAITING.replace("    return total\n", "    return total, count.submit().state.is_completed()\n")
    found = exported_of(tmp_path, "climbing_draft", checked, "penstock", draft=True)
    assert [each.grade for each in found.accounts] == ["opaque"]
    assert "    #             total = step(total)\n" in found.text
    assert "@task(retries=2)\ndef step(n: int) -> int:" in found.text
    assert "raise NotImplementedError(" in found.text


@pytest.mark.parametrize("dialect", ["argo", "kfp"])
def test_a_command_that_is_skipped_by_its_exit_code_is_changed(tmp_path: Path, dialect: str) -> None:
    only = ETL.replace("extracted >> done", "").replace("    extracted = Py", "    # Py")
    found = exported_of(tmp_path, f"skipped_{dialect}", only, dialect)
    account = next(each for each in found.accounts if each.node == "done")
    assert (account.grade, "the exit code 99 " in account.how) == ("changed", True)


def test_a_node_does_not_name_what_it_takes_a_result_of_once_more(tmp_path: Path) -> None:
    text = """
from datetime import datetime

from airflow.sdk import dag, task


@task
def one() -> int:
    return 1


@task
def two(number: int) -> int:
    return number


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def twice():
    first = one()
    second = two(first)
    first >> second


twice()
"""
    found = exported_of(tmp_path, "twice", text, "penstock").text
    assert "two(" in found and "after=" not in found


KEPT = """
from datetime import datetime, timedelta
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
from airflow.utils.task_group import TaskGroup

QUERY = "select 1"

def job(text):
    return {"query": {"query": text, "useLegacySql": False}}

with DAG("warehouse", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(minutes=1)}) as dag:
    first = BashOperator(task_id="first", bash_command="true")
    with TaskGroup("load") as group:
        insert = BigQueryInsertJobOperator(
            task_id="insert",  # the job
            configuration=job(QUERY),
            gcp_conn_id='warehouse',
            dag=dag,
        )
    first >> group >> BashOperator(task_id="last", bash_command="true")
"""


def test_operators_that_are_not_known_are_kept_for_airflow(tmp_path: Path) -> None:
    found = exported_of(tmp_path, "warehouse", KEPT, "airflow")

    assert {each.node: each.grade for each in found.accounts} == {
        "first": "exact",
        "load/insert": "opaque",
        "last": "exact",
    }
    (tmp_path / "back.py").write_text(found.text)
    again = graph_of(tmp_path / "back.py", "warehouse")
    assert [(node.id, list(node.after)) for node in again.nodes if node.id != "result"] == [
        ("first", []),
        ("load/insert", ["first"]),
        ("last", ["load/insert"]),
    ]
    assert found.text.strip() == KEPT.strip()
