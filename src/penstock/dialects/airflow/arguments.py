"""The arguments that every operator of Airflow takes, and what becomes of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

#: why what is only shown has no effect
SHOWN = "it only changes what Airflow's own pages show"
_WHERE = "where a task runs is decided by penstock's executor"


class Argument(NamedTuple):
    """An argument of every operator."""

    default: Any = None
    #: why it has no effect here; empty for one that has
    without_effect: str = ""


#: `retry_delay` where nothing is said, as in Airflow
RETRY_DELAY = timedelta(minutes=5)

ARGUMENTS: dict[str, Argument] = {
    # when a task runs
    "trigger_rule": Argument("all_success"),
    "depends_on_past": Argument(False),
    "wait_for_downstream": Argument(False),
    "ignore_first_depends_on_past": Argument(True, "a first run has none before it"),
    "wait_for_past_depends_before_skipping": Argument(False, "a skipped task is skipped at once"),
    "start_date": Argument(),
    "end_date": Argument(),
    # how it runs
    "retries": Argument(0),
    "retry_delay": Argument(RETRY_DELAY),
    "retry_exponential_backoff": Argument(False),
    "max_retry_delay": Argument(),
    "retry_policy": Argument(),
    "execution_timeout": Argument(),
    "pool": Argument("default_pool"),
    "pool_slots": Argument(1),
    "priority_weight": Argument(1),
    "max_active_tis_per_dag": Argument(),
    "task_concurrency": Argument(),
    "max_active_tis_per_dagrun": Argument(),
    "do_xcom_push": Argument(True),
    "multiple_outputs": Argument(False),
    "params": Argument(),
    "inlets": Argument((), "they order nothing, and only inlet_events tells of them"),
    "outlets": Argument(()),
    # whom it tells
    "email": Argument(),
    "email_on_retry": Argument(True),
    "email_on_failure": Argument(True),
    "on_execute_callback": Argument(),
    "on_failure_callback": Argument(),
    "on_success_callback": Argument(),
    "on_retry_callback": Argument(),
    "on_skipped_callback": Argument(),
    "sla": Argument(),
    "pre_execute": Argument(),
    "post_execute": Argument(),
    # without effect
    "owner": Argument("airflow", SHOWN),
    "weight_rule": Argument("downstream", "priority_weight is taken as it is"),
    "queue": Argument("default", _WHERE),
    "executor": Argument(None, _WHERE),
    "executor_config": Argument(None, _WHERE),
    "run_as_user": Argument(None, "tasks run as the user who runs penstock"),
    "resources": Argument(None, "Airflow itself does nothing with it"),
    "email_on_success": Argument(None, "Airflow itself does nothing with it"),
    "task_display_name": Argument(None, SHOWN),
    "map_index_template": Argument(None, SHOWN),
    "logger_name": Argument(None, "what a task logs is kept with its attempt"),
    "allow_nested_operators": Argument(True, "an operator inside a task is not refused"),
    "doc": Argument(None, SHOWN),
    "doc_md": Argument(None, SHOWN),
    "doc_json": Argument(None, SHOWN),
    "doc_yaml": Argument(None, SHOWN),
    "doc_rst": Argument(None, SHOWN),
    "ui_color": Argument(None, SHOWN),
    "ui_fgcolor": Argument(None, SHOWN),
    "subdag": Argument(None, SHOWN),
    "start_from_trigger": Argument(None, "penstock waits without Airflow's triggerer"),
    "start_trigger_args": Argument(None, "penstock waits without Airflow's triggerer"),
    "render_template_as_native_obj": Argument(),
    "returns_dag_result": Argument(None, "the last tasks of a DAG give the outputs of a run"),
}
