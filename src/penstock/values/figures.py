"""Figures of matplotlib: kept as figures, and as the picture that they show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from penstock.fingerprint.framing import digest
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import pickles
from penstock.values.arrays import hashed
from penstock.values.codec import Encoded, loaded, with_suffix

#: pixels across the picture in a preview
_THUMBNAIL = 320


class Figures:
    """The family of figures. Two figures are the same if they look the same."""

    name = "figure"

    def __init__(self, trust: Trust = NO_KEYS) -> None:
        self._trust = trust

    def accepts(self, value: Any) -> bool:
        figure = loaded("matplotlib.figure")
        return figure is not None and isinstance(value, figure.Figure)

    def encode(self, value: Any) -> Encoded:
        picture = hashed(memoryview(_png(value, value.dpi)))
        return Encoded(pickles.dump(value, self._trust), digest=digest("figure", picture))

    def decode(self, data: memoryview) -> Any:
        return pickles.load(data, self._trust)

    def preview(self, value: Any) -> dict[str, Any]:
        width, height = value.get_size_inches()
        import base64

        thumbnail = base64.b64encode(_png(value, _THUMBNAIL / width)).decode()
        return {"kind": "figure", "inches": [float(width), float(height)], "axes": len(value.axes), "png": thumbnail}

    def export(self, value: Any, path: Path) -> Path:
        path = with_suffix(path, ".png", ".svg", ".pdf", ".jpg", ".jpeg")
        value.savefig(path)
        return path


def _png(figure: Any, dpi: float) -> bytes:
    buffer = io.BytesIO()
    # Without the name of the program, which has its version in it.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
