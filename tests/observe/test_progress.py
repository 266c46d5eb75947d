from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sample_graphs  # pyright: ignore[reportMissingImports]
from rich.console import Console

from penstock.model.event import AnyEvent, CancelRequested, Expanded, Fault, Missed, RunStarted, Started
from penstock.model.graph import Graph
from penstock.model.run import AttemptRecord, NodeState, RunRecord, RunState
from penstock.model.work import NOTICE, AnyReport, Line, Told
from penstock.observe.progress import LiveProgress, PlainProgress, display
from penstock.observe.progress_tree import ProgressTree
from penstock.observe.tally import Tally
from penstock.ports import Observer, Said, Turn

FAULT = Fault("ValueError", "bad depth\nand more of it")


def ended(node: str, state: str, item: int = -1, attempt: int = 1, **fields: Any) -> AttemptRecord:
    return AttemptRecord(node=node, item=item, attempt=attempt, state=NodeState(state), **fields)


class Run:
    """Tells observers a run, one second a turn."""

    def __init__(self, graph: Graph, *observers: Observer) -> None:
        self.observers = observers
        self.number = 0
        record = RunRecord(
            run_id="7f3a21", pipeline=graph.name, state=RunState.RUNNING, parameters={}, started_at=100.0
        )
        for observer in observers:
            observer.watch(record, graph)

    def turn(
        self,
        *events: AnyEvent,
        ends: Sequence[AttemptRecord] = (),
        reports: Sequence[AnyReport] = (),
        said: Sequence[Said] = (),
        end: RunState | None = None,
    ) -> None:
        self.number += 1
        turn = Turn(number=self.number, at=100.0 + self.number, events=events, attempts=ends, said=said, end=end)
        for observer in self.observers:
            observer.turn(turn, reports)

    def close(self) -> None:
        for observer in self.observers:
            observer.close()


def play(run: Run) -> None:
    """The training pipeline: cached, mapped with a repeated and a failed item, skipped and not run."""
    run.turn(RunStarted())
    run.turn(ends=[ended("ingest", "cached", attempt=0), ended("validate", "cached", attempt=0)])
    run.turn(Missed("split", -1, b""), Started("split", -1, 1), Started("candidates", -1, 1))
    run.turn(ends=[ended("split", "succeeded", duration=0.31), ended("candidates", "succeeded", duration=0.012)])
    run.turn(Expanded("fit", 3), ends=[ended("fit", "cached", item=0, attempt=0)])
    run.turn(
        Started("fit", 1, 1),
        Started("fit", 2, 1),
        said=[Said("fit", 2, 1, lines=(Line("stdout", "loss 0.31"), Line("stderr", "warm")))],
    )
    run.turn(Started("fit", 1, 2), ends=[ended("fit", "failed", item=1, fault=FAULT)])
    run.turn(Started("fit", 1, 3), ends=[ended("fit", "failed", item=1, attempt=2, fault=FAULT)])
    run.turn(
        ends=[
            ended("fit", "succeeded", item=2),
            ended("fit", "failed", item=1, attempt=3, fault=FAULT),
            ended("best", "upstream_failed", attempt=0, reason="fit failed"),
        ]
    )
    run.turn(
        ends=[
            ended("train", "succeeded", duration=61.4),
            ended("evaluate", "succeeded", duration=3.0),
            ended("register", "skipped", attempt=0, reason="the accuracy is too low"),
            ended("explain", "failed", fault=Fault("KeyError", "'x'"), duration=0.5),
            ended("report", "cancelled", attempt=0),
        ],
        end=RunState.FAILED,
    )
    run.close()


def rows(
    graph: Graph, height: int = 100, *turns: Sequence[AnyEvent | AttemptRecord], encoding: str = "utf-8"
) -> list[str]:
    """The tree after the turns, as lines."""
    tally = Tally(graph)
    for number, turn in enumerate(turns):
        events = [event for event in turn if not isinstance(event, AttemptRecord)]
        attempts = [record for record in turn if isinstance(record, AttemptRecord)]
        tally.take(Turn(number=number, at=100.0 + number, events=events, attempts=attempts), ())  # type: ignore[arg-type]
    return ProgressTree(tally, encoding=encoding).text(height).plain.splitlines()


def test_plain_progress_prints_a_line_for_each_end_and_each_failure() -> None:
    stream = io.StringIO()
    play(Run(sample_graphs.training(), PlainProgress(stream, logs=True)))
    assert stream.getvalue().splitlines() == [
        "training  run 7f3a21",
        "↺ ingest  cached",
        "↺ validate  cached",
        "✓ split  0.31 s",
        "✓ candidates  12 ms",
        "fit[2] | loss 0.31",
        "fit[2] | warm",
        "· fit[1] failed (attempt 1 of 3): ValueError: bad depth",
        "· fit[1] failed (attempt 2 of 3): ValueError: bad depth",
        "✗ fit[1] failed: ValueError: bad depth",
        "✗ fit[*]  3 items, 1 cached, 1 failed, 4.0 s",
        "! best  not run: fit failed",
        "✗ explain failed: KeyError: 'x'",
        "✓ train  1 min 01 s",
        "✓ evaluate  3.0 s",
        "– register  skipped: the accuracy is too low",  # noqa: RUF001
        "□ report  cancelled",
    ]


def test_plain_progress_without_logs_leaves_out_what_tasks_write() -> None:
    stream = io.StringIO()
    play(Run(sample_graphs.training(), PlainProgress(stream)))
    assert "loss" not in stream.getvalue()


def test_plain_progress_writes_ascii_where_the_stream_knows_no_more() -> None:
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="ascii")
    run = Run(sample_graphs.training(), PlainProgress(stream, logs=True))
    run.turn(
        ends=[ended("ingest", "cached", attempt=0), ended("split", "succeeded", duration=1.0)],
        said=[Said("split", -1, 1, lines=(Line("stdout", "ça va"),))],
    )
    run.close()
    assert data.getvalue().decode("ascii").splitlines()[1:] == ["split | ?a va", "= ingest  cached", "+ split  1.0 s"]


def test_plain_progress_counts_the_failures_of_a_large_fan_out() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    run.turn(Expanded("fit", 500))
    for start in (0, 250):
        run.turn(ends=[ended("fit", "failed", item=item, attempt=3, fault=FAULT) for item in range(start, start + 250)])
    run.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + 10 + 1 + 1
    assert lines[-1] == "✗ fit[*]  500 items, 500 failed, 1.0 s"


def test_plain_progress_outlives_its_reader() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        os.close(reader)
        play(Run(sample_graphs.training(), progress := PlainProgress(stream)))
        # what could not be written is still in the stream, which complains once more when it is closed
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    progress.close()


@pytest.mark.parametrize(
    ("items", "stop", "line"),
    [
        (0, False, "stopping: nothing is running"),
        (1, False, "stopping: 1 task is finishing; Ctrl-C again kills it"),
        (3, False, "stopping: 3 tasks are finishing; Ctrl-C again kills them"),
        (3, True, "stopping: 3 tasks killed"),
    ],
)
def test_progress_says_what_happens_when_the_run_is_stopped(items: int, stop: bool, line: str) -> None:
    plain, live = io.StringIO(), io.StringIO()
    console = Console(file=live, force_terminal=True, width=80, height=30, color_system=None)
    run = Run(sample_graphs.training(), PlainProgress(plain), LiveProgress(console))
    run.turn(Expanded("fit", 3), *(Started("fit", item, 1) for item in range(items)))
    run.turn(CancelRequested("interrupted", stop))
    run.turn()
    run.close()
    assert plain.getvalue().splitlines()[1:] == [line]
    assert live.getvalue().count(line) == 1


def test_an_attempt_that_was_stopped_did_not_fail() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    run.turn(Expanded("fit", 2), Started("fit", 0, 1), Started("fit", 1, 1))
    run.turn(CancelRequested("interrupted", stop=True))
    stopped = [ended("fit", "failed", item=item, fault=FAULT) for item in range(2)]
    run.turn(ends=[*stopped, *(ended("fit", "cancelled", item=item, attempt=0) for item in range(2))])
    run.close()
    assert stream.getvalue().splitlines()[2:] == ["□ fit[*]  2 items, 2 cancelled, 2.0 s"]


def test_errors_of_penstock_go_by_their_names_alone() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    run.turn(ends=[ended("train", "failed", fault=Fault("penstock.errors.OutputError", "it returned 3\nmore"))])
    run.turn(ends=[ended("split", "failed", fault=Fault("penstock.WorkerLostError", "killed"))])
    run.close()
    assert stream.getvalue().splitlines()[1:] == [
        "✗ train failed: OutputError: it returned 3",
        "✗ split failed: WorkerLostError: killed",
    ]


def test_a_fan_out_from_the_cache_is_told_in_a_word() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    run.turn(Expanded("fit", 2), ends=[ended("fit", "cached", item=item, attempt=0) for item in range(2)])
    run.close()
    assert stream.getvalue().splitlines()[1:] == ["↺ fit[*]  2 items, cached"]


def test_tree_shows_a_running_task_with_what_it_told() -> None:
    graph = sample_graphs.training()
    tally = Tally(graph)
    position = [node.id for node in graph.nodes].index("train")
    tally.take(Turn(number=0, at=100.0, events=[Started("train", -1, 1)]), ())
    tally.take(Turn(number=1, at=107.5), [Told(position, -1, 1, progress=(30, 60))])
    lines = ProgressTree(tally).text(50).plain.splitlines()
    assert lines[position] == "├─ ▸ train        ━━━━━━━─────── 30/60 · 7.5 s"
    assert ProgressTree(tally).totals() == "0/11 tasks · 1 running"


def test_tree_shows_a_mapped_task_as_one_line() -> None:
    ends = [ended("fit", "cached", item=item, attempt=0) for item in range(2)]
    ends += [ended("fit", "succeeded", item=2), ended("fit", "succeeded", item=3)]
    lines = rows(sample_graphs.training(), 50, [Expanded("fit", 6), Started("fit", 2, 1), Started("fit", 3, 1)], ends)
    assert lines[4] == "├─ ▸ fit[*]       ━━━━━━━━━───── 4/6 · 2 cached · 1.0 s"


def test_tree_of_a_task_mapped_over_nothing() -> None:
    end = ended("fit", "succeeded", attempt=0, reason="there was nothing to map over")
    lines = rows(sample_graphs.training(), 50, [Expanded("fit", 0), end])
    assert lines[4] == "├─ ✓ fit[*]       there was nothing to map over"


def test_tree_forgets_a_failure_that_is_repeated() -> None:
    lines = rows(
        sample_graphs.training(),
        50,
        [Expanded("fit", 1), Started("fit", 0, 1)],
        [ended("fit", "failed", item=0, fault=FAULT)],
        [Started("fit", 0, 2)],
        [ended("fit", "succeeded", item=0, attempt=2)],
    )
    assert lines[4] == "├─ ✓ fit[*]       1/1 · 3.0 s"


def test_tree_draws_groups_as_branches() -> None:
    lines = rows(sample_graphs.nested(), 50, [ended("features/text/tokenize", "succeeded", duration=2.0)])
    assert [line.rstrip() for line in lines] == [
        "├─ · ingest",
        "├─ · features/        1/4",
        "│  ├─ · scale",
        "│  ├─ · text/         1/2",
        "│  │  ├─ ✓ tokenize   2.0 s",
        "│  │  └─ · embed",
        "│  └─ · join",
        "├─ · features",
        "└─ · evaluate/        0/2",
        "   ├─ · score",
        "   └─ · plot",
    ]


def test_tree_in_ascii() -> None:
    lines = rows(sample_graphs.nested(), 50, [Started("ingest", -1, 1)], [], encoding="ascii")
    assert all(line.isascii() for line in lines)
    assert lines[0].split() == ["|-", ">", "ingest", "1.0", "s"]


def test_a_long_tree_shrinks_to_what_is_going_on() -> None:
    graph = sample_graphs.large(60)
    events = [Started("stage_02/task_25", -1, 1)]
    names = [line.split()[2] for line in rows(graph, 20, events)]
    assert names[:3] == ["stage_00/", "stage_01/", "stage_02/"]
    assert "task_25" in rows(graph, 20, events)[8]
    assert len(names) == 16
    closed = rows(graph, 6, events)
    assert [line.split()[2] for line in closed] == [f"stage_{number:02}/" for number in range(6)]
    least = rows(graph, 4, events)
    assert len(least) == 2
    assert "stage_02/task_25" in least[0]
    assert least[1].split()[1:4] == ["59", "more", "tasks"]


@pytest.mark.parametrize("height", [1, 2, 5, 11, 40])
def test_a_tree_never_gets_higher_than_it_may(height: int) -> None:
    graph = sample_graphs.large(200)
    events = [Started(node.id, -1, 1) for node in graph.nodes[:100]]
    assert 0 < len(rows(graph, height, events)) <= height


def live_output(**options: Any) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=30, **options)
    play(Run(sample_graphs.training(), LiveProgress(console, logs=True)))
    return stream.getvalue()


def test_live_progress_prints_failures_and_logs_and_leaves_the_tree() -> None:
    output = live_output(color_system=None)
    assert output.count("✗ fit[1] failed: ValueError: bad depth") == 1
    assert output.count("fit[2] | loss 0.31") == 1
    final = [line.rstrip() for line in output.rpartition("training  run 7f3a21")[2].splitlines()]
    assert "├─ ✗ fit[*]       3/3 · 1 cached · 1 failed · 4.0 s" in final
    assert "├─ – register     skipped: the accuracy is too low" in final  # noqa: RUF001
    assert "└─ □ report       cancelled" in final


def test_live_progress_honours_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in live_output()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in live_output()


def test_display_is_plain_where_there_is_no_terminal() -> None:
    assert isinstance(display(io.StringIO()), PlainProgress)


PROGRAM = """
import sys
sys.path[:0] = {path!r}
import sample_graphs, test_progress
from penstock.observe.progress import LiveProgress, display
observer = display(logs=True)
assert isinstance(observer, LiveProgress)
run = test_progress.Run(sample_graphs.training(), observer)
test_progress.play(run)
print("the result", file=sys.stdout)
"""


def test_live_progress_on_a_terminal(tmp_path: Any) -> None:
    """stderr is a terminal of 80 x 30, stdout is a pipe, which gets nothing but what the program prints."""
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, 80))
    program = tmp_path / "program.py"
    folders = [str(Path(module.__file__ or "").parent) for module in (sample_graphs, sys.modules[__name__])]
    program.write_text(PROGRAM.format(path=folders))
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        shown = read_all(controller)
        assert process.stdout is not None
        assert process.stdout.read() == b"the result\n"
    assert process.returncode == 0
    assert "\x1b[1A" in shown, "the tree is redrawn in place"
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "the cursor comes back"
    assert "└─" in shown.rpartition("training")[2]
    assert shown.count("failed (attempt 1 of 3)") == 1


def read_all(descriptor: int) -> str:
    data = bytearray()
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            break
        if not part:
            break
        data += part
    os.close(descriptor)
    return data.decode()


def test_a_notice_is_shown_once_even_without_logs() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    for item in range(3):
        lines = (Line(NOTICE, "values of type Odd are pickled"), Line("stdout", "loss 0.3"))
        run.turn(said=[Said("fit", item, 1, lines=lines)])
    assert stream.getvalue().splitlines()[1:] == ["note | fit[0]: values of type Odd are pickled"]


def test_a_notice_about_the_run_as_a_whole_names_no_node() -> None:
    stream = io.StringIO()
    run = Run(sample_graphs.training(), PlainProgress(stream))
    run.turn(said=[Said("", -1, 0, lines=(Line(NOTICE, "the run waits for its turn"),))])
    assert stream.getvalue().splitlines()[1:] == ["note | the run waits for its turn"]
