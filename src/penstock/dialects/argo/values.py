"""How values are handed from task to task in Argo: as text in parameters, or as files in artifacts."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from penstock.dialects.portable.forms import Form

#: `text`: as it is; `json`: as JSON; `each`: a list with the results of a fan-out, those that are neither lists nor
#: dicts as JSON texts; `file`: in an artifact, by pickle or as it is
Mode = Literal["text", "json", "each", "file"]


class Value(NamedTuple):
    """Where a value is to be had in a template."""

    #: as an expression of Argo's: `tasks['load'].outputs.parameters.result`
    path: str
    mode: Mode
    form: Form = "json"
    #: what the results of a fan-out over a dict are called
    keys: tuple[str, ...] = ()
    #: where it may be missing: how the task ended, and the text that stands for it then
    unless: tuple[str, str] | None = None
    #: the path is more than that of a value
    computed: bool = False

    @property
    def argument(self) -> str:
        """The value as that of a parameter, or as the source of an artifact."""
        if self.unless is not None:
            condition, instead = self.unless
            return f"{{{{={condition} ? {self.path} : {text(instead)}}}}}"
        if self.computed:
            constant = re.fullmatch(r"'([^'\\]*)'", self.path)
            return constant[1] if constant else f"{{{{={self.path}}}}}"
        plain = re.sub(r"\['([^']+)'\]", r".\1", self.path)
        return f"{{{{{plain}}}}}"


def text(value: str) -> str:
    """A text as a literal of Argo's expressions."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def decoding(name: str, value: Value) -> str:
    """The line of a script that reads an operand."""
    given = f'os.environ["input_{name}"]'
    match value.mode:
        case "text":
            return f"{name} = {given}"
        case "file" if value.form == "path":
            return f'{name} = Path("/tmp/inputs/{name}")'
        case "file":
            return f'{name} = pickle.loads(Path("/tmp/inputs/{name}").read_bytes())'
        case "json":
            return f"{name} = json.loads({given})"
        case "each":
            listed = f"[json.loads(each) if isinstance(each, str) else each for each in json.loads({given})]"
            keys = f"dict(zip({list(value.keys)!r}, {listed}))" if value.keys else listed
            if value.unless is not None and value.unless[1] == "null":
                return f'{name} = None if {given} == "null" else {keys}'
            return f"{name} = {keys}"


__all__ = ["Mode", "Value", "decoding", "text"]
