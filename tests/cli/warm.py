"""A process that has penstock loaded and forks for every command, so that each is a process of its own and starts at once.

It takes orders through the socket that is its standard input: a line of JSON with the arguments, the folder and the
environment, together with the descriptors for standard output and error. It answers with the id of the process, and
then with its exit code, as `subprocess` tells it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import socket
import sys
from typing import Any

_LOADED = ("penstock.cli", "penstock.runtime", "penstock.stores", "penstock.executors", "penstock.observe")
#: optional, or only there to be run
_LEFT_OUT = ("__main__", "postgres", "objects")


def serve(orders: socket.socket) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, 1 << 20, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            orders.close()
            become(json.loads(message), descriptors)
            from penstock.cli import main

            main()
            sys.exit()
        for descriptor in descriptors:
            os.close(descriptor)
        orders.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        orders.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Make this process what a command finds when it starts."""
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((empty, *descriptors), (0, 1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    os.chdir(order["folder"])
    sys.path[1:1] = filter(None, order["environment"].get("PYTHONPATH", "").split(os.pathsep))
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["penstock", *order["arguments"]]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding=order["environment"].get("PYTHONIOENCODING"))  # type: ignore[union-attr]


def load() -> None:
    """Import what commands import."""
    for package in map(importlib.import_module, _LOADED):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.rpartition(".")[2].startswith(_LEFT_OUT):
                importlib.import_module(module.name)


if __name__ == "__main__":
    # as for a command, whose first entry is where the program is
    sys.path[0] = os.path.dirname(sys.executable)  # noqa: PTH120 - a text, as Python has it
    load()
    gc.freeze()
    serve(socket.socket(fileno=os.dup(0)))
