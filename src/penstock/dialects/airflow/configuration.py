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
    ("operators", "default_owner"): "airflow",
    ("operators", "default_queue"): "default",
    ("sensors", "default_timeout"): "604800",
    ("scheduler", "catchup_by_default"): "False",
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
    ("webserver", "base_url"): "http://localhost:8080",
    ("api", "base_url"): "http://localhost:8080",
    ("logging", "logging_level"): "INFO",
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
        keys = {key for name, key in _DEFAULTS if name == section}
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
        return _DEFAULTS.get((section, key))

    def _number(self, kind: Any, section: str, key: str, kwargs: Any) -> Any:
        found = self.get(section, key, **kwargs)
        try:
            return None if found is None else kind(found)
        except (TypeError, ValueError):
            raise AirflowConfigException(f"[{section}/{key}] is a number, not {found!r}") from None


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
AIRFLOW_HOME: Final = os.environ.get("AIRFLOW_HOME", str(Path("~/airflow").expanduser()))


def get_airflow_home() -> str:
    """The folder of Airflow's own files."""
    return os.environ.get("AIRFLOW_HOME", str(Path("~/airflow").expanduser()))


__all__ = ["AIRFLOW_HOME", "Configuration", "conf", "get_airflow_home"]
