import json
import os
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, BaseOperator, Param, get_current_context

OUT = os.environ.get("CTX_OUT", "out")


def write(name, found):
    Path(f"{OUT}-{name}.json").write_text(json.dumps(found, default=written, sort_keys=True))


def written(value):
    return list(value) if hasattr(value, "__iter__") else str(value)


class Show(BaseOperator):
    template_fields = ("fields", "native_like")
    template_ext = (".tpl",)

    def __init__(self, *, fields=None, native_like=None, **kwargs):
        super().__init__(**kwargs)
        self.fields = fields
        self.native_like = native_like

    def execute(self, context):
        write(self.task_id, [self.fields, self.native_like])
        return "shown"


def look(**context):
    ti = context["ti"]
    ti.xcom_push(key="k", value={"a": [1, 2]})
    found = {
        name: str(context[name])
        for name in (
            "ds",
            "ds_nodash",
            "ts",
            "ts_nodash",
            "ts_nodash_with_tz",
            "logical_date",
            "data_interval_start",
            "data_interval_end",
            "prev_data_interval_start_success",
            "task_instance_key_str",
            "params",
        )
    }
    found |= {
        "try": ti.try_number,
        "map_index": ti.map_index,
        "task_id": ti.task_id,
        "dag_id": ti.dag_id,
        "conf": context["dag_run"].conf,
        "run_type": str(context["dag_run"].run_type.value),
        "types": [type(context[name]).__name__ for name in ("logical_date", "ds", "params")],
        "text": context["logical_date"].to_iso8601_string(),
        "inlets": context["inlets"],
    }
    write("look", found)
    return {"x": 1, "y": [1, 2]}


def pull():
    ti = get_current_context()["ti"]
    found = [
        ti.xcom_pull(task_ids="look"),
        ti.xcom_pull("look", key="k"),
        ti.xcom_pull(["look", "show"]),
        ti.xcom_pull("nobody"),
        ti.xcom_pull(task_ids="many"),
        ti.xcom_pull(task_ids="many", map_indexes=1),
        ti.xcom_pull(task_ids="many", map_indexes=[2, 0]),
        ti.xcom_pull(task_ids=["many"], map_indexes=[0]),
        ti.xcom_pull(task_ids="look", map_indexes=3, default="-"),
    ]
    write("pull", found)


def times(n):
    return n * 10


with DAG(
    "ctx",
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2024, 1, 1, tz="Europe/Berlin"),
    params={"n": Param(3, type="integer"), "name": "x y", "deep": {"a": [1, {"b": 2}]}},
    user_defined_macros={"shout": lambda text: text.upper(), "limit": 5},
    user_defined_filters={"twice": lambda text: text * 2},
    template_searchpath=[str(Path(__file__).resolve().parent)],
) as dag:
    a = PythonOperator(task_id="look", python_callable=look)
    b = Show(
        task_id="show",
        fields={
            "plain": "no template",
            "ds": "{{ ds }}",
            "date": "{{ logical_date.strftime('%d.%m.%Y') }}",
            "macros": "{{ macros.ds_add(ds, 3) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%j') }} {{ macros.datetime(2024, 1, 1) + macros.timedelta(days=1) }}",
            "params": "{{ params.n + 1 }} {{ params['name'] | upper }} {{ params.deep.a[1].b }} {{ params }}",
            "xcom": "{{ ti.xcom_pull(task_ids='look') }} {{ task_instance.xcom_pull('look', key='k')['a'] | join(',') }}",
            "filters": "{{ logical_date | ds }} {{ logical_date | ts_nodash }} {{ data_interval_end | ts }} {{ 'ab' | twice }}",
            "own": "{{ shout('a') }}{{ limit }}",
            "loop": "{% for each in params.deep.a %}[{{ each }}]{% endfor %}",
            "nested": [["{{ ds }}", {"k": "{{ ts }}"}], "{{ dag.dag_id }}.{{ task.task_id }}"],
            "conf": "{{ dag_run.conf.get('more', 'none') }}",
            "file": "text.tpl",
            "math": "{{ 7 // 2 }} {{ none }} {{ true }}",
            "interval": "{{ (data_interval_end - data_interval_start).total_seconds() }}",
            "add": "{{ logical_date.add(days=1).to_date_string() }} {{ logical_date.subtract(months=1).format('YYYY-MM') }}",
        },
        native_like=("{{ ds_nodash }}", "b"),
    )
    m = PythonOperator.partial(task_id="many", python_callable=times).expand(op_args=[[1], [2], [3]])
    p = PythonOperator(task_id="pull", python_callable=pull)
    a >> b >> p
    m >> p

if __name__ == "__main__":
    dag.test(logical_date=pendulum.datetime(2024, 5, 5, 10, 30, tz="UTC"), run_conf={"n": 7, "more": "m"})
