"""Which devices (GPUs) an attempt sees."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager

#: the variables that the runtimes of the makers go by, and what hides every device from them
_VARIABLES = {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1", "NVIDIA_VISIBLE_DEVICES": "void"}


@contextmanager
def visible(devices: Sequence[int]) -> Generator[None]:
    """Let code that begins to use devices within the block, and the programs it starts, see only these.

    Code that has begun before keeps those it has.
    """
    before = {name: os.environ.get(name) for name in _VARIABLES}
    listed = ",".join(map(str, devices))
    os.environ.update({name: listed or none for name, none in _VARIABLES.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
