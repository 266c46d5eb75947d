"""Runs all flows of a folder on the real Prefect: `prefect_runner.py FOLDER RESULTS.json`."""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path

FOLDER, RESULTS = Path(sys.argv[1]), Path(sys.argv[2])
os.environ.update(PREFECT_HOME=str(RESULTS.with_suffix(".home")), PREFECT_LOGGING_LEVEL="CRITICAL")

from prefect.testing.utilities import prefect_test_harness  # noqa: E402

results = {}
with prefect_test_harness(server_startup_timeout=120):
    for file in sorted(FOLDER.glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
            results[file.stem] = {"outputs": getattr(module, file.stem)()}
        except Exception as error:
            results[file.stem] = {"error": "".join(traceback.format_exception(error)[-3:])}
RESULTS.write_text(json.dumps(results, default=repr))
