"""Run by the real Prefect: `prefect_peer.py HOME FILE...` tells of each file how its last flow ends, and what it gives."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return settled(value.result(raise_on_failure=False)) if hasattr(value, "is_completed") else value


def settled(value: Any) -> Any:
    return plain(asyncio.run(value) if inspect.iscoroutine(value) else value)


def main(home: str, files: list[str]) -> None:
    os.environ.update(
        PREFECT_HOME=home,
        PREFECT_LOGGING_LEVEL="CRITICAL",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
        DO_NOT_TRACK="1",
    )
    from prefect import Flow  # pyright: ignore[reportMissingImports]

    for file in map(Path, files):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
        flow = [each for each in vars(module).values() if isinstance(each, Flow)][-1]
        state = flow(return_state=True)
        state = asyncio.run(state) if inspect.iscoroutine(state) else state
        told = {"state": state.type.value, "result": settled(state.result(raise_on_failure=False))}
        print(file.stem, json.dumps(told), sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
