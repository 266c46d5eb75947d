"""Which devices (GPUs) an attempt sees."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from penstock.executors.attempts.variables import variables

#: the variables that the runtimes of the makers go by, and what hides every device from them
_VARIABLES = {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1", "NVIDIA_VISIBLE_DEVICES": "void"}


@contextmanager
def visible(devices: Sequence[int]) -> Generator[None]:
    """Let code that begins to use devices within the block, and the programs it starts, see only these.

    Code that has begun before keeps those it has.
    """
    listed = ",".join(map(str, devices))
    with variables({name: listed or none for name, none in _VARIABLES.items()}):
        yield
