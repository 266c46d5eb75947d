"""What makes computations the same, in a form that can be kept and compared: the code of tasks, and what a run had."""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock.model.value import Argument


class CodePart(msgspec.Struct, frozen=True, array_like=True):
    """One thing that code consists of or reaches.

    `name` is `module:qualname` for a function or a class, `module:*` for a module as a whole, `module:<import>` for
    what it does to others while it is imported, `constant:module:NAME` for
    a value, `package:name==version` for an installed package or Python itself, `file:name` for a file that a command
    reads, `command:` or `container:` with the name of a task for a program.
    """

    name: str
    #: 32 bytes; equal for what does the same, however it is written
    digest: bytes
    #: the file in which it is defined, from the project's folder where it is inside; empty for what has none
    file: str = ""
    #: first and last line in that file, from 1; 0 where there are none
    first: int = 0
    last: int = 0
    #: digest of the text of that file, see `SourceText`; empty where it is not kept
    text: bytes = b""
    #: what a value is, shortened, for people; of a program, its text
    shown: str = ""


class SourceText(msgspec.Struct, frozen=True, array_like=True):
    """The text of a file of the user's own, as it was when it was loaded. Known by the BLAKE3 digest of its UTF-8."""

    digest: bytes
    text: str


class ModuleSource(msgspec.Struct, frozen=True, array_like=True):
    """A module of the user's own that a task reaches."""

    #: dotted name
    module: str
    #: from the folder on `sys.path` that it is found in, such as `package/module.py`
    file: str
    #: digest of its `SourceText`
    text: bytes


class TaskIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What the code of a task, or of a class or a function in a value, is, and what of it counts."""

    #: 32 bytes; what enters fingerprints
    digest: bytes
    kind: Literal["function", "command", "container"] = "function"
    #: of a function: `module:qualname`, by which it can be imported; empty where it cannot (a lambda, a closure)
    function: str = ""
    #: the class that several outputs make up, as `module:qualname`; empty where there is none
    record: str = ""
    #: sorted by name; the first part is the task itself where there is one of its name
    parts: tuple[CodePart, ...] = ()
    #: what cannot be seen without running the code, in words, each with its `file:line`
    limits: tuple[str, ...] = ()
    #: the modules of the user's own that are needed to import the function again
    modules: tuple[ModuleSource, ...] = ()
    #: files that were edited after the process that started the run had loaded them: the attempts, which were made in
    #: other processes, ran what had become of these files, of which nothing else here tells
    edited: tuple[str, ...] = ()
    #: variables, by their full names, that were set from outside of their modules in the process that started the run;
    #: the attempts, which were made in other processes, did not have them so
    altered: tuple[str, ...] = ()


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What the fingerprints of a run are made of, besides its graph and its journal."""

    #: by name, as tasks are given them
    parameters: dict[str, Argument] = {}
    #: key in `Graph.tasks` -> digest of the task's `TaskIdentity`
    tasks: dict[str, bytes] = {}
    #: file or folder that a task declares that it reads, as an absolute path -> digest of its content
    files: dict[str, bytes] = {}
    #: class or function of the user's own in an input, as in `Artifact.classes` -> digest of its `TaskIdentity`
    classes: dict[str, bytes] = {}
