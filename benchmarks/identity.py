"""What it takes to tell whether a frame is the same as another. Each function returns seconds."""

from __future__ import annotations

import importlib
import time
from typing import Any

from blake3 import blake3

from benchmarks.frames import columns


def bytes_of_frame(megabytes: int) -> float:
    """Hash the columns of a frame as nothing but bytes, with as many threads as there are cores."""
    data = columns(megabytes)
    start = time.perf_counter()
    for column in data.values():
        blake3(memoryview(column).cast("B"), max_threads=blake3.AUTO).digest()
    return time.perf_counter() - start


def frame(megabytes: int) -> float:
    """Digest the same columns as a frame."""
    from penstock.values.frames import identify
    from penstock.values.identity import identify as of

    pd: Any = importlib.import_module("pandas")
    data = pd.DataFrame(columns(megabytes))
    importlib.import_module("pyarrow")
    start = time.perf_counter()
    if identify(data, of) is None:
        raise SystemExit("a frame is not known as one")
    return time.perf_counter() - start


MEASURED = {"bytes": bytes_of_frame, "frame": frame}
