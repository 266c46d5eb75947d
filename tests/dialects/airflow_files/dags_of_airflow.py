"""Runs all DAGs of a folder on the real Airflow: `dags_of_airflow.py FOLDER RESULTS.json`. Told of each are the states of its
tasks, and what they have returned."""

import json
import os
import sys
from pathlib import Path

FOLDER, RESULTS = Path(sys.argv[1]), Path(sys.argv[2])
os.environ.update(
    AIRFLOW_HOME=str(RESULTS.with_suffix(".home")),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(FOLDER),
    AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL",
)

from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: E402
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: E402
from airflow.models.xcom import XComModel  # noqa: E402
from airflow.utils.db import initdb  # noqa: E402
from airflow.utils.session import create_session  # noqa: E402


def returned(run):
    with create_session() as session:
        rows = session.query(XComModel).filter(XComModel.run_id == run.run_id, XComModel.dag_id == run.dag_id)
        values = [(row, XComModel.deserialize_value(row)) for row in rows if row.key == "return_value"]
        found = {row.task_id: value for row, value in values if row.map_index < 0}
        for row, value in sorted(values, key=lambda each: each[0].map_index):
            if row.map_index >= 0:
                found.setdefault(row.task_id, []).append(value)
    return found


initdb()
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(str(FOLDER), bundle_name="dags-folder")
sync_bag_to_db(bag, "dags-folder", None)
results = {Path(file).stem: {"error": error} for file, error in bag.import_errors.items()}
for dag in bag.dags.values():
    run = dag.test()
    states = {
        each.task_id if each.map_index < 0 else f"{each.task_id}[{each.map_index}]": str(each.state)
        for each in run.get_task_instances()
    }
    results[dag.dag_id] = {"state": str(run.state), "states": states, "returned": returned(run)}
RESULTS.write_text(json.dumps(results))
