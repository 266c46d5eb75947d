"""A registry of models in a folder: numbered versions, each with the model and its card.

    registry/
      breast-cancer/
        1/
          card.json      name, version, digest, creation time, run id, metrics, metadata, versions of libraries
          model.pkl      the model, by pickle; its BLAKE3 digest is in the card
        stages/
          production.json   the version that was promoted to the stage last

The file system is the only coordinator: a version is written aside and then renamed into place, which fails if
another process has taken the number. There is no index that could disagree with the folders.
"""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

# The pickler in Python and not the one in C, which does not let a subclass decide what is remembered.
from pickle import _Pickler  # pyright: ignore[reportPrivateUsage]
from typing import Any

from blake3 import blake3

from penstock import ArtifactDamagedError, NotFoundError, StoreError, current, emit

_CARD = "card.json"
_MODEL = "model.pkl"
_STAGES = "stages"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model, as its card describes it."""

    name: str
    #: counts from 1
    version: int
    #: BLAKE3 of the bytes of the model, in hexadecimal
    digest: str
    #: the class of the model: `sklearn.pipeline.Pipeline`
    type: str
    #: RFC 3339, in UTC
    created_at: str
    #: the run that registered it; None where it was registered outside a run
    run_id: str | None
    metrics: dict[str, float]
    metadata: dict[str, Any]
    #: versions of Python and of the model's library, which loading it may need
    made_with: dict[str, str]
    #: text and not a Path, because a task that returns a Path returns a copy of what is there
    folder: str


class ModelRegistry:
    """A folder of models. Any number of processes may register at once; versions are 1, 2, 3, ... without loss."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).absolute()

    def register(
        self,
        name: str,
        model: Any,
        *,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Keep a model as the next version of `name`, or return the version that already holds the same model.

        Models are the same if they hold the same, however they lie in memory; registering one again changes nothing,
        and the card keeps its first metrics. `metadata` must be JSON-able. Raises ValueError for a name that cannot
        name a folder, and what pickling raises for a model that cannot be pickled.
        """
        content = _content(model)
        draft = ModelVersion(
            name=name,
            version=0,
            digest=blake3(content).hexdigest(),
            type=f"{type(model).__module__}.{type(model).__qualname__}",
            created_at=_now(),
            run_id=current().run_id or None,
            metrics={key: float(value) for key, value in (metrics or {}).items()},
            metadata=dict(metadata or {}),
            made_with=_made_with(model),
            folder="",
        )
        while True:
            versions = self.versions(name)
            for version in versions:
                if version.digest == draft.digest:
                    return version
            number = versions[-1].version + 1 if versions else 1
            candidate = replace(draft, version=number, folder=str(self._shelf(name) / str(number)))
            if _publish(candidate, content):
                return candidate

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, oldest first; empty if there is none."""
        shelf = self._shelf(name)
        if not shelf.is_dir():
            return []
        numbers = [int(entry.name) for entry in shelf.iterdir() if entry.name.isdecimal()]
        # A listing may miss a folder that is renamed meanwhile, but never one that was there before it began. Lower
        # numbers were there before higher ones, so look for all of them by name.
        cards = (_read_card(shelf / str(number)) for number in range(1, max(numbers, default=0) + 1))
        return [card for card in cards if card is not None]

    def latest(self, name: str) -> ModelVersion:
        """The newest version of a model. Raises NotFoundError if there is none."""
        return self._version(name, None)

    def load(self, name: str, version: int | None = None) -> Any:
        """The model of a version, the newest if none is given. Unpickles: only load what you trust.

        Raises NotFoundError if there is no such version, ArtifactDamagedError if its bytes have changed.
        """
        found = self._version(name, version)
        path = Path(found.folder) / _MODEL
        content = path.read_bytes()
        if blake3(content).hexdigest() != found.digest:
            raise ArtifactDamagedError(
                f"{path} is not what was registered as {name} version {found.version}",
                remedy="Delete the folder of the version and register the model again.",
            )
        return pickle.loads(content)

    def promote(self, name: str, version: int | None = None, stage: str = "production") -> ModelVersion:
        """Make a version (the newest if none is given) the one of a stage, and tell it as the event `model.promoted`, which
        triggers may follow (`model_promoted`). Promoting the version that the stage has already changes nothing.

        Raises NotFoundError if there is no such version, ValueError for a stage that cannot name a file.
        """
        found = self._version(name, version)
        promoted = self._promoted(name, stage)
        if promoted is None or promoted["version"] != found.version:
            identity = uuid.uuid4().hex
            promoted = {"version": found.version, "id": identity, "promoted_at": _now()}
            path = self._stage(name, stage)
            path.parent.mkdir(exist_ok=True)
            aside = path.with_name(f".new-{identity}")
            _write(aside, json.dumps(promoted, indent=2).encode())
            aside.replace(path)
        # one who ended before it was told tells it when he promotes again; twice, it counts once
        data = {"model": name, "version": found.version, "stage": stage}
        emit("model.promoted", data, subject=name, source=f"penstock/model/{name}", id=str(promoted["id"]))
        return found

    def at_stage(self, name: str, stage: str = "production") -> ModelVersion:
        """The version of a model that was promoted to a stage last. Raises NotFoundError if none was."""
        promoted = self._promoted(name, stage)
        if promoted is None:
            raise NotFoundError(
                f"no version of {name} was promoted to {stage} in {self.folder}",
                remedy=f"Promote one: registry.promote({name!r}, VERSION, {stage!r}).",
            )
        return self._version(name, promoted["version"])

    def _promoted(self, name: str, stage: str) -> dict[str, Any] | None:
        path = self._stage(name, stage)
        try:
            document = json.loads(path.read_bytes())
            return {"version": int(document["version"]), "id": str(document["id"])}
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{path} is not the record of a stage: {error}", remedy="Delete it, and promote again."
            ) from None

    def _stage(self, name: str, stage: str) -> Path:
        if not _NAME.fullmatch(stage):
            raise ValueError(f"{stage!r} cannot name a stage; use letters, digits, '.', '_' and '-'")
        return self._shelf(name) / _STAGES / f"{stage}.json"

    def _version(self, name: str, number: int | None) -> ModelVersion:
        versions = self.versions(name)
        if not versions:
            raise NotFoundError(f"there is no model {name!r} in {self.folder}", remedy="Register one first.")
        for version in reversed(versions):
            if number is None or version.version == number:
                return version
        known = ", ".join(str(version.version) for version in versions)
        raise NotFoundError(f"{name} has no version {number} in {self.folder}", remedy=f"Its versions are: {known}.")

    def _shelf(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-'")
        return self.folder / name


class _PlainPickler(_Pickler):
    """Writes texts out wherever they are met.

    Which equal texts are one object depends on the process and not on the model, so it must not show in the bytes.
    """

    def memoize(self, obj: Any) -> None:
        if type(obj) not in (str, bytes):
            super().memoize(obj)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _content(model: Any) -> bytes:
    """The pickle of a model, the same for the model as it was trained and as it was loaded."""
    # The round trip settles what else a pickle tells of how a model came about, such as which arrays are views of one
    # another. Protocol 4, because 5 also tells which arrays are read-only.
    again = pickle.loads(pickle.dumps(model, protocol=4))
    content = io.BytesIO()
    _PlainPickler(content, protocol=4).dump(again)
    return content.getvalue()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _made_with(model: Any) -> dict[str, str]:
    library = type(model).__module__.partition(".")[0]
    version = getattr(sys.modules.get(library), "__version__", None)
    return {"python": platform.python_version()} | ({library: version} if isinstance(version, str) else {})


def _publish(card: ModelVersion, content: bytes) -> bool:
    """Make the folder of a version appear with all that is in it; false if the number is already taken."""
    target = Path(card.folder)
    aside = target.parent / f".new-{uuid.uuid4().hex}"
    aside.mkdir(parents=True)
    try:
        _write(aside / _MODEL, content)
        document = {key: value for key, value in asdict(card).items() if key != "folder"}
        _write(aside / _CARD, json.dumps(document, indent=2).encode())
        aside.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read_card(folder: Path) -> ModelVersion | None:
    try:
        document = json.loads((folder / _CARD).read_bytes())
        return ModelVersion(**document, folder=str(folder))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{folder / _CARD} is not a model card: {error}", remedy="Restore it, or delete the folder."
        ) from None
