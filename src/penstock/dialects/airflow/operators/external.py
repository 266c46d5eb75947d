"""A function called in another Python, which need not have penstock: its source is run there."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.dialects.airflow.alone import text_of
from penstock.dialects.airflow.exceptions import AirflowException, AirflowSkipException

_SCRIPT = """\
from __future__ import annotations
import {serializer} as _serializer
import sys as _sys

{source}

with open(_sys.argv[1], "rb") as _file:
    _given = _serializer.load(_file)
_result = {name}(*_given["args"], **_given["kwargs"])
with open(_sys.argv[2], "wb") as _file:
    _serializer.dump(_result, _file)
"""


def call_in(operator: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a function returns in the Python `operator.python`. Raises AirflowException where it fails there."""
    serializer = importlib.import_module(operator.serializer)
    with tempfile.TemporaryDirectory() as folder:
        script, given, result = (Path(folder, name) for name in ("script.py", "given", "result"))
        script.write_text(
            _SCRIPT.format(serializer=operator.serializer, source=text_of(function), name=function.__name__)
        )
        given.write_bytes(serializer.dumps({"args": args, "kwargs": dict(kwargs)}))
        inherited = dict(os.environ) if operator.inherit_env else {}
        done = subprocess.run(
            [operator.python, str(script), str(given), str(result)],
            env={**inherited, **operator.env_vars},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        sys.stdout.write(done.stdout)
        if done.returncode in operator.skip_on_exit_code and done.returncode:
            raise AirflowSkipException(f"Process exited with code {done.returncode}. Skipping.")
        if done.returncode:
            raise AirflowException(f"Process returned non-zero exit status {done.returncode}.\n{done.stdout}")
        return serializer.loads(result.read_bytes())


__all__ = ["call_in"]
