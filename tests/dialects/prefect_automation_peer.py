"""Run by the real Prefect: `prefect_automation_peer.py FILE` tells which automations a file makes, and which ids it has.

What would go to a server gets its id here, since starting one takes half a minute; what is made is checked by Prefect's own
models all the same.
"""

from __future__ import annotations

import json
import runpy
import sys
from typing import Any
from uuid import UUID, uuid4


def main(file: str) -> None:
    from prefect.automations import Automation  # pyright: ignore[reportMissingImports]
    from prefect.blocks.core import Block  # pyright: ignore[reportMissingImports]
    from prefect.deployments.runner import RunnerDeployment  # pyright: ignore[reportMissingImports]

    made: list[Any] = []

    def create(self: Any) -> Any:
        self.id = uuid4()
        made.append(self)
        return self

    def known(*_: Any, **__: Any) -> UUID:
        return uuid4()

    Automation.create, Block.save, RunnerDeployment.apply = create, known, known
    names = runpy.run_path(file)
    ids = {str(names[name]): name for name in ("after", "team")}
    # pydantic's way of saying so has changed, and both know a text
    texts = [each.model_dump_json() if hasattr(each, "model_dump_json") else each.json() for each in made]
    print(json.dumps({"ids": ids, "automations": [json.loads(each) for each in texts]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
