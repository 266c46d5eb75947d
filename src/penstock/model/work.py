"""What goes to an executor and what comes back from it."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import msgspec

from penstock.model.action import CommandAction, ContainerAction, Environment
from penstock.model.event import Fault
from penstock.model.graph import Port
from penstock.model.value import Argument, Artifact, Description


class Imported(msgspec.Struct, frozen=True, tag="imported"):
    """A function that a worker can import. `file` is set when the module was loaded from a file by its path.

    Of a module in another system's `dialect`, `qualname` may also be what only the dialect finds: see `Dialect.find`.
    """

    module: str
    qualname: str
    file: str | None = None
    #: name of the dialect that the module is written in; empty for penstock's own
    dialect: str = ""


class Pickled(msgspec.Struct, frozen=True, tag="pickled"):
    """A function that only exists in the driver (a script's main module, a notebook, a closure), by cloudpickle."""

    data: bytes


class Local(msgspec.Struct, frozen=True, tag="local"):
    """A function of this process, by the key of its task in the graph; only for running inline."""

    key: str


class Program(msgspec.Struct, frozen=True, tag="program"):
    """A command, by itself or in a container."""

    action: CommandAction | ContainerAction


Code = Imported | Pickled | Local | Program


class Work(msgspec.Struct, frozen=True):
    """What is the same for every attempt at a node, and at others that are like it; sent to each worker once.

    `number` is its name in jobs and reports: the place of the node, or of the first of them, among `Graph.nodes`.
    """

    number: int
    run_id: str
    node: str
    task: str
    code: Code
    ports: tuple[Port, ...]
    outputs: tuple[Port, ...]
    record: str | None
    #: inputs that do not vary from item to item
    inputs: dict[str, Argument]
    #: how an attempt shares its process with others
    run_in: Literal["process", "thread", "loop"] = "process"
    #: seconds after which an attempt is ended
    timeout: float | None = None
    #: asks the exception whether to repeat the attempt
    retry_if: Code | None = None
    #: a falsy result means: not yet
    waits: bool = False
    #: the function is a generator
    yields: bool = False
    environment: Environment | None = None
    #: cores that an attempt is meant to use; 1 where nobody has said
    cpu: float = 1.0
    #: environment variable -> reference to the secret that it holds
    secrets: dict[str, str] = {}
    #: outputs may contain secrets
    allow_secrets: bool = False


class Job(msgspec.Struct, frozen=True, array_like=True):
    """One attempt to be made. `inputs` are those that vary from item to item."""

    work: int
    item: int
    attempt: int
    inputs: dict[str, Argument]
    #: most bytes of memory for the process; 0 for no limit
    memory: int = 0
    #: indices of the GPUs that the attempt may see; None for all there are
    devices: tuple[int, ...] | None = None
    #: id of the node, and the item, as the task is to see them; None where they are those of the work and the job.
    #: Where there is one, `item` only tells jobs apart
    cell: tuple[str, int] | None = None


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an attempt took. Times in seconds, memory in bytes; `started_at` is seconds since the epoch."""

    started_at: float
    duration: float
    cpu: float = 0.0
    #: the most memory that the process held while the attempt ran
    peak_memory: int = 0
    #: process id of the worker
    worker: int = 0


class Metric(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A number logged by a task."""

    name: str
    value: float
    step: int | None = None
    #: seconds since the epoch
    at: float = 0.0


#: the stream of lines that penstock itself has to say about an attempt
NOTICE = "notice"


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A line of text that a task wrote. `stream` is stdout, stderr, the level of a log record in lower case, or NOTICE."""

    stream: str
    text: str
    #: seconds since the epoch
    at: float = 0.0


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """An artifact that a task logged under a name, besides its outputs."""

    name: str
    artifact: Artifact


class Report(msgspec.Struct, frozen=True, array_like=True):
    """The root of what executors report. `work`, `item` and `attempt` name the job."""

    work: int
    item: int
    attempt: int


class Done(Report, frozen=True, array_like=True, tag="done"):
    """The attempt returned."""

    outputs: tuple[Argument, ...]
    usage: Usage
    descriptions: tuple[Description, ...] = ()


class Erred(Report, frozen=True, array_like=True, tag="erred"):
    """The attempt raised, or its process died."""

    fault: Fault
    usage: Usage


class Unstarted(Report, frozen=True, array_like=True, tag="unstarted"):
    """The job never started, because its worker died of something else; it may be submitted again."""


class Declined(Report, frozen=True, array_like=True, tag="declined"):
    """The attempt asked to be skipped."""

    reason: str
    usage: Usage


class NotYet(Report, frozen=True, array_like=True, tag="not-yet"):
    """What the attempt waits for is not there. `after`: in how many seconds to ask again, and `why`: what is missing,
    where the task has said so."""

    usage: Usage
    after: float | None = None
    why: str = ""


class Yield(Report, frozen=True, array_like=True, tag="yield"):
    """A generator that is still under way has yielded a value; `index` counts from 0."""

    index: int
    output: Artifact


class Told(Report, frozen=True, array_like=True, tag="told"):
    """What an attempt that is still under way has to say."""

    lines: tuple[Line, ...] = ()
    metrics: tuple[Metric, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    descriptions: tuple[Description, ...] = ()
    #: (done, total) of the latest call of `progress`
    progress: tuple[float, float] | None = None
    #: that of the job
    cell: tuple[str, int] | None = None


AnyReport = Done | Erred | Declined | NotYet | Yield | Unstarted | Told


class WorkerSettings(msgspec.Struct, frozen=True):
    """What a worker process needs to know before it can do anything.

    `values` names the function (`module:function`) that makes the worker's `Values` from `storage`.
    """

    values: str
    storage: dict[str, Any]
    #: entries to put at the front of sys.path
    path: tuple[str, ...] = ()
    #: modules to import before the first job, so that they are imported once
    modules: tuple[Imported, ...] = ()
    parameters: dict[str, Any] = {}
    #: folder for the Python environments of tasks
    environments: str = ""
    #: what penstock needs in these, beside what it always does
    needs: tuple[str, ...] = ()

    def make_values(self) -> Any:
        """The `Values` of a worker."""
        module, _, name = self.values.partition(":")
        return getattr(importlib.import_module(module), name)(self.storage)
