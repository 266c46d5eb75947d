"""Where Airflow finds modules besides those that lie beside a file: the folder of the DAGs, and those of plugins and
configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from penstock.dialects.airflow.configuration import conf


def folders_of(file: Path) -> Iterator[Path]:
    """The folders in which a file finds modules: `dags`, where it lies in one, with `plugins` and `config` beside that; and the
    `plugins_folder` of an Airflow that the environment names."""
    dags = next((folder for folder in file.parents if folder.name == "dags"), None)
    if dags is not None:
        yield from (dags, dags.parent / "plugins", dags.parent / "config")
    if "AIRFLOW_HOME" in os.environ or "AIRFLOW__CORE__PLUGINS_FOLDER" in os.environ:
        yield Path(str(conf.get("core", "plugins_folder")))


__all__ = ["folders_of"]
