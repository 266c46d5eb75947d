"""With how many threads large data may be hashed."""

from __future__ import annotations

import functools
import os
import threading

from blake3 import blake3


def threads() -> int:
    """What `blake3` is to be told of threads: as many as it likes, or a single one where no more can be started. It would
    not recover from that by itself."""
    return blake3.AUTO if _can_start_threads(os.getpid()) else 1


@functools.lru_cache(maxsize=1)
def _can_start_threads(process: int) -> bool:
    """Whether this process may have a thread for each processor besides those that it has."""
    ended = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(os.cpu_count() or 1):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        ended.set()
        for thread in started:
            thread.join()
    return True


__all__ = ["threads"]
