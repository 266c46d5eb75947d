"""Which runs the real Airflow makes of updates of assets for partitions: its own asset manager and the step of its scheduler,
on a database of its own. Takes the file with the DAGs, and rounds of updates on stdin: lists of the name of an asset, a key, and
when that partition begins, or null."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import AssetModel
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select, update


def known(file: Path) -> SchedulerJobRunner:
    """A scheduler that knows the DAGs of a file."""
    with create_session() as session:
        initdb(session=session)
    bag = DagBag(dag_folder=file.parent, bundle_path=file.parent, bundle_name="dags-folder")
    if bag.import_errors:
        raise SystemExit(str(bag.import_errors))
    with create_session() as session:
        session.merge(DagBundleModel(name="dags-folder"))
    sync_bag_to_db(bag, "dags-folder", None)
    runner = SchedulerJobRunner(Job())
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=False))
        session.add(runner.job)
    return runner


def happens(updates: list[tuple[str, str, str | None]]) -> None:
    with create_session() as session:
        for name, key, date in updates:
            asset = session.scalar(select(AssetModel).where(AssetModel.name == name))
            moment = None if date is None else datetime.fromisoformat(date)
            asset_manager.register_asset_change(asset=asset, partition_key=key, partition_date=moment, session=session)


def runs_from(first: int) -> list[list[Any]]:
    with create_session() as session:
        return [
            [
                run.dag_id,
                run.partition_key,
                None if run.partition_date is None else run.partition_date.isoformat(),
                sorted(event.partition_key for event in run.consumed_asset_events),
            ]
            for run in session.scalars(select(DagRun).order_by(DagRun.id)).all()[first:]
        ]


def main() -> None:
    runner = known(Path(sys.argv[1]))
    answers: list[list[Any]] = []
    for updates in json.load(sys.stdin):
        happens(updates)
        with create_session() as session:
            runner._create_dagruns_for_partitioned_asset_dags(session)
        answers.append(runs_from(sum(map(len, answers))))
    print("ANSWER" + json.dumps(answers))


if __name__ == "__main__":
    main()
