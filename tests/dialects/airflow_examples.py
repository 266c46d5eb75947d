"""The DAGs that come with Apache Airflow as examples, as they stand: what becomes of each.

`python tests/dialects/airflow_examples.py FOLDER` runs those in the installation of Airflow in a folder (`site-packages/airflow`)
and writes docs/dialects_airflow_examples.md; the test says when that is out of date.
"""

from __future__ import annotations

import ast
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "dialects_airflow_examples.md"
FOLDERS = ("example_dags", "providers/standard/example_dags", "providers/common/sql/example_dags")
#: seconds for a DAG
PATIENCE = 60
#: how many files are taken at the same time
AT_ONCE = 2

#: DAGs that are read and not run, with the reason
APART = {
    "child_dag": "it asks a service in the network",
    "example_external_task": "it waits for a DAG of another file, which nobody starts",
    "example_external_task_marker_child": "it waits for a DAG that somebody has to start",
    "example_retry_policy": "it asks a service in the network, again and again",
    "example_sensors": "it waits for minutes",
    "example_time_delta_sensor_async": "it waits for half a minute",
}
#: why others fail as they do
REASONS = {
    "example_failed_dag": "it is there to fail",
    "example_params_ui_tutorial": "a parameter without a default has to be given",
    "example_passing_params_via_test_command": "its template needs a param that only `airflow tasks test` gives; so in Airflow",
    "read_asset_event_from_classic": "nothing has happened to its inlet yet; so in Airflow",
    "example_trigger_controller_dag": "the DAG that it triggers is in another folder, and not registered",
}


class Found(NamedTuple):
    """What became of a DAG; of a whole file where `dag` is empty."""

    file: str
    dag: str
    #: `runs`, `fails`, `apart`, or `stops` before anything has run
    outcome: str
    why: str = ""


def files_in(folder: Path) -> list[Path]:
    """The files with DAGs in an installation."""
    return [file for each in FOLDERS for file in sorted((folder / each).glob("*.py")) if file.name != "__init__.py"]


def examples(folder: Path) -> list[Found]:
    """What becomes of every DAG in an installation."""
    files = files_in(folder)
    parts = [files[number::AT_ONCE] for number in range(AT_ONCE)]
    with tempfile.TemporaryDirectory() as place:
        running = [
            subprocess.Popen(
                (sys.executable, __file__, "--each", *map(str, part)),
                stdout=subprocess.PIPE,
                cwd=place,
                text=True,
            )
            for part in parts
        ]
        lines = [line for each in running for line in each.communicate()[0].splitlines()]
        if any(each.returncode for each in running):
            raise RuntimeError("a process that runs examples did not end well")
    found = [Found(*json.loads(line)) for line in lines]
    order = {file.name: number for number, file in enumerate(files)}
    return sorted(found, key=lambda each: (order[each.file], each.dag))


def of_file(file: Path) -> list[Found]:
    """What becomes of the DAGs of a file. Each runs in a process of its own."""
    from penstock.errors import PenstockError
    from penstock.registering.loading import load_module, pipelines_in

    try:
        pipelines = pipelines_in(load_module(str(file)))
    except PenstockError as error:
        return [Found(file.name, "", "stops", reason(error))]
    return [of_dag(file, name, pipelines[name]) for name in sorted(pipelines)]


def of_dag(file: Path, name: str, pipeline: Any) -> Found:
    if name in APART:
        return Found(file.name, name, "apart", APART[name])
    outcome, why = in_child(pipeline)
    return Found(file.name, name, outcome, REASONS.get(name, why))


def in_child(pipeline: Any) -> tuple[str, str]:
    """The outcome of a run, and what its first failure says."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        os.write(writing, json.dumps(run(pipeline)).encode())
        os._exit(0)
    os.close(writing)
    try:
        done, _, _ = select.select([reading], [], [], PATIENCE)
        said = b"".join(iter(lambda: os.read(reading, 65536), b"")) if done else b""
    finally:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
    outcome, why = json.loads(said) if said else ("fails", f"it did not end within {PATIENCE} s")
    return outcome, why


def run(pipeline: Any) -> tuple[str, str]:
    from penstock.errors import PenstockError

    # what other DAGs have recorded is not to be found
    os.environ["PENSTOCK_HOME"] = tempfile.mkdtemp(dir=Path.cwd())
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    try:
        ran = pipeline.options(executor="inline", progress=False, logs=False, cache=False).run()
        while str(ran.state) == "paused":
            ran = ran.approve(ran.questions[0]["id"], **answer(ran.questions[0]["fields"]))
    except PenstockError as error:
        return "stops", reason(error)
    if str(ran.state) == "succeeded":
        return "runs", ""
    failed = sorted(task.id for task in ran.tasks if str(task.state) == "failed")
    return "fails", f"{failed[0]} fails" if failed else str(ran.state)


def answer(fields: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a person fills in who takes the first of what there is to choose."""
    found: dict[str, Any] = {}
    for each in fields:
        if each["required"]:
            first = ast.literal_eval(each["type"].partition("Literal[")[2].partition(",")[0].rstrip("]"))
            found[each["name"]] = [first] if each["type"].startswith("list") else first
    return found


def reason(error: Any) -> str:
    """What an error says, without where."""
    line = error.what.splitlines()[-1 if "Traceback" in error.what else 0]
    return line.replace(" is not covered by penstock's reader of Apache Airflow", "").strip(" ,")


def page(found: Iterable[Found]) -> str:
    """The page of the documentation."""
    rows = list(found)
    counts = Counter(each.outcome for each in rows)
    lines = [
        "# The example DAGs of Apache Airflow",
        "",
        "Every DAG that Apache Airflow brings along as an example, run by penstock as it stands, with Airflow absent. This page is",
        "written by `tests/dialects/airflow_examples.py`, and a test holds penstock to it. Where a file stops, the construct is named.",
        "",
        f"{counts['runs']} run to their end, {counts['fails']} fail, {counts['apart']} are read and not run by the test, and "
        f"{counts['stops']} stop before anything runs.",
        "",
        "| file | DAG | | why |",
        "|---|---|---|---|",
    ]
    words = {"runs": "runs", "fails": "fails", "apart": "read", "stops": "stops"}
    for each in rows:
        dag = f"`{each.dag}`" if each.dag else "the whole file"
        lines.append(f"| `{each.file}` | {dag} | {words[each.outcome]} | {each.why.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    if sys.argv[1] == "--each":
        for name in sys.argv[2:]:
            # what one file has loaded is not to be found by the next
            child = os.fork()
            if not child:
                for each in of_file(Path(name)):
                    print(json.dumps(each), flush=True)
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                raise SystemExit(1)
        return
    PAGE.write_text(page(examples(Path(sys.argv[1]).absolute())), "utf-8")


if __name__ == "__main__":
    main()
