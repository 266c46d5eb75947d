"""`penstock why`: what ran for which reason, what failed, and what is waited for now."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_line import Answer, Project, penstock, started

from penstock.cli.commands import penstock as commands
from penstock.cli.renderables import rendered
from penstock.cli.why_view import run_why_view, why_view

SAMPLES = Path(__file__).parent / "project"
#: what is under way in the run that all the others are about
RUNNING = ("pooled", "limited[0]", "narrow[0]", "there", "flaky")


def why(folder: Path, *arguments: str) -> Answer:
    """What the command says, in this process."""
    with chdir(folder):
        ended = CliRunner().invoke(commands, ["why", *arguments], prog_name="penstock")
    return Answer(ended.exit_code, ended.stdout, ended.stderr)


def explained(folder: Path, *arguments: str) -> Any:
    answer = why(folder, *arguments, "--json")
    assert answer.code == 0, answer.err
    return answer.document


# What waits, in runs that are under way.


class Busy:
    """A run in which something waits for everything, and two others that wait for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(SAMPLES / "busy.py", folder)
        (folder / "penstock.toml").write_text("[pools]\ndb = 1\n")
        self.processes: list[subprocess.Popen[str]] = []
        self.run = self.other = self.last = ""

    def begin(self) -> None:
        self.run = self._start("busy", "--workers", "3", "--wait")
        self.until(lambda: all((self.folder / f"running-{name}").exists() for name in RUNNING))
        self.other = self._start("same")
        self.until(lambda: self.waits(self.other, "also")["kind"] == "result")
        self.last = self._start("same")

    def _start(self, name: str, *arguments: str) -> str:
        known = self._runs()
        process = started("run", f"busy.py:{name}", "-q", *arguments, cwd=self.folder, stdout=subprocess.DEVNULL)
        self.processes.append(process)
        self.until(lambda: self._runs() - known)
        [run] = self._runs() - known
        return run

    def _runs(self) -> set[str]:
        with chdir(self.folder):
            return {
                run["run_id"] for run in Answer(0, CliRunner().invoke(commands, ["runs", "--json"]).stdout, "").document
            }

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            for process in self.processes:
                assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.05)

    def waits(self, run: str, node: str) -> Any:
        """The first thing that a node waits for."""
        return (explained(self.folder, run, node).get("waits_for") or [{"kind": ""}])[0]

    def close(self) -> None:
        (self.folder / "go").touch()
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    made = Busy(tmp_path_factory.mktemp("busy"))
    try:
        made.begin()
        yield made
    finally:
        made.close()


def test_a_task_that_is_running(busy: Busy) -> None:
    document = explained(busy.folder, busy.run, "pooled")
    assert document["state"] == "running"
    assert document["summary"].startswith("it has been running since 20")


def test_a_pool_that_others_hold(busy: Busy) -> None:
    assert busy.waits(busy.run, "refused") == {
        "kind": "pool",
        "text": "it takes 1 of the pool db, of which 1 of 1 are held by pooled",
        "remedy": "penstock pools set db=2",
    }


def test_the_concurrency_of_a_task(busy: Busy) -> None:
    assert busy.waits(busy.run, "limited[1]") == {
        "kind": "limit",
        "text": "only one attempt at the task hold may be under way at once, now limited[0]",
        "remedy": "it starts when one of them has ended",
    }


def test_the_items_of_a_node_that_may_be_under_way_at_once(busy: Busy) -> None:
    assert busy.waits(busy.run, "narrow[2]")["text"] == (
        "only one of its items may be under way at once (max_parallel=1), now narrow[0]"
    )
    whole = explained(busy.folder, busy.run, "narrow")
    assert (whole["state"], whole["items"]) == ("running", {"running": 1, "waiting": 2})
    assert [wait["kind"] for wait in whole["waits_for"]] == ["limit"]


def test_a_worker(busy: Busy) -> None:
    found = busy.waits(busy.run, "queued")
    assert found["kind"] == "worker"
    assert found["text"] == "it waits for a free worker; pooled, limited[0] and narrow[0] are running"


def test_the_time_at_which_something_is_tried_or_asked_again(busy: Busy) -> None:
    there = busy.waits(busy.run, "there")
    assert (there["kind"], there["until"][:2]) == ("time", "20")
    assert "it has looked once, and looks again at 20" in there["text"]
    assert "; it is skipped at 20" in there["text"]
    flaky = busy.waits(busy.run, "flaky")
    assert flaky["kind"] == "time"
    assert flaky["text"].startswith("it is tried again at 20")
    assert flaky["text"].endswith(", because attempt 1 failed with OSError: the line is busy")


def test_an_approval_and_what_waits_for_everything(busy: Busy) -> None:
    sign_off = busy.waits(busy.run, "sign_off")
    assert sign_off["text"].startswith("it has waited for an answer since 20")
    assert "Ship it? (after 20" in sign_off["text"]
    assert sign_off["remedy"] == f"penstock approve {busy.run} sign_off"
    document = explained(busy.folder, busy.run, "deploy")
    assert document["summary"] == (
        "it waits for there, which is waiting, flaky, which is waiting, pooled, which is running and 5 more"
    )
    lines = why(busy.folder, busy.run, "deploy").out.splitlines()
    assert lines[0].endswith("deploy of run " + busy.run + ": pending")
    assert any(line.startswith("  flaky: it is tried again at") for line in lines)


def test_a_result_that_another_run_makes(busy: Busy) -> None:
    assert busy.waits(busy.other, "also") == {
        "kind": "result",
        "text": f"run {busy.run} makes the same result at this moment, in pooled",
        "remedy": "it takes that result over, or runs itself if there is none",
    }


def test_a_run_that_may_not_begin_yet(busy: Busy) -> None:
    found = busy.waits(busy.last, "also")
    assert found["kind"] == "limit"
    assert found["text"] == (
        f"the run has not begun: only one run of same may be under way at once, now run {busy.other}"
    )


def test_a_run_that_nobody_drives_any_longer(busy: Busy) -> None:
    process = busy.processes.pop()
    process.kill()
    process.communicate()
    found = busy.waits(busy.last, "also")
    assert (found["kind"], found["remedy"]) == ("driver", f"penstock resume {busy.last}")
    assert found["text"].startswith("nobody drives the run any longer: the process ")


def test_a_whole_run_that_is_under_way(busy: Busy) -> None:
    lines = why(busy.folder, busy.run).out.splitlines()
    assert lines[0] == f"busy  {busy.run}: running"
    rows = dict(line[2:].split(maxsplit=1) for line in lines[2:] if not line.startswith(" "))
    assert rows["pooled"].startswith("running: it has been running since 20")
    assert rows["limited"] == "1 running, 1 waiting"
    assert rows["queued"].startswith("waiting: it waits for a free worker")


# What has ended.


def test_why_a_task_ran_and_why_it_did_not(project: Project) -> None:
    run, first = project.again.document["run_id"], project.trained.document["run_id"]
    ran = why(project.folder, run, "refuse").out.splitlines()
    assert ran[1] == "  it ran because no earlier run of the pipeline has a result of refuse"
    skipped = why(project.folder, run, "publish").out.splitlines()
    assert skipped[1].startswith("  its condition does not hold: accuracy >= threshold, where accuracy is 0.")
    assert skipped[1].endswith(" and threshold is 0.9")
    cached = why(project.folder, run, "split").out.splitlines()
    assert cached[1].endswith(f"those of split in run {first}, whose result it has")


def test_why_without_a_task_tells_of_all(project: Project) -> None:
    run = project.again.document["run_id"]
    lines = why(project.folder, run).out.splitlines()
    assert lines[0] == f"training  {run}: succeeded"
    assert "✓ refuse" in next(line for line in lines if "refuse" in line)
    document = explained(project.folder, run)
    assert set(document) == {"run_id", "pipeline", "state", "tasks", "cause"}
    assert {task["id"] for task in project.again.document["tasks"]} >= {
        name for told in document["tasks"].values() for each in told for name in each["which"]
    }


def test_one_name_is_a_run_or_a_task_of_the_latest(project: Project) -> None:
    failed = project.failed.document["run_id"]
    assert explained(project.folder, "fragile")["run_id"] == failed
    assert explained(project.folder, failed)["run_id"] == failed
    assert explained(project.folder)["run_id"] == failed
    assert explained(project.folder, "latest")["run_id"] == failed


def test_why_a_task_failed(project: Project) -> None:
    lines = why(project.folder, "fragile").out.splitlines()
    assert lines[0].endswith(f"fragile of run {project.failed.document['run_id']}: failed")
    assert lines[1].startswith("  it failed with ValueError: ")
    assert any(line.startswith("      File ") for line in lines)
    assert "  not tried again: attempts at it are not repeated (retries=0)" in lines
    assert any(line.startswith("  it ran because ") for line in lines)
    assert "    fragile failed: ValueError" in why(project.folder, "after_fragile").out


def test_what_is_in_bodies_is_named_by_item_and_told_together(shapes: tuple[Path, Answer]) -> None:
    folder, answer = shapes
    document = explained(folder)
    bodies = {task["path"] for task in answer.document["tasks"] if "path" in task}
    assert bodies <= set(document["tasks"])
    for task in answer.document["tasks"]:
        found = explained(folder, task["id"])
        assert found["state"] == task["state"], task["id"]
        assert found["summary"]


def test_names_that_are_not_there(project: Project, folder: Path) -> None:
    answer = why(project.folder, "fragil", "--json")
    assert answer.code == 2
    assert answer.document["error"]["remedy"].startswith("Did you mean fragile")
    answer = why(project.folder, "latst")
    assert (answer.code, "there is no run 'latst', nor a task of that name\n  Did you mean latest?" in answer.err) == (
        2,
        True,
    )
    answer = why(project.folder, "latest", "scaled[9]")
    assert "Did you mean scaled[" in answer.err
    answer = why(project.folder, "20991231")
    assert answer.code == 2
    assert "20991231" in answer.err
    answer = why(project.folder, "nothing", "fragile")
    assert (answer.code, "nothing" in answer.err) == (2, True)
    assert "nothing has run in" in penstock("why", cwd=folder).err


# The views.


def test_reasons_that_several_share_are_told_once() -> None:
    difference = {"kind": "code", "name": "m:f", "where": "m.py:3", "diff": [f"+{n}" for n in range(60)]}
    ran = {"cause": "differs", "text": "m:f (m.py:3) changed since run x", "run_id": "x", "differences": [difference]}
    which = [f"fit[{n}]" for n in range(12_345)]
    inside = [{"text": ran["text"], "state": "succeeded", "which": which, "ran": ran}]
    document = {"run_id": "y", "id": "fit", "task": "fit", "state": "succeeded", "summary": "s", "inside": inside}
    lines = rendered(why_view(document), width=200).splitlines()
    assert lines[2] == (
        "    fit[0], fit[1], fit[2], fit[3] and 12,341 more: ran because m:f (m.py:3) changed since run x"
    )
    assert lines[-1] == "      and 20 more lines (--full)"
    assert "+59" in rendered(why_view(document, full=True))
    whole = {"run_id": "y", "pipeline": "p", "state": "succeeded", "tasks": {"fit": inside}}
    lines = rendered(run_why_view(whole), width=200).splitlines()
    assert lines == ["p  y: succeeded", "compared with run x", "", "✓ fit  12,345 ran: m:f (m.py:3) changed"]


def test_what_cannot_be_seen_in_code_is_told_last() -> None:
    document = {"run_id": "y", "id": "a", "task": "a", "state": "cached", "summary": "s", "limits": ["m.py:3: eval"]}
    assert rendered(why_view(document)).splitlines()[-2:] == [
        "changes of this go unnoticed, since it cannot be seen in the code:",
        "  m.py:3: eval",
    ]


def test_what_failed_of_a_mapped_task_is_told_once() -> None:
    inside = [{"text": "ValueError: bad", "state": "failed", "which": ["check[2]"], "ran": None}]
    upstream = [{"id": "check[2]", "state": "failed", "error": "ValueError: bad"}]
    document = {"run_id": "y", "id": "check", "task": "check", "state": "failed", "summary": "check[2] failed"}
    lines = rendered(why_view(document | {"inside": inside, "upstream": upstream})).splitlines()
    assert lines[1:] == ["  check[2] failed", "    check[2]: ValueError: bad"]


def test_a_run_of_which_nothing_ran_before_is_compared_with_none() -> None:
    told = [{"text": "no earlier run", "state": "succeeded", "which": ["a"], "ran": {"cause": "first", "text": "t"}}]
    whole = {"run_id": "y", "pipeline": "p", "state": "succeeded", "tasks": {"a": told}}
    assert rendered(run_why_view(whole)).splitlines() == ["p  y: succeeded", "", "✓ a  ran: never ran before"]
