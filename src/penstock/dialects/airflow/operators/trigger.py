"""`TriggerDagRunOperator`: starts another DAG, as a run of its own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.moments import coerce_datetime, parse
from penstock.errors import RunFailedError

#: seconds, as in Airflow
_INTERVAL = 60
#: arguments that have no effect here -> why
_WITHOUT_EFFECT = {
    "trigger_run_id": "penstock names runs itself",
    "reset_dag_run": "each time starts a run of its own",
    "skip_when_already_exists": "each time starts a run of its own",
    "fail_when_dag_is_paused": "a pipeline whose triggers are switched off may be started all the same",
    "poke_interval": "it is told at once that the run has ended",
}


class TriggerDagRunOperator(BaseOperator):
    """Starts a run of another DAG: of the same file, of one beside it that is called like the DAG, or of a registered
    pipeline."""

    template_fields: ClassVar[Sequence[str]] = (
        "trigger_dag_id",
        "trigger_run_id",
        "logical_date",
        "conf",
        "execution_date",
    )
    ui_color = "#ffefeb"
    cached = False

    def __init__(
        self,
        *,
        trigger_dag_id: str,
        trigger_run_id: str | None = None,
        conf: Mapping[str, Any] | None = None,
        logical_date: Any = None,
        execution_date: Any = None,
        reset_dag_run: bool = False,
        wait_for_completion: bool = False,
        poke_interval: int = _INTERVAL,
        allowed_states: list[str] | None = None,
        failed_states: list[str] | None = None,
        skip_when_already_exists: bool = False,
        fail_when_dag_is_paused: bool = False,
        deferrable: bool = False,
        openlineage_inject_parent_info: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trigger_dag_id = trigger_dag_id
        self.trigger_run_id = trigger_run_id
        self.conf: Any = dict(conf) if isinstance(conf, Mapping) else conf
        self.logical_date = logical_date
        self.execution_date = execution_date
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable and wait_for_completion
        said = {
            "trigger_run_id": trigger_run_id,
            "reset_dag_run": reset_dag_run,
            "skip_when_already_exists": skip_when_already_exists,
            "fail_when_dag_is_paused": fail_when_dag_is_paused,
            "poke_interval": poke_interval != _INTERVAL,
        }
        self.without_effect |= {name: _WITHOUT_EFFECT[name] for name, value in said.items() if value}
        self.allowed_states = [str(getattr(each, "value", each)) for each in allowed_states or ["success"]]
        self.failed_states = [str(getattr(each, "value", each)) for each in failed_states or ["failed"]]

    def reads(self) -> Reads:
        return Reads()

    def execute(self, context: Any) -> None:
        # by the public face, as a user's own code has it
        run_pipeline = importlib.import_module("penstock.starting").run_pipeline
        given = {"conf": self.conf} if self.conf else {}
        try:
            run = run_pipeline(self.target(), given, self.wait_for_completion, logical_time=self._about())
        except RunFailedError:
            raise
        except Exception as error:
            if not self.wait_for_completion:
                raise
            self._ended("failed", error)
            return
        if self.wait_for_completion:
            self._ended("success", None)
        else:
            self.log.info("started the run %s of %s", run, self.trigger_dag_id)

    def _about(self) -> str | None:
        """The logical date that the run is to have; None for that of its beginning."""
        given = self.execution_date if self.logical_date is None else self.logical_date
        if given is None or given == "":
            return None
        return coerce_datetime(parse(given) if isinstance(given, str) else given).isoformat()

    def _ended(self, state: str, error: Exception | None) -> None:
        if state in self.failed_states or state not in self.allowed_states:
            raise AirflowException(f"{self.trigger_dag_id} failed with failed state {state}") from error

    def target(self) -> str:
        """What names the other DAG to another process."""
        here = Path(self.location.file)
        dag = self.dag
        if dag is not None and self.trigger_dag_id in dag.beside():
            return f"{here.absolute()}:{self.trigger_dag_id}"
        other = here.parent / f"{self.trigger_dag_id}.py"
        return f"{other.absolute()}:{self.trigger_dag_id}" if other.is_file() else self.trigger_dag_id


__all__ = ["TriggerDagRunOperator"]
