from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from penstock.dialects.airflow import dag as dags
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.context import context_of, needs_of
from penstock.dialects.airflow.execution import Given
from penstock.dialects.airflow.templates import is_template, literal, names_of, rendered, templates_of
from penstock.errors import DefinitionError

AT = datetime(2024, 3, 1, 23, 30, tzinfo=UTC)
GIVEN = Given(params={"table": "t"}, logical_date=AT, data_interval_start=AT, data_interval_end=AT)


class Query(BaseOperator):
    template_fields: ClassVar[Sequence[str]] = ("sql", "parts", "nested")
    template_ext: Sequence[str] = (".sql",)

    def __init__(self, *, sql: Any = "", parts: Any = None, nested: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.parts = parts
        self.nested = nested


class Inner:
    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Pair(NamedTuple):
    one: str
    two: str


def query(options: dict[str, Any] | None = None, **fields: Any) -> Query:
    with dags.DAG("d", schedule=None, params={"table": "t"}, **(options or {})):
        return Query(task_id="q", **fields)


def done(operator: Query, given: Given = GIVEN) -> Query:
    return rendered(operator, context_of(operator, given))


def test_fields_are_rendered_throughout_and_the_operator_stays_as_it_is() -> None:
    operator = query(
        sql="{{ ds }} {{ params.table }} {{ macros.ds_add(ds, 2) }}",
        parts=[
            "{{ ds_nodash }}",
            ("{{ ts }}", 1),
            {"{{ key }}": "{{ ts_nodash }}"},
            {"{{ ds }}"},
            Pair("{{ ds }}", "b"),
        ],
        nested=Inner("{{ task.task_id }} in {{ dag.dag_id }}"),
    )
    found = done(operator)
    assert found.sql == "2024-03-01 t 2024-03-03"
    assert found.parts == [
        "20240301",
        ("2024-03-01T23:30:00+00:00", 1),
        {"{{ key }}": "20240301T233000"},
        {"2024-03-01"},
        Pair("2024-03-01", "b"),
    ]
    assert found.nested.text == "q in d"
    assert operator.nested.text.startswith("{{") and operator.sql.startswith("{{")


def test_files_with_templates(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "rows.sql").write_text("select '{{ ds }}' {% include 'part.sql' %}")
    (tmp_path / "sql" / "part.sql").write_text("from {{ params.table }}")
    options = {"template_searchpath": [str(tmp_path / "sql")]}
    operator = query(options, sql="rows.sql", parts=["rows.sql", "plain"], nested={"a": "part.sql"})
    assert templates_of(operator)
    found = done(operator)
    assert found.sql == "select '2024-03-01' from t"
    assert found.parts == [found.sql, "plain"]
    assert found.nested == {"a": "from t"}
    assert names_of(operator).names == {"ds", "params"}
    with pytest.raises(DefinitionError, match=r"absent.sql with a template, of the task 'q', is not there"):
        names_of(query(options, sql="absent.sql"))


def test_native_values_macros_filters_and_options_of_the_dag() -> None:
    native = done(query({"render_template_as_native_obj": True}, sql="{{ [1, 2] }}", parts="{{ params }}"))
    assert native.sql == [1, 2]
    assert native.parts == {"table": "t"}
    own = query(
        {
            "user_defined_macros": {"shout": lambda text: text.upper()},
            "user_defined_filters": {"twice": lambda text: text * 2},
            "jinja_environment_kwargs": {"keep_trailing_newline": True},
        },
        sql="{{ shout('a') | twice }} {{ logical_date | ds_nodash }}\n",
    )
    assert done(own).sql == "AA 20240301\n"
    assert names_of(own).names == {"shout", "logical_date"}


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DefinitionError, match=r"reads 'dss', which no context has.*'ds'") as raised:
        names_of(query(sql="{{ dss }}"))
    assert "test_airflow_templates.py:" in str(raised.value)
    with pytest.raises(DefinitionError, match="cannot be parsed"):
        names_of(query(sql="{{ ds "))
    with pytest.raises(Exception, match="'dict object' has no attribute 'nothing'") as failed:
        done(query(sql="{{ params.nothing }}"))
    assert "template field 'sql' of q" in failed.value.__notes__[0]


def test_what_templates_need_is_known_before() -> None:
    operator = query(
        sql="{{ ti.xcom_pull(task_ids='a') }} {{ task_instance.xcom_pull(['b', 'c'], key='k') }}",
        parts="{{ params.table }} {{ params['other'] }}",
    )
    found = names_of(operator)
    assert found.tasks == {"a", "b", "c"}
    assert found.params == {"table", "other"}
    assert needs_of(found.names) >= {"xcoms", "params"}
    assert names_of(query(sql="{{ ti.xcom_pull(task_ids=params.table) }}")).tasks is None
    assert names_of(query(sql="{% for each in params %}{{ each }}{% endfor %}")).params is None
    assert names_of(query(sql="{{ macros.datetime.now() }} {{ range(3) }}")).names == {"macros"}
    assert needs_of({"macros"}) == frozenset()


def test_constants_need_nothing() -> None:
    assert not templates_of(query(sql="select 1", parts=["a", {"b": 1}], nested=Inner("plain")))
    assert not is_template({"a": Path("x"), "b": str})
    assert is_template({"a": ("{{ ds }}",)})
    operator = query(sql=literal("{{ ds }}"))
    assert done(operator).sql == "{{ ds }}"


def test_a_value_that_holds_itself() -> None:
    around: list[Any] = ["{{ ds }}"]
    around.append(around)
    operator = query()
    operator.parts = around
    assert done(operator).parts[0] == "2024-03-01"
