"""Parts that most training pipelines need: checks of data, gates on metrics, a registry of models.

Nothing here knows the engine: each part is an ordinary function or class that is called inside a task.
"""

from __future__ import annotations

from penstock.ml.gates import Decision, gate
from penstock.ml.registry import ModelRegistry, ModelVersion
from penstock.ml.validation import Column, InvalidDataError, ValidationReport, Violation, check_frame

__all__ = [
    "Column",
    "Decision",
    "InvalidDataError",
    "ModelRegistry",
    "ModelVersion",
    "ValidationReport",
    "Violation",
    "check_frame",
    "gate",
]
