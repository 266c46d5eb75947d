"""What a file of Kubeflow Pipelines says, as data: components, and the steps of a pipeline.

Python files, compiled pipelines and `component.yaml` files are read into these; `lowering` makes penstock's own nodes of
them, and `ir.writing` compiled pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from penstock.model.place import Location

#: the types of parameters, as compiled pipelines call them
ParameterType: TypeAlias = Literal[
    "STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "LIST", "STRUCT", "TASK_FINAL_STATUS"
]

NOWHERE = Location("<unknown>", 0)


class ArtifactType(msgspec.Struct, frozen=True):
    """A class of artifacts: `system.Dataset`."""

    title: str = "system.Artifact"
    version: str = "0.0.1"


class Input(msgspec.Struct, frozen=True):
    """An input of a component or of a pipeline."""

    name: str
    type: ParameterType | ArtifactType
    #: of a parameter that is `optional`; None for none
    default: Any = None
    #: it may be left out
    optional: bool = False
    #: a list of artifacts of the type
    listed: bool = False
    description: str = ""


class Output(msgspec.Struct, frozen=True):
    """An output of a component or of a pipeline."""

    name: str
    type: ParameterType | ArtifactType
    #: a list of artifacts of the type
    listed: bool = False
    description: str = ""


# Where values come from.


class Constant(msgspec.Struct, frozen=True):
    """A value. Text in it may hold placeholders of the run: `{{$.pipeline_job_name}}`."""

    value: Any


class Given(msgspec.Struct, frozen=True):
    """An input of the pipeline that the step is in."""

    name: str


class Produced(msgspec.Struct, frozen=True):
    """An output of a task, in whichever group of the same pipeline it is. A single one is called `Output`."""

    task: str
    output: str = "Output"
    #: parts of the value, from the outside: keys of dicts
    path: tuple[str, ...] = ()


class Item(msgspec.Struct, frozen=True):
    """The item at hand of a loop that the step is in."""

    loop: str
    #: parts of the item, from the outside: keys of dicts
    path: tuple[str, ...] = ()


class Collected(msgspec.Struct, frozen=True):
    """What a task in a loop produced, of every item, as a list."""

    source: Produced


class OneOf(msgspec.Struct, frozen=True):
    """What the branch that was taken produced."""

    options: tuple[Produced, ...]


class Text(msgspec.Struct, frozen=True):
    """Text with values in it: `f"{a.output} and {b.output}"`."""

    parts: tuple[str | Source, ...]


class Nested(msgspec.Struct, frozen=True):
    """A list or a dict that holds other values, anywhere in it: `[a.output, 3]`."""

    #: lists and dicts, with a `Source` at each place that is not constant
    value: Any


class FinalStatus(msgspec.Struct, frozen=True):
    """How the steps that an exit handler follows ended; `exit` is the name of their `Exit`."""

    exit: str


Source: TypeAlias = Constant | Given | Produced | Item | Collected | OneOf | Text | Nested | FinalStatus


# Conditions.


class Comparison(msgspec.Struct, frozen=True):
    """Two values compared."""

    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Source
    right: Source


class Logic(msgspec.Struct, frozen=True):
    """Conditions combined, which only compiled pipelines have. `not` has one operand."""

    operator: Literal["and", "or", "not"]
    operands: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Logic


# What a component does.


class Concat(msgspec.Struct, frozen=True):
    """Parts of a command, put together without anything between them."""

    items: tuple[Word, ...]


class IfPresent(msgspec.Struct, frozen=True):
    """Parts of a command that are there where an optional input is given, and others where it is not."""

    input: str
    then: tuple[Word, ...]
    otherwise: tuple[Word, ...] = ()


#: a part of a command. Text in it holds placeholders: `{{$.inputs.parameters['x']}}`, `{{$.inputs.artifacts['x'].path}}`
#: (`.uri`, `.metadata`, `.metadata['k']`), `{{$.outputs.parameters['x'].output_file}}`, `{{$.outputs.artifacts['x'].path}}`
Word: TypeAlias = str | Concat | IfPresent


class Python(msgspec.Struct, frozen=True):
    """A Python function. What is not in a file of Python is found by its source."""

    function: Callable[..., Any]
    #: the source of the function alone, without decorators, from the left margin
    source: str
    #: None for Kubeflow's own choice
    base_image: str | None = None
    packages: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    install_kfp: bool = True
    #: the version of kfp that a compiled pipeline installs; empty for that which writers name
    kfp_version: str = ""
    #: the image that holds the function, of components that are put in images; None for none
    target_image: str | None = None
    #: how a worker finds the function in a file that is not of Python (see `Dialect.find`); empty for by its name
    reference: str = ""


class Container(msgspec.Struct, frozen=True):
    """A program in a container."""

    image: str
    command: tuple[Word, ...] = ()
    arguments: tuple[Word, ...] = ()
    environment: Mapping[str, str] = {}


class Importer(msgspec.Struct, frozen=True):
    """Takes something that is there already as an artifact, which is the output `artifact`.

    Where the address comes from an input of the component, that is called `uri`.
    """

    uri: Source
    type: ArtifactType
    reimport: bool = False
    metadata: Mapping[str, Any] = {}


class Graph(msgspec.Struct, frozen=True):
    """The steps of a pipeline."""

    steps: tuple[Step, ...]
    #: output -> where it comes from
    outputs: Mapping[str, Source] = {}

    def tasks(self) -> Iterator[Task]:
        """Every task, in the order of the file, those in groups and exit handlers included."""
        return _tasks(self.steps)


Implementation: TypeAlias = Python | Container | Importer | Graph


class Component(msgspec.Struct, frozen=True):
    """Something that can be a task: a component, or a pipeline."""

    #: as compiled pipelines call it: `train-model`
    name: str
    implementation: Implementation
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    description: str = ""
    display_name: str = ""
    #: of a pipeline
    pipeline_root: str = ""
    location: Location = NOWHERE

    def input(self, name: str) -> Input | None:
        return next((each for each in self.inputs if each.name == name), None)

    def output(self, name: str) -> Output | None:
        return next((each for each in self.outputs if each.name == name), None)


# The steps of a pipeline.


class Retry(msgspec.Struct, frozen=True):
    """How often a task that failed is tried again. Delays are in seconds."""

    count: int
    delay: float = 0.0
    factor: float = 2.0
    longest: float = 3600.0


class Resources(msgspec.Struct, frozen=True):
    """What a task takes, as it was written: `500m`, `4Gi`; a placeholder of an input as well. Empty for nothing said."""

    cpu_request: str = ""
    cpu_limit: str = ""
    memory_request: str = ""
    memory_limit: str = ""
    accelerator: str = ""
    accelerators: str = ""


class TaskSettings(msgspec.Struct, frozen=True):
    """How a task is run."""

    display_name: str = ""
    #: None where nothing is said: what is said of the pipeline, or else yes
    caching: bool | None = None
    cache_key: str = ""
    retry: Retry | None = None
    resources: Resources = Resources()
    environment: Mapping[str, str] = {}
    #: instead of that of the component; empty for none
    image: str = ""
    ignore_upstream_failure: bool = False
    #: platform -> what is said for it alone (see `kfp.kubernetes`), as compiled pipelines hold it
    platforms: Mapping[str, Mapping[str, Any]] = {}


class Task(msgspec.Struct, frozen=True):
    """A component called with arguments. Names are unique in a pipeline, whichever group a task is in: `train-2`."""

    name: str
    component: Component
    #: input -> where it comes from; a list where several artifacts are given one by one
    arguments: Mapping[str, Source | tuple[Source, ...]] = {}
    #: the names of tasks and groups to wait for
    after: tuple[str, ...] = ()
    settings: TaskSettings = TaskSettings()
    location: Location = NOWHERE


class Branch(msgspec.Struct, frozen=True):
    """Steps under a condition; None for `Else`. The conditions of the branches before it did not hold."""

    name: str
    condition: Condition | None
    steps: tuple[Step, ...]


class Branches(msgspec.Struct, frozen=True):
    """`If`, `Elif` and `Else`: the first branch whose condition holds."""

    #: `condition-branches-1`; empty for a single `If` or `Condition`
    name: str
    branches: tuple[Branch, ...]
    location: Location = NOWHERE


class Loop(msgspec.Struct, frozen=True):
    """`ParallelFor`: steps for every item of a list."""

    #: `for-loop-1`
    name: str
    items: Source
    steps: tuple[Step, ...]
    #: the most items that are under way at once; 0 for any number
    parallelism: int = 0
    #: the items are artifacts of this type; None for parameters
    artifacts: ArtifactType | None = None
    location: Location = NOWHERE


class Exit(msgspec.Struct, frozen=True):
    """`ExitHandler`: a task that runs once some steps have ended, in whichever way."""

    #: `exit-handler-1`
    name: str
    handler: Task
    steps: tuple[Step, ...]
    location: Location = NOWHERE


Step: TypeAlias = Task | Branches | Loop | Exit


def _tasks(steps: tuple[Step, ...]) -> Iterator[Task]:
    for step in steps:
        match step:
            case Task():
                yield step
            case Branches():
                for branch in step.branches:
                    yield from _tasks(branch.steps)
            case Loop():
                yield from _tasks(step.steps)
            case Exit():
                yield from _tasks(step.steps)
                yield step.handler


#: the types of parameters by what Python, and the first version of Kubeflow, call them
PARAMETER_TYPES: Mapping[str, ParameterType] = {
    "str": "STRING",
    "string": "STRING",
    "text": "STRING",
    "int": "NUMBER_INTEGER",
    "integer": "NUMBER_INTEGER",
    "float": "NUMBER_DOUBLE",
    "double": "NUMBER_DOUBLE",
    "bool": "BOOLEAN",
    "boolean": "BOOLEAN",
    "list": "LIST",
    "jsonarray": "LIST",
    "dict": "STRUCT",
    "jsonobject": "STRUCT",
    "mapping": "STRUCT",
    "pipelinetaskfinalstatus": "TASK_FINAL_STATUS",
}
