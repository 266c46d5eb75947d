"""The command line as a person sees it: on a terminal of 80 columns."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROGRAM, Project, environment

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import pty

#: seconds without a sign of life, and characters, after which a test gives up
_PATIENCE = 60.0
_ENOUGH = 100_000
#: makes a terminal the one of this process, from which it gets Ctrl-C, and becomes the command
_ON_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


class Terminal:
    """A command that has a terminal for stdin, stdout and stderr."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._controller, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, str(terminal), str(PROGRAM), *arguments],
            cwd=cwd,
            env=environment(LINES="40", COLUMNS="80"),
            pass_fds=[terminal],
        )
        os.close(terminal)
        self.shown = ""

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            assert self._read() and len(self.shown) < _ENOUGH, f"{text!r} was never shown: {self.shown[-2000:]}"

    def press(self, key: bytes) -> None:
        os.write(self._controller, key)

    def finish(self) -> int:
        """Read to the end. Returns the exit code."""
        while self._read():
            pass
        os.close(self._controller)
        return self.process.wait()

    def _read(self) -> bool:
        """Read some more; False at the end."""
        if not select.select([self._controller], [], [], _PATIENCE)[0]:
            self.process.kill()
            raise AssertionError(f"nothing happens any more: {self.shown[-2000:]}")
        try:
            part = os.read(self._controller, 65536)
        except OSError:
            # how Linux says that nobody has the terminal open any more
            return False
        self.shown += part.decode()
        return bool(part)

    @property
    def lines(self) -> list[str]:
        """What was shown, without colours; lines that were drawn over are still there."""
        return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown).splitlines()]


def test_a_run_is_shown_as_a_tree_and_then_in_summary(folder: Path) -> None:
    terminal = Terminal("run", "steps.py", "-p", "fail=true", cwd=folder)
    assert terminal.finish() == 1
    lines = terminal.lines
    end = lines.index("✗ fragile failed")
    tree = lines[end - 6 : end]
    assert [line.split()[:3] for line in tree[:5]] == [
        ["├─", "✓", "number"],
        ["├─", "✗", "fragile"],
        ["├─", "!", "after_fragile"],
        ["├─", "✓", "scaled[*]"],
        ["└─", "✓", "total"],
    ]
    assert tree[5] == ""
    assert "✗ fragile failed: ValueError: no 1 today" in lines
    assert "\x1b[1;31m" in terminal.shown, "failures are red"
    assert "\x1b[?25h" in terminal.shown, "the cursor comes back"
    assert max(map(len, lines)) <= 80 + len(str(folder)), "only the path of the traceback may be longer"


def test_ctrl_c_on_a_terminal(folder: Path) -> None:
    gate = folder / "gate"
    terminal = Terminal("run", "gated.py", "-p", f"gate={gate}", "--logs", cwd=folder)
    terminal.read_until("waiting")
    terminal.press(b"\x03")
    terminal.read_until("stopping: 1 task is finishing; Ctrl-C again kills it")
    gate.touch()
    assert terminal.finish() == 130
    assert any(line.startswith("□ gated cancelled after ") for line in terminal.lines)
    assert "✗" not in terminal.shown
    assert "Traceback" not in terminal.shown


@pytest.mark.parametrize("command", ["runs", "show latest", "artifacts list", "artifacts show latest total"])
def test_nothing_is_wider_than_the_terminal(command: str, project: Project) -> None:
    terminal = Terminal(*command.split(), cwd=project.folder)
    assert terminal.finish() == 0
    traceback = re.compile(r'^  (  File "|\S*Error: )')
    assert [line for line in terminal.lines if len(line) > 80 and not traceback.match(line)] == []


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 0), (b"n\n", 1)])
def test_a_planned_run_asks_first(answer: bytes, code: int, folder: Path) -> None:
    terminal = Terminal("run", "steps.py", "--plan", cwd=folder)
    terminal.read_until("Run it? [Y/n]")
    assert not (folder / ".penstock").exists()
    terminal.press(answer)
    assert terminal.finish() == code
    assert (folder / ".penstock").exists() == (code == 0)
    assert ("nothing has run" in terminal.shown) == (code == 1)
