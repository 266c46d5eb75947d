"""`DagBag`: the DAGs of a folder, for people's own tests, and a run of one from there."""

from __future__ import annotations

import importlib
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, cast

from penstock.dialects.airflow.configuration import conf
from penstock.dialects.airflow.dag import DAG
from penstock.dialects.airflow.exceptions import AirflowDagDuplicatedIdException, AirflowException
from penstock.dialects.foreign import made_in


class FileLoadStat(NamedTuple):
    """What became of a file."""

    file: str
    duration: timedelta
    dag_num: int
    task_num: int
    dags: str


class DagBag:
    """The DAGs of a file or of a folder: by default that of `[core] dags_folder`, or `dags`. A file that cannot be loaded is told
    in `import_errors`; one that does not mention both `dag` and `airflow` is passed over, unless `safe_mode` is off."""

    def __init__(
        self,
        dag_folder: str | os.PathLike[str] | None = None,
        include_examples: Any = None,
        safe_mode: bool = True,
        read_dags_from_db: bool = False,
        load_op_links: bool = True,
        collect_dags: bool = True,
        **_: Any,
    ) -> None:
        self.dag_folder = str(dag_folder or conf.get("core", "dags_folder", fallback="dags"))
        self.dags: dict[str, DAG] = {}
        #: file -> the traceback of what was wrong with it
        self.import_errors: dict[str, str] = {}
        self.dagbag_stats: list[FileLoadStat] = []
        if collect_dags:
            self.collect_dags(self.dag_folder, safe_mode=safe_mode)

    @property
    def dag_ids(self) -> list[str]:
        return list(self.dags)

    def size(self) -> int:
        """How many DAGs there are."""
        return len(self.dags)

    def get_dag(self, dag_id: str, session: Any = None) -> DAG | None:
        """The DAG of an id; None where there is none."""
        return self.dags.get(dag_id)

    def collect_dags(
        self, dag_folder: Any = None, only_if_updated: bool = True, safe_mode: bool = True, **_: Any
    ) -> None:
        """Load the files of a folder."""
        for file in _files(Path(dag_folder or self.dag_folder)):
            if not safe_mode or _mentions(file):
                self.process_file(str(file), safe_mode=False)

    def process_file(self, filepath: str, only_if_updated: bool = True, safe_mode: bool = True) -> list[DAG]:
        """Load a file. Returns its DAGs; none where it cannot be loaded."""
        begun = monotonic()
        if safe_mode and not _mentions(Path(filepath)):
            return []
        try:
            # where files of other systems are loaded
            loading = importlib.import_module("penstock.registering.loading")
            module = loading.load_module(f"airflow+{Path(filepath).absolute()}")
            found = [each for each in made_in(module) if isinstance(each, DAG)]
            for dag in found:
                self.bag_dag(dag)
            loading.pipelines_in(module)
        except Exception:
            self.import_errors[filepath] = traceback.format_exc()
            return []
        length = timedelta(seconds=monotonic() - begun)
        tasks = sum(len(dag.tasks) for dag in found)
        names = str([dag.dag_id for dag in found])
        self.dagbag_stats.append(FileLoadStat(filepath, length, len(found), tasks, names))
        return found

    def bag_dag(self, dag: DAG, root_dag: Any = None) -> None:
        """Take in a DAG. Raises AirflowDagDuplicatedIdException for one of an id that another file has as well."""
        dag.topological_sort()
        other = self.dags.get(dag.dag_id)
        if other is not None and other.fileloc != dag.fileloc:
            raise AirflowDagDuplicatedIdException(
                f"Ignoring DAG {dag.dag_id} from {dag.fileloc} - also found in {other.fileloc}"
            )
        self.dags[dag.dag_id] = dag


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    if not place.is_dir():
        return
    ignored = _ignored(place)
    for file in sorted(place.rglob("*.py")):
        name = file.relative_to(place).as_posix()
        if not any(re.search(each, name) or fnmatch(name, each) for each in ignored):
            yield file


def _ignored(folder: Path) -> list[str]:
    """The patterns of `.airflowignore`: regular expressions, or shell patterns."""
    file = folder / ".airflowignore"
    if not file.is_file():
        return []
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    found = [line for line in lines if line]
    return [each if _is_expression(each) else re.escape(each) for each in found]


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _mentions(file: Path) -> bool:
    content = file.read_bytes().lower()
    return (b"dag" in content or b"asset" in content) and b"airflow" in content


class TestedRun(NamedTuple):
    """A run that a test made: what `dag.test()` gives."""

    state: str
    run_id: str
    dag_id: str
    #: the run as penstock has it
    run: Any

    def get_task_instance(self, task_id: str, map_index: int = -1) -> Any:
        """How a task ended: its `state`, and what it returned as `xcom_pull()`; None for one that there is not."""
        wanted = task_id if map_index < 0 else f"{task_id}[{map_index}]"
        return next((each for each in self.get_task_instances() if each.node == wanted), None)

    def get_task_instances(self, state: Iterable[str] | None = None) -> list[TestedTask]:
        """How all tasks ended, or those that ended so."""
        from penstock.dialects.airflow.states import STATES

        wanted = None if state is None else {str(each) for each in ([state] if isinstance(state, str) else state)}
        found = [TestedTask(each.id, str(STATES.get(each.state, each.state)), each) for each in self.run.tasks]
        return [each for each in found if wanted is None or each.state in wanted]


class TestedTask(NamedTuple):
    """A task of a run that a test made."""

    node: str
    state: str
    task: Any

    @property
    def task_id(self) -> str:
        return self.node.partition("[")[0]

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value") -> Any:
        """What it has handed on under a key."""
        outputs = self.task.outputs
        tables = (cast("Mapping[str, Any]", each) for each in outputs.values() if isinstance(each, Mapping))
        pushed = next((each for each in tables if key in each), None)
        if key != "return_value":
            return None if pushed is None else pushed[key]
        return next(iter(outputs.values()), None)


def run_dag(
    dag: DAG,
    logical_date: datetime | None = None,
    run_conf: Mapping[str, Any] | None = None,
    mark_success_pattern: Any = None,
    **_: Any,
) -> TestedRun:
    """Run a DAG to its end in this process: `dag.test()`. It is recorded in the project as any other run. Raises
    AirflowException for a DAG that no file has."""
    if mark_success_pattern is not None:
        raise AirflowException("mark_success_pattern of dag.test() is not covered by penstock: leave it out")
    file = Path(dag.fileloc).absolute()
    loading = importlib.import_module("penstock.registering.loading")
    module = loading.load_module(f"airflow+{file}")
    pipeline = loading.pipelines_in(module).get(dag.dag_id)
    if pipeline is None:
        raise AirflowException(f"the DAG {dag.dag_id!r} is not among those of {file}")
    known = {each.name for each in pipeline.parameters}
    given = dict(run_conf or {})
    parameters = {name: value for name, value in given.items() if name in known}
    if rest := {name: value for name, value in given.items() if name not in known}:
        parameters["conf"] = rest
    placed = pipeline.options(executor="inline")
    placed = placed if logical_date is None else placed.at(logical_time=logical_date)
    run = placed.run(**parameters)
    return TestedRun("success" if run.state == "succeeded" else "failed", run.run_id, dag.dag_id, run)


__all__ = ["DagBag", "FileLoadStat", "TestedRun", "TestedTask", "run_dag"]
