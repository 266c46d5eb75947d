"""Components that are read from files of YAML, as files ask for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from penstock.authoring.files import named_file
from penstock.authoring.source import caller, calling_module
from penstock.dialects.kfp.compiling import compiled_above
from penstock.dialects.kfp.components import YamlComponent
from penstock.errors import DefinitionError

#: a component by itself, which knows fewer types than a compiled pipeline, and may be given arguments by position
_LEGACY = re.compile(r"^implementation:", re.MULTILINE)


def load_component_from_text(text: str) -> YamlComponent:
    """See `kfp.components.load_component_from_text`."""
    return _loaded(text, str(caller()))


def load_component_from_file(file_path: str | Path) -> YamlComponent:
    """See `kfp.components.load_component_from_file`. A relative path starts from the folder of the file that names it, or
    else from the working folder."""
    compiled = compiled_above(file_path)
    if compiled is not None:
        return _loaded(compiled, str(file_path))
    path = named_file(str(file_path))
    if path is None or not path.is_file():
        raise DefinitionError(f"there is no file {file_path} to load a component from", where=str(caller()))
    return _loaded(path.read_text(), str(path))


def load_component_from_url(url: str, auth: Any = None) -> YamlComponent:
    """See `kfp.components.load_component_from_url`."""
    if auth is not None:
        from penstock.dialects.kfp.refusing import uncovered

        raise uncovered("components.load_component_from_url(auth=...)", "Download the file, and load it from there.")
    try:
        with urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
    except OSError as error:
        raise DefinitionError(f"{url} cannot be read: {error}", where=str(caller())) from None
    return _loaded(text, url)


def load_component(filename: str | None = None, url: str | None = None, text: str | None = None) -> YamlComponent:
    """See the first version's `kfp.components.load_component`."""
    if filename is not None:
        return load_component_from_file(filename)
    return load_component_from_url(url) if url is not None else load_component_from_text(text or "")


class ComponentStore:
    """See the first version's `kfp.components.ComponentStore`: components in folders, or at addresses."""

    def __init__(
        self, local_search_paths: list[str] | None = None, url_search_prefixes: list[str] | None = None
    ) -> None:
        self._folders = local_search_paths or ["."]
        self._prefixes = url_search_prefixes or []

    def load_component(self, name: str) -> YamlComponent:
        """The component `NAME/component.yaml` of the first folder that has it, or else of the first address."""
        for folder in self._folders:
            path = named_file(str(Path(folder) / name / "component.yaml"))
            if path is not None:
                return load_component_from_file(path)
        for prefix in self._prefixes:
            return load_component_from_url(f"{prefix.rstrip('/')}/{name}/component.yaml")
        raise DefinitionError(f"there is no component {name!r}", where=str(caller()))


def _loaded(text: str, where: str) -> YamlComponent:
    from penstock.dialects.kfp.ir import component_of_text

    component = component_of_text(text, where, calling_module())
    return YamlComponent(component, legacy=_LEGACY.search(text) is not None)


__all__ = [
    "ComponentStore",
    "load_component",
    "load_component_from_file",
    "load_component_from_text",
    "load_component_from_url",
]
