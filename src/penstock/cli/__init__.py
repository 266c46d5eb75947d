"""The command line. Nothing is imported here before it is needed, so that `penstock --version` is quick."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and leave with its exit code.

    0: succeeded; 1: the run failed; 2: the definition, the parameters or the usage are wrong; 3: the run is paused;
    130: interrupted.
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        from penstock import __version__

        print(f"penstock {__version__}")
        return
    from penstock.cli.commands import penstock
    from penstock.cli.detaching import keep_log_to_itself
    from penstock.cli.reporting import finish_stdout

    keep_log_to_itself()
    try:
        penstock.main(prog_name="penstock")
    finally:
        finish_stdout()
