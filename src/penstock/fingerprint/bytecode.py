"""What there is to know of a function whose source is not to be had: typed at a prompt, made by `exec`, `python -c`.

The compiled code is normalised like a syntax tree: positions and docstrings of functions do not count. It says a little more than
a tree would: it depends on the release of Python, and on some ways of writing the same thing.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType
from typing import Any, Final, cast

from penstock.fingerprint.framing import digest
from penstock.fingerprint.syntax import Import, Reading, Reference

_LOADS: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
#: the flags of a code object that say how it runs, and not what its module imported from `__future__`
_BEHAVIOUR: Final = 0x3FF


def read(code: CodeType) -> Reading:
    """Read a code object as `syntax.read` reads a tree."""
    references = dict.fromkeys(reference for part in _nested(code) for reference in _references(part))
    return Reading(text=flatten(code), references=tuple(references))


def flatten(code: CodeType) -> bytes:
    """The digest of what a code object does, without where it stands in its file."""
    # Instructions show their constants and variables here, where in the code they number them: a docstring is a
    # constant too, and would shift the numbers.
    instructions = (f"{step.opname} {step.argval!r}".encode() for step in _instructions(code))
    shape = (
        code.co_name,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & _BEHAVIOUR,
    )
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return digest("bytecode", repr((shape, names)).encode(), code.co_exceptiontable, *instructions)


def attributes_set(code: CodeType) -> frozenset[str]:
    """The names of the attributes, of whatever, that a code object sets."""
    return frozenset(step.argval for step in dis.get_instructions(code) if step.opname == "STORE_ATTR")


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    """The instructions, with the digests of constants in place of constants, which dis would write out."""
    return dis.get_instructions(code.replace(co_consts=tuple(_constant(value) for value in code.co_consts)))


def _constant(value: Any) -> bytes:
    if isinstance(value, CodeType):
        return flatten(value)
    if type(value) is tuple:
        return digest("tuple", *(_constant(item) for item in cast(tuple[Any, ...], value)))
    if type(value) is frozenset:
        # its order varies from process to process
        return digest("frozenset", *sorted(_constant(item) for item in cast(frozenset[Any], value)))
    text = f"{value:x}" if type(value) is int else repr(value)
    return digest(type(value).__name__, text.encode("utf-8", "surrogatepass"))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _nested(value)


def _references(code: CodeType) -> Iterator[Reference]:
    path: list[str] = []
    module: str | None = None
    for instruction in _instructions(code):
        name: Any = instruction.argval
        if path and instruction.opname in _ATTRIBUTES:
            path.append(name)
            continue
        if path:
            yield Reference(tuple(path), code.co_firstlineno)
            path = []
        if instruction.opname in _LOADS:
            path = [name]
        elif instruction.opname == "IMPORT_NAME":
            module = name
            yield Reference((name,), code.co_firstlineno, Import(name))
        elif instruction.opname == "IMPORT_FROM" and module is not None:
            yield Reference((name,), code.co_firstlineno, Import(module, name))
