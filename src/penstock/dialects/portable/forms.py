"""How values go from task to task in systems that hand over text or files."""

from __future__ import annotations

import ast
import re
from typing import Any, Literal

#: `json`: as JSON text, of a type that is not known; `pickle`: in a file; `path`: the file or folder itself; `none`:
#: there is no value
Form = Literal["int", "float", "bool", "str", "list", "dict", "json", "pickle", "path", "none"]
#: those that go as files
FILES: frozenset[Form] = frozenset({"pickle", "path"})

_SCALARS: dict[str, Form] = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "str",
    "None": "none",
    "NoneType": "none",
}
_WORDS = re.compile(r"[A-Za-z_][\w.]*")
#: names of types whose values JSON holds as they are
_PLAIN = frozenset({"int", "float", "bool", "str", "None", "list", "dict", "Any", "object", "List", "Dict", "Literal"})
_PLAIN_OTHER = frozenset({"Sequence", "Mapping", "Iterable", "Optional", "Union", "typing", "Iterator", "Generator"})


def form_of(annotation: str) -> Form:
    """The form of the values of a type, which is given as text. Types that are not plain go by pickle."""
    text = annotation.replace("typing.", "").strip()
    if text in _SCALARS:
        return _SCALARS[text]
    if (listed := choices(text)) and all(isinstance(each, str) for each in listed):
        return "str"
    if text in ("Path", "pathlib.Path", "PosixPath"):
        return "path"
    words = [each.rpartition(".")[2] for each in _WORDS.findall(re.sub(r"'[^']*'|\"[^\"]*\"", "", text))]
    if not all(each in _PLAIN or each in _PLAIN_OTHER for each in words):
        return "pickle"
    if "|" not in text and words and words[0] in ("list", "List"):
        return "list"
    if "|" not in text and words and words[0] in ("dict", "Dict"):
        return "dict"
    return "json"


def choices(annotation: str) -> list[Any]:
    """The values that a type lists: of `Literal["a", "b"]`; none where it lists none."""
    listed = re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", annotation.strip())
    try:
        return [] if listed is None else list(ast.literal_eval(f"[{listed[1]}]"))
    except (SyntaxError, ValueError):
        return []


def element_of(annotation: str) -> str:
    """The type of the elements of a list type; `Any` where it is not known."""
    match = re.fullmatch(r"(?:typing\.)?(?:list|List|Sequence|Iterable|Iterator)\[(.+)\]", annotation.strip())
    return match[1] if match else "Any"


def holds_whole_numbers(annotation: str) -> bool:
    """Whether whole numbers may be in the values of a list or dict type."""
    words = _WORDS.findall(annotation)
    inner = [each for each in words if each not in ("list", "dict", "List", "Dict", "str", "float", "bool", "None")]
    return (
        not words[1:]
        or bool(inner)
        or (words.count("dict") + words.count("list") > 1 and words[-1] in ("dict", "list"))
    )


__all__ = ["FILES", "Form", "choices", "element_of", "form_of", "holds_whole_numbers"]
