"""The process of a fork server before anything is asked of it. Loaded first in a run: with little, so that it soon begins."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence

#: the standard library stays ahead while penstock is imported: a file of the user's may be called random.py. Importing
#: leaves next to no garbage, and looking for it is a fifth of the time: only workers do.
_START = """
import gc, importlib, json, sys
gc.disable()
path, modules = json.loads(sys.argv.pop())
sys.path += path
from penstock.executors.workers.forkserver import main
for module in modules:
    importlib.import_module(module)
sys.path[:] = path
main(int(sys.argv.pop()))
"""


class Spare:
    """The process of a fork server that is yet to be told what to import: until then it loads what all of them do, and the
    `modules` of penstock that all users' modules will load.

    Whoever begins one closes it, which does nothing once a server has taken it. Raises OSError where there is no room for
    one.
    """

    def __init__(self, path: Sequence[str], modules: Sequence[str] = ()) -> None:
        self._begun: tuple[subprocess.Popen[bytes], socket.socket] | None = begun(path, modules)

    def take(self) -> tuple[subprocess.Popen[bytes], socket.socket] | None:
        """The process and the socket to it; None if they were taken before."""
        taken, self._begun = self._begun, None
        return taken

    def close(self) -> None:
        """Let it go, if nobody has taken it."""
        taken = self.take()
        if taken is not None:
            process, control = taken
            process.kill()
            process.wait()
            control.close()


def begun(path: Sequence[str], modules: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A new process, which has yet to be told its settings, and the socket to it."""
    # which fails where no folder for temporary files can be written, as it would in the process itself
    tempfile.gettempdir()
    control, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(theirs.fileno()), json.dumps([path, modules])],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process, control
