"""An artifact of Kubeflow as a value of penstock's: its bytes are captured by their content, with what is said of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from penstock.dialects.kfp.artifacts import SYSTEM, Artifact

#: an address that is no path of this machine
REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact that a task has made: one value, of which its fields are no outputs of their own."""

    one: ClassVar[bool] = True

    #: `system.Dataset`
    type: str
    name: str
    #: its address, where that is not where penstock keeps it
    uri: str = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    #: what was written; None where nothing was
    content: Path | None = None
    #: where in `content` its path leads, if that is a folder with more beside it: `model` beside `model.pkl`
    inside: str = ""

    def __penstock_summary__(self, size_of: Callable[[Any], int | None]) -> dict[str, Any]:
        """What it is, for people: its class and its name, and what there is of a size in bytes, an address, metadata."""
        told = {"size": size_of(self.content), "uri": self.uri, "metadata": self.metadata}
        known = {name: value for name, value in told.items() if value not in (None, "", {})}
        return {"type": self.type.removeprefix("system."), "name": self.name, **known}

    @property
    def path(self) -> str:
        """Where it is on this machine; where it would be, if nothing was written."""
        if self.content is None:
            return Artifact(uri=self.uri).path
        return str(self.content / self.inside if self.inside else self.content)

    def opened(self, kind: type[Artifact]) -> Artifact:
        """The artifact as a component sees it; `kind` is what it is annotated with."""
        chosen = SYSTEM.get(self.type, kind)
        made = (kind if issubclass(kind, chosen) else chosen)(
            name=self.name, uri=self.uri or self.path, metadata=dict(self.metadata)
        )
        if self.uri and self.content is not None:
            made.custom_path = self.path
        return made


def stored(artifact: Artifact, home: Path | None) -> StoredArtifact:
    """An artifact as it is once its task has ended; `home` is the folder that it had for itself."""
    path = Path(artifact.path) if artifact.path else None
    remote = REMOTE.match(artifact.uri) is not None
    content, inside = None, ""
    if path is not None and home is not None and path.parent == home and _has_others(home, path):
        content, inside = home, path.name
    elif path is not None and path.exists():
        content = path
    return StoredArtifact(
        artifact.schema_title, artifact.name, artifact.uri if remote else "", dict(artifact.metadata), content, inside
    )


def _has_others(home: Path, path: Path) -> bool:
    return any(each.name != path.name for each in home.iterdir())


def given(value: Any, kind: type[Artifact], name: str) -> Artifact | None:
    """The artifact that an input is given: one of this module's, or a path, as commands have it."""
    if value is None:
        return None
    if isinstance(value, StoredArtifact):
        return value.opened(kind)
    return kind(name=name, uri=str(value))


__all__ = ["REMOTE", "StoredArtifact", "given", "stored"]
