"""PyTorch modules, tensors and state dictionaries, in PyTorch's own file format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from penstock.errors import OutputError
from penstock.fingerprint.framing import digest, frame
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import arrays
from penstock.values.codec import Encoded, Sink, loaded, module, type_name, with_suffix
from penstock.values.jsonable import shown


class Torch:
    """The family of modules, tensors and state dictionaries. `structure_of` tells the digest of modules by their
    structure, and the user's own classes in it."""

    name = "torch"

    def __init__(
        self, structure_of: Callable[[Any], tuple[bytes | None, tuple[str, ...]]], trust: Trust = NO_KEYS
    ) -> None:
        self._structure_of = structure_of
        self._trust = trust

    def accepts(self, value: Any) -> bool:
        torch = loaded("torch")
        if torch is None:
            return False
        return isinstance(value, (torch.Tensor, torch.nn.Module)) or _is_state(value, torch)

    def encode(self, value: Any) -> Encoded:
        def write(sink: Sink) -> None:
            for piece in self._trust.sealed([_saved(value)]):
                sink.write(piece)

        digest, classes = self._structure_of(value)
        return Encoded(write, digest=digest, classes=classes)

    def decode(self, data: memoryview) -> Any:
        torch = module("torch")

        place = None if torch.cuda.is_available() else "cpu"
        return torch.load(io.BytesIO(self._trust.opened(data)), map_location=place, weights_only=False)

    def preview(self, value: Any) -> dict[str, Any]:
        torch = loaded("torch")
        if isinstance(value, torch.Tensor):
            return {"kind": "tensor", **_described(value), "head": shown(value.detach().reshape(-1)[:10].tolist())}
        if isinstance(value, torch.nn.Module):
            count = sum(parameter.numel() for parameter in value.parameters())
            return {"kind": "module", "class": type_name(type(value)), "parameters": count, "text": str(value)[:2000]}
        return {"kind": "state", "tensors": {str(name): _described(part) for name, part in value.items()}}

    def export(self, value: Any, path: Path) -> Path:
        path = with_suffix(path, ".pt", ".pth")
        path.write_bytes(_saved(value))
        return path


def identify(value: Any, of: Callable[[Any], bytes]) -> bytes | None:
    """The digest of a tensor by its content, None for anything else."""
    torch = loaded("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    if value.layout is not torch.strided or value.is_quantized:
        return None
    about = frame([type_name(type(value)), str(value.dtype), list(value.shape), value.requires_grad])
    # Through bytes, because NumPy does not know all of the dtypes.
    content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return digest("tensor", about, arrays.hashed(arrays.raw(content)))


def _is_state(value: Any, torch: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(part, torch.Tensor) for part in cast("dict[Any, Any]", value).values())


def _saved(value: Any) -> bytes:
    cloudpickle = module("cloudpickle")
    torch = module("torch")

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer, pickle_module=cloudpickle)
    except Exception as error:
        raise OutputError(
            f"a value of type {type_name(type(value))} cannot be stored: {error}",
            remedy="Return its state_dict(), or leave out the attributes that cannot be pickled.",
        ) from error
    return buffer.getvalue()


def _described(tensor: Any) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
