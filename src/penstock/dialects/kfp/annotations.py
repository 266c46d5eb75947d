"""What the annotations of components say: `Input[...]`, `Output[...]`, `InputPath(...)`, `OutputPath(...)`."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

T = TypeVar("T")


class InputMarker:
    """Marks an artifact that is read."""


class OutputMarker:
    """Marks an artifact that is written."""


Input = Annotated[T, InputMarker]
Output = Annotated[T, OutputMarker]


class InputPath:
    """The path of a file with an input in it."""

    def __init__(self, type: Any = None) -> None:
        self.type = type

    def __call__(self, *_: Any) -> None:
        """So that it may stand in `Optional[...]`."""


class OutputPath:
    """The path of a file that an output is to be written to."""

    def __init__(self, type: Any = None) -> None:
        self.type = type

    def __call__(self, *_: Any) -> None:
        """So that it may stand in `Optional[...]`."""


__all__ = ["Input", "InputMarker", "InputPath", "Output", "OutputMarker", "OutputPath"]
