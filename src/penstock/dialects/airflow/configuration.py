"""`conf`: what files ask of Airflow's configuration.

From `AIRFLOW__<SECTION>__<KEY>` in the environment, `[tool.penstock.airflow.<section>]`, `airflow.cfg` in `AIRFLOW_HOME` or
beside the project, and Airflow's own defaults for what files ask for most.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ParserError
from pathlib import Path
from typing import Any, Final, cast

from penstock.dialects.airflow.exceptions import AirflowConfigException
from penstock.dialects.airflow.settings import project

_NONE: Any = object()

#: Airflow's own
_DEFAULTS: Final[Mapping[tuple[str, str], str]] = {
    ("core", "default_timezone"): "utc",
    ("core", "executor"): "LocalExecutor",
    ("core", "load_examples"): "False",
    ("core", "parallelism"): "32",
    ("core", "max_active_tasks_per_dag"): "16",
    ("core", "max_active_runs_per_dag"): "16",
    ("core", "default_task_retries"): "0",
    ("core", "default_task_retry_delay"): "300",
    ("core", "dag_run_conf_overrides_params"): "True",
    ("core", "unit_test_mode"): "False",
    ("core", "dagbag_import_timeout"): "30.0",
    ("core", "hostname_callable"): "airflow.utils.net.getfqdn",
    ("core", "dags_are_paused_at_creation"): "True",
    ("core", "default_impersonation"): "",
    ("core", "default_pool_task_slot_count"): "128",
    ("core", "default_task_execution_timeout"): "",
    ("core", "default_task_weight_rule"): "downstream",
    ("core", "donot_pickle"): "True",
    ("core", "enable_xcom_pickling"): "False",
    ("core", "fernet_key"): "",
    ("core", "killed_task_cleanup_time"): "60",
    ("core", "lazy_load_plugins"): "True",
    ("core", "max_map_length"): "1024",
    ("core", "max_num_rendered_ti_fields_per_task"): "30",
    ("core", "security"): "",
    ("core", "test_connection"): "Disabled",
    ("database", "load_default_connections"): "True",
    ("celery", "worker_concurrency"): "16",
    ("kubernetes_executor", "in_cluster"): "True",
    ("kubernetes_executor", "namespace"): "default",
    ("kubernetes_executor", "worker_container_repository"): "",
    ("kubernetes_executor", "worker_container_tag"): "",
    ("metrics", "statsd_host"): "localhost",
    ("metrics", "statsd_on"): "False",
    ("metrics", "statsd_port"): "8125",
    ("metrics", "statsd_prefix"): "airflow",
    ("operators", "default_cpus"): "1",
    ("operators", "default_deferrable"): "false",
    ("operators", "default_disk"): "512",
    ("operators", "default_gpus"): "0",
    ("operators", "default_owner"): "airflow",
    ("operators", "default_queue"): "default",
    ("operators", "default_ram"): "512",
    ("sensors", "default_timeout"): "604800",
    ("scheduler", "catchup_by_default"): "False",
    ("scheduler", "max_tis_per_query"): "16",
    ("scheduler", "scheduler_heartbeat_sec"): "5",
    ("secrets", "backend"): "",
    ("secrets", "backend_kwargs"): "",
    ("scheduler", "create_cron_data_intervals"): "False",
    ("scheduler", "create_delta_data_intervals"): "False",
    ("email", "email_backend"): "airflow.utils.email.send_email_smtp",
    ("email", "email_conn_id"): "smtp_default",
    ("email", "default_email_on_retry"): "True",
    ("email", "default_email_on_failure"): "True",
    ("smtp", "smtp_host"): "localhost",
    ("smtp", "smtp_starttls"): "True",
    ("smtp", "smtp_ssl"): "False",
    ("smtp", "smtp_port"): "25",
    ("smtp", "smtp_mail_from"): "airflow@example.com",
    ("smtp", "smtp_retry_limit"): "5",
    ("smtp", "smtp_timeout"): "30",
    ("webserver", "base_url"): "http://localhost:8080",
    ("webserver", "web_server_port"): "8080",
    ("api", "base_url"): "http://localhost:8080",
    ("logging", "logging_level"): "INFO",
    ("logging", "remote_base_log_folder"): "",
    ("logging", "remote_log_conn_id"): "",
    ("logging", "remote_logging"): "False",
}
#: Airflow's own, below its folder
_PLACES: Final[Mapping[tuple[str, str], str]] = {
    ("core", "plugins_folder"): "plugins",
    ("logging", "base_log_folder"): "logs",
}
#: those that files still ask for where Airflow 1 and early versions of 2 had them
_MOVED: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("core", "base_log_folder"): ("logging", "base_log_folder"),
    ("core", "dag_concurrency"): ("core", "max_active_tasks_per_dag"),
    ("core", "logging_level"): ("logging", "logging_level"),
    ("core", "remote_base_log_folder"): ("logging", "remote_base_log_folder"),
    ("core", "remote_logging"): ("logging", "remote_logging"),
    ("kubernetes", "namespace"): ("kubernetes_executor", "namespace"),
    ("kubernetes", "worker_container_repository"): ("kubernetes_executor", "worker_container_repository"),
    ("kubernetes", "worker_container_tag"): ("kubernetes_executor", "worker_container_tag"),
    ("scheduler", "statsd_on"): ("metrics", "statsd_on"),
}
_TRUE = ("t", "true", "1")
_FALSE = ("f", "false", "0")


class Configuration:
    """The options by section and key."""

    def get(self, section: str, key: str, fallback: Any = _NONE, **kwargs: Any) -> Any:
        """An option as text. Raises AirflowConfigException for one that there is not, unless there is a fallback."""
        found = self._look_up(section.lower(), key.lower())
        if found is not None:
            return found
        if fallback is not _NONE:
            return fallback
        raise AirflowConfigException(
            f"section/key [{section}/{key}] not found in config: set AIRFLOW__{section.upper()}__{key.upper()}"
        )

    def getboolean(self, section: str, key: str, **kwargs: Any) -> bool:
        """An option that is true or false. Raises AirflowConfigException for another text."""
        found = self.get(section, key, **kwargs)
        text = str(found).split("#")[0].strip().lower()
        if not isinstance(found, str):
            return bool(found)
        if text not in (*_TRUE, *_FALSE):
            raise AirflowConfigException(f"[{section}/{key}] is true or false, not {found!r}")
        return text in _TRUE

    def getint(self, section: str, key: str, **kwargs: Any) -> int:
        """An option that is a whole number. Raises AirflowConfigException for another text."""
        return self._number(int, section, key, kwargs)

    def getfloat(self, section: str, key: str, **kwargs: Any) -> float:
        """An option that is a number. Raises AirflowConfigException for another text."""
        return self._number(float, section, key, kwargs)

    def getlist(self, section: str, key: str, delimiter: str = ",", **kwargs: Any) -> list[str]:
        """An option that is a list of texts."""
        found = self.get(section, key, **kwargs)
        return [each.strip() for each in found.split(delimiter)] if isinstance(found, str) else found

    def getjson(self, section: str, key: str, fallback: Any = _NONE, **kwargs: Any) -> Any:
        """An option that is JSON. Raises AirflowConfigException for another text."""
        import json

        found = self.get(section, key, fallback, **kwargs)
        try:
            return json.loads(found) if isinstance(found, str) else found
        except json.JSONDecodeError:
            raise AirflowConfigException(f"[{section}/{key}] is no JSON") from None

    def has_option(self, section: str, option: str) -> bool:
        """Whether there is an option."""
        return self._look_up(section.lower(), option.lower()) is not None

    def getsection(self, section: str) -> dict[str, Any] | None:
        """All options of a section, by their keys; None where there are none."""
        section = section.lower()
        keys = {key for name, key in (*_DEFAULTS, *_PLACES, ("core", "dags_folder")) if name == section}
        prefix = f"AIRFLOW__{section.upper()}__"
        keys |= {name.removeprefix(prefix).lower() for name in os.environ if name.startswith(prefix)}
        keys |= set(_table(section))
        file = _file()
        if file is not None and file.has_section(section):
            keys |= set(file.options(section))
        return {key: self._look_up(section, key) for key in sorted(keys)} or None

    def _look_up(self, section: str, key: str) -> str | None:
        variable = f"AIRFLOW__{section.upper()}__{key.upper()}"
        if variable in os.environ:
            return os.environ[variable]
        table = _table(section)
        if key in table:
            return str(table[key])
        file = _file()
        if file is not None and file.has_option(section, key):
            return file.get(section, key, raw=True)
        if (section, key) in _MOVED:
            return self._look_up(*_MOVED[section, key])
        return _default(section, key)

    def _number(self, kind: Any, section: str, key: str, kwargs: Any) -> Any:
        found = self.get(section, key, **kwargs)
        try:
            return None if found is None else kind(found)
        except (TypeError, ValueError):
            raise AirflowConfigException(f"[{section}/{key}] is a number, not {found!r}") from None


def _default(section: str, key: str) -> str | None:
    """Airflow's own. The folder of the DAGs is that of the project where `AIRFLOW_HOME` names none."""
    if (section, key) == ("core", "dags_folder"):
        if "AIRFLOW_HOME" in os.environ:
            return str(Path(get_airflow_home()) / "dags")
        folder = project().folder
        return str(folder / "dags" if (folder / "dags").is_dir() else folder)
    if (section, key) in _PLACES:
        return str(Path(get_airflow_home()) / _PLACES[section, key])
    return _DEFAULTS.get((section, key))


def _table(section: str) -> Mapping[str, Any]:
    found = project().table.get(section, {})
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _file() -> ConfigParser | None:
    home = os.environ.get("AIRFLOW_HOME")
    for folder in (*([Path(home)] if home else []), project().folder):
        file = folder / "airflow.cfg"
        if file.is_file():
            parser = ConfigParser(interpolation=None)
            try:
                parser.read_string(file.read_text("utf-8"))
            except (ParserError, UnicodeDecodeError) as error:
                raise AirflowConfigException(f"{file} cannot be read: {error}") from None
            return parser
    return None


conf: Final = Configuration()
#: what a file that asks is told: of several ways to write a thing, it then takes that of this version
VERSION: Final = "3.0.0"
AIRFLOW_HOME: Final = os.environ.get("AIRFLOW_HOME", str(Path("~/airflow").expanduser()))


def get_airflow_home() -> str:
    """The folder of Airflow's own files."""
    return os.environ.get("AIRFLOW_HOME", str(Path("~/airflow").expanduser()))


__all__ = ["AIRFLOW_HOME", "VERSION", "Configuration", "conf", "get_airflow_home"]
