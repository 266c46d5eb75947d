"""What a task does, as data: a call of a Python function, a command, a container, a question."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from penstock.model.place import Location


class PythonAction(msgspec.Struct, frozen=True, tag="python"):
    """A call of a Python function."""

    module: str
    qualname: str
    location: Location


class Catch(msgspec.Struct, frozen=True):
    """Where an output of a command comes from: what it writes to stdout, a file it leaves, or its exit code.

    `read` says what becomes of the bytes: text without its last newline, lines, JSON, a number, bytes, or the file (or
    folder) itself.
    """

    source: Literal["stdout", "file", "exit_code"]
    read: Literal["text", "lines", "json", "int", "float", "bytes", "path"] = "text"
    #: of the file, relative to the folder that the command runs in
    path: str = ""


class CommandAction(msgspec.Struct, frozen=True, tag="command"):
    """A program. `{name}` in the arguments, the environment and the paths of outputs stands for an input, as in
    `penstock.model.template`.

    Its inputs go by keyword. Its one output is a value if it is called `result`; else the outputs are a dict.
    """

    location: Location
    #: the program and its arguments; or lines for the shell, which ends at the first that fails
    argv: tuple[str, ...] = ()
    shell: str = ""
    environment: dict[str, str] = {}
    #: input -> file that it is written to first, in the scratch folder of the attempt; `{name}` is then its path
    files: dict[str, str] = {}
    #: output -> where it comes from
    catches: dict[str, Catch] = {}
    #: exit codes that count as success; empty: all
    success: tuple[int, ...] = (0,)
    #: exit codes that mean: skip
    skip: tuple[int, ...] = ()
    #: folder to run in; empty for the scratch folder of the attempt
    folder: str = ""
    #: name in the scratch folder -> file or folder of the user's that is there under it, and counts as code
    reads: dict[str, str] = {}


class ContainerAction(msgspec.Struct, frozen=True, tag="container"):
    """A program in a container. The scratch folder of the attempt, with input files in it and output files to come, is
    mounted at `mount`; the program runs there unless the command names another folder of the container."""

    image: str
    command: CommandAction
    mount: str = "/work"
    #: what the attempt may reach: nothing, what the machine does, or what containers do by default
    network: Literal["none", "host", "default"] = "default"
    #: more arguments for the engine's `run`
    arguments: tuple[str, ...] = ()


class Field(msgspec.Struct, frozen=True):
    """A value that is asked for. `type` is an annotation as text: `int`, `bool`, `Literal['a', 'b']`."""

    name: str
    type: str = "str"
    required: bool = True
    default: Any = None
    description: str = ""


class ApprovalAction(msgspec.Struct, frozen=True, tag="approval"):
    """A question to a person. The run waits for the answer and uses nothing meanwhile. Its one output is a
    `penstock.Approval`. The inputs of the task are shown with the question."""

    question: str
    location: Location
    fields: tuple[Field, ...] = ()
    #: seconds after the question was asked by which it must be answered; None for no limit
    deadline: float | None = None
    #: what counts as the answer when the deadline passes: approved, rejected; None: the node fails
    default: Literal["approve", "reject"] | None = None
    #: what a rejection does: skip the node (and so what depends on it), fail it, or be the answer like any other
    on_reject: Literal["skip", "fail", "return"] = "skip"


class Environment(msgspec.Struct, frozen=True):
    """A Python environment for one task: requirements, or the text of a lock file or a pyproject file."""

    requirements: tuple[str, ...] = ()
    #: text of a requirements.txt, a uv.lock with its pyproject.toml, or a pyproject.toml alone, by file name
    files: dict[str, str] = {}
    #: version of Python, such as `3.12`; empty for the one that runs penstock
    python: str = ""


class OpaqueAction(msgspec.Struct, frozen=True, tag="opaque"):
    """Something of another system that has no counterpart here. It can be shown, and written for that system again, and
    not be run."""

    #: name of the dialect
    dialect: str
    #: what the system calls it: `BigQueryInsertJobOperator`
    kind: str
    #: as it stands in the user's file
    source: str
    location: Location


Action = PythonAction | CommandAction | ContainerAction | ApprovalAction | OpaqueAction
