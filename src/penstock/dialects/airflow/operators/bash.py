"""`BashOperator`."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.exceptions import AirflowException, AirflowSkipException
from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.xcomarg import XComArg

if TYPE_CHECKING:
    from penstock.dialects.airflow.nodes import Program

#: variables that tell a command about its task
_ABOUT = "AIRFLOW_CTX_"


class BashOperator(BaseOperator):
    """Runs a command in bash. Its last line of output is what it returns."""

    template_fields: ClassVar[Sequence[str]] = ("bash_command", "env", "cwd")
    template_ext: Sequence[str] = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(
        self,
        *,
        bash_command: Any,
        env: dict[str, str] | None = None,
        append_env: bool = False,
        output_encoding: str = "utf-8",
        skip_exit_code: int | None = None,
        skip_on_exit_code: int | Container[int] | None = 99,
        cwd: str | None = None,
        output_processor: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        self.skip_on_exit_code = exit_codes(skip_on_exit_code if skip_exit_code is None else skip_exit_code)
        self.cwd = cwd
        self.output_processor = output_processor

    def code(self) -> Any:
        return self.output_processor

    def reads(self) -> Reads:
        about = isinstance(self.bash_command, str) and _ABOUT in self.bash_command
        return Reads(None, frozenset()) if about else Reads()

    def native(self) -> Program | None:
        from penstock.authoring.tasks.commands import command, stdout
        from penstock.dialects.airflow.nodes import Program
        from penstock.dialects.airflow.places import as_command
        from penstock.dialects.airflow.templates import templates_of

        text = self.bash_command
        if not isinstance(text, str) or self.reads() != Reads() or self.output_processor:
            return None
        if any(True for _ in XComArg.found_in([self.env, self.cwd])) or (self.env and not self.append_env):
            return None
        if text.endswith(tuple(self.template_ext)) or self.outlets or (self.cwd and not Path(self.cwd).is_dir()):
            return None
        rest = copy.copy(self)
        rest.bash_command = ""
        if templates_of(rest) or (found := as_command(self, text)) is None:
            return None
        line, inputs = found
        return Program(
            command(
                ["bash", "-c", line],
                name=self.label,
                inputs=dict.fromkeys(inputs, Any),
                environment={name: _plain(str(value)) for name, value in (self.env or {}).items()},
                outputs={"result": stdout("lines")} if self.do_xcom_push else {},
                skip=self.skip_on_exit_code,
                folder=self.cwd,
                description=str(self.doc_md or ""),
            ),
            "lines" if self.do_xcom_push else "",
            inputs,
        )

    def execute(self, context: Any) -> Any:
        return self.finished(self._run(context))

    def finished(self, code_and_line: tuple[int, str]) -> Any:
        """What the command gives. Raises AirflowSkipException and AirflowException by its exit code."""
        code, line = code_and_line
        if code in self.skip_on_exit_code:
            raise AirflowSkipException(f"Bash command returned exit code {code}. Skipping.")
        if code:
            raise AirflowException(f"Bash command failed. The command returned a non-zero exit code {code}.")
        return line if self.output_processor is None else self.output_processor(line)

    def _run(self, context: Any) -> tuple[int, str]:
        if not isinstance(self.bash_command, str) or not self.bash_command.strip():
            raise AirflowException("The bash_command must be a non-empty string.")
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise AirflowException(f"Can not find the cwd: {self.cwd}")
        with tempfile.TemporaryDirectory(prefix="airflowtmp") as folder:
            return self._read(
                [shutil.which("bash") or "bash", "-c", self.bash_command],
                self.cwd or folder,
                self._environment(context),
            )

    def _read(self, command: list[str], folder: str, environment: dict[str, str]) -> tuple[int, str]:
        """The exit code, and the last line."""
        output, errors = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(command, stdout=output, stderr=errors, cwd=folder, env=environment) as process:
            assert process.stdout is not None
            line = ""
            for raw in process.stdout:
                line = raw.decode(self.output_encoding, errors="backslashreplace").rstrip()
                sys.stdout.write(f"{line}\n")
            return process.wait(), line

    def _environment(self, context: Mapping[str, Any]) -> dict[str, str]:
        from penstock.dialects.airflow.context import context_to_airflow_vars

        own = self.env
        found = dict(os.environ) if own is None or self.append_env else {}
        return {**found, **(own or {}), **context_to_airflow_vars(context, in_env_var_format=True)}


def exit_codes(given: Any) -> list[int]:
    """Exit codes, of one, of several, or of None."""
    if given is None:
        return []
    return [given] if isinstance(given, int) else list(cast("Sequence[int]", given))


def _plain(text: str) -> str:
    """A text in which braces are only braces."""
    return text.replace("{", "{{").replace("}", "}}")


__all__ = ["BashOperator", "exit_codes"]
