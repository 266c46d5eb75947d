"""`BashSensor`: waits until a command ends well."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.exceptions import AirflowFailException


class BashSensor(BaseSensorOperator):
    """Waits until a command ends with the exit code 0. `retry_exit_code` is the only other one that means: not yet."""

    template_fields: ClassVar[Sequence[str]] = ("bash_command", "env")
    template_ext: Sequence[str] = (".sh", ".bash")

    def __init__(
        self,
        *,
        bash_command: str,
        env: Mapping[str, str] | None = None,
        output_encoding: str = "utf-8",
        retry_exit_code: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bash_command = bash_command
        self.env = env
        self.output_encoding = output_encoding
        self.retry_exit_code = retry_exit_code

    def poke(self, context: Any) -> bool:
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
            done = subprocess.run(
                ["bash", "-c", self.bash_command],
                cwd=folder,
                env=dict(os.environ) if self.env is None else dict(self.env),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        for line in done.stdout.decode(self.output_encoding, "replace").splitlines():
            self.log.info(line)
        if done.returncode == 0:
            return True
        if self.retry_exit_code is None or done.returncode == self.retry_exit_code:
            return False
        raise AirflowFailException(f"Bash command failed with exit code {done.returncode}.")


__all__ = ["BashSensor"]
