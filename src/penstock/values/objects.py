"""Any other object, by cloudpickle: the last resort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from penstock.errors import OutputError, UntrustedError
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import pickles
from penstock.values.codec import Encoded, module, type_name, with_suffix
from penstock.values.identity import structure_of
from penstock.values.jsonable import shown, shown_text


class Objects:
    """The family of everything else. `notice` is told, once for each type, that it is pickled."""

    name = "pickle"

    def __init__(self, *, allowed: bool, notice: Callable[[str], None], trust: Trust = NO_KEYS) -> None:
        self._trust = trust
        self._allowed = allowed
        self._notice = notice
        self._told: set[type] = set()

    def accepts(self, value: Any) -> bool:
        return True

    def encode(self, value: Any) -> Encoded:
        """Raises OutputError if pickling is switched off, or impossible."""
        kind = cast(Any, type(value))
        if not self._allowed:
            raise OutputError(
                f"a value of type {type_name(kind)} can only be stored by pickling, which is switched off",
                remedy="Return plain data, a frame, an array, a model, a dataclass or a Path; register a codec for the "
                "type (entry point group penstock.values); or allow pickling.",
            )
        content = pickles.dump(value, self._trust)
        if kind not in self._told:
            self._told.add(kind)
            self._notice(
                f"values of type {type_name(kind)} are stored by cloudpickle: they can only be read where the same "
                "code and package versions are installed"
            )
        digest, classes = structure_of(value)
        return Encoded(content, digest=digest, classes=classes)

    def decode(self, data: memoryview) -> Any:
        """Raises UntrustedError if pickling is switched off, or the pickle must not be loaded."""
        if not self._allowed:
            raise UntrustedError(
                "a stored value is a pickle, and pickling is switched off",
                remedy="Run what made it again, so that it is stored as something else; or allow pickling.",
            )
        return pickles.load(data, self._trust)

    def preview(self, value: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = getattr(value, "__dict__", {})
        shown_attributes = {name: shown(part, depth=1) for name, part in list(attributes.items())[:20]}
        text = shown_text(repr(value), 500)
        return {"kind": "object", "class": type_name(type(value)), "text": text, "attributes": shown_attributes}

    def export(self, value: Any, path: Path) -> Path:
        cloudpickle = module("cloudpickle")

        path = with_suffix(path, ".pkl", ".pickle")
        path.write_bytes(cloudpickle.dumps(value))
        return path
