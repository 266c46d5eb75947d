"""Estimators of scikit-learn, and of everything that follows its protocol."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import pickles
from penstock.values.codec import Encoded, loaded, module, type_name, with_suffix
from penstock.values.identity import structure_of
from penstock.values.jsonable import shown


class Estimators:
    """The family of estimators: stored by cloudpickle, known by their parameters and what they learned."""

    name = "estimator"

    def __init__(self, trust: Trust = NO_KEYS) -> None:
        self._trust = trust

    def accepts(self, value: Any) -> bool:
        base = loaded("sklearn.base")
        return base is not None and isinstance(value, base.BaseEstimator)

    def encode(self, value: Any) -> Encoded:
        content = pickles.dump(value, self._trust)
        digest, classes = structure_of(value)
        return Encoded(content, digest=digest, classes=classes)

    def decode(self, data: memoryview) -> Any:
        return pickles.load(data, self._trust)

    def preview(self, value: Any) -> dict[str, Any]:
        return {
            "kind": "estimator",
            "class": type_name(type(value)),
            "parameters": {name: shown(part) for name, part in sorted(value.get_params(deep=False).items())},
            "fitted": _fitted(value),
        }

    def export(self, value: Any, path: Path) -> Path:
        path = with_suffix(path, ".joblib", ".pkl", ".pickle")
        if path.suffix.lower() == ".joblib":
            joblib = module("joblib")

            joblib.dump(value, path)
        else:
            path.write_bytes(pickle.dumps(value))
        return path


def _fitted(value: Any) -> dict[str, Any]:
    attributes = cast("dict[str, Any]", vars(value))
    names = [name for name in attributes if name.endswith("_") and not name.startswith("_")]
    return {name: _described(attributes[name]) for name in sorted(names)}


def _described(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return {"type": type_name(type(value)), "shape": list(shape)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, (int, float, str, bool, type(None))):
        return shown(value)
    return {"type": type_name(type(value))}
