"""Runs pipelines of the corpus on the real Kubeflow: `python kfp_peer.py FILE...`. Prints their outputs as JSON."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    warnings.simplefilter("ignore")
    # its runner looks pip up there
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    from kfp import local  # pyright: ignore

    runner: Any = local.SubprocessRunner(use_venv=False)  # pyright: ignore
    local.init(runner=runner, pipeline_root=tempfile.mkdtemp())  # pyright: ignore
    found: dict[str, Any] = {}
    for name in sys.argv[1:]:
        file = Path(name)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[file.stem] = dict(getattr(module, file.stem)().outputs)
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
