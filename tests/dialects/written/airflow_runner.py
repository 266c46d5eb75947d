"""Runs all DAGs of a folder on the real Airflow: `airflow_runner.py FOLDER RESULTS.json`.

What the function of a DAG returns is what the file says that the pipeline returns, and Airflow does nothing with it: here
one more task writes it down.
"""

import functools
import json
import os
import sys
from pathlib import Path

FOLDER, RESULTS = Path(sys.argv[1]), Path(sys.argv[2])
HOME = RESULTS.with_suffix(".home")
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(FOLDER),
    AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL",
)

from airflow import sdk  # noqa: E402

real = sdk.dag


def plain(value):
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value]


def recording(*given, **options):
    def decorate(function):
        @functools.wraps(function)
        def recorded(*args, **kwargs):
            returned = function(*args, **kwargs)

            @sdk.task(trigger_rule="all_done")
            def recorded_result(value):
                (HOME / f"{function.__name__}.json").write_text(json.dumps(plain(value)))

            recorded_result(returned)

        return real(*given, **options)(recorded)

    return decorate


sdk.dag = recording

from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: E402
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: E402
from airflow.utils.db import initdb  # noqa: E402

initdb()
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(str(FOLDER), bundle_name="dags-folder")
sync_bag_to_db(bag, "dags-folder", None)
results = {Path(file).stem: {"error": error} for file, error in bag.import_errors.items()}
for dag in bag.dags.values():
    run = dag.test()
    states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
    told = HOME / f"{Path(dag.fileloc).stem}.json"
    outputs = json.loads(told.read_text()) if told.exists() else None
    results[Path(dag.fileloc).stem] = {"state": str(run.state), "states": states, "outputs": outputs}
RESULTS.write_text(json.dumps(results))
