"""The code of a run's tasks: how executors get at it, and what makes it the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.authoring.importable import code_of
from penstock.authoring.pipeline import Definition
from penstock.authoring.task import Task
from penstock.errors import OutputError
from penstock.fingerprint.framing import digest
from penstock.model.action import CommandAction, ContainerAction, OpaqueAction
from penstock.model.graph import Node, PipelineAction
from penstock.model.graph import Task as TaskNoun
from penstock.model.identity import Basis, TaskIdentity
from penstock.model.value import Argument
from penstock.model.work import Code, Imported, Local, Program
from penstock.ports import Store
from penstock.runtime.capacity.demand import nodes_of
from penstock.runtime.driving.nodes import TaskCode
from penstock.runtime.identities import Identities, record_type
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.runtime.hooks.line import Complaint


class Codes:
    """The code of the tasks of a definition, which may call more of them while it runs. `here` says that attempts are
    made in this very process, `container_arguments` are for the engine of all containers."""

    def __init__(self, definition: Definition, *, here: bool, container_arguments: Sequence[str] = ()) -> None:
        self._definition = definition
        self._here = here
        self._container_arguments = tuple(container_arguments)
        self._codes: dict[str, Code] = {}
        self._predicates: dict[str, Code] = {}
        self._identities: Identities | None = None
        #: a node that calls it, by the key of the task
        self._nodes = {node.task: node.id for node in reversed(definition.graph.nodes)}
        #: whether a node may take results of it from the cache, by the key of the task
        self._cached: dict[str, bool] = {}
        #: the files that all nodes declare that call it, by the key of the task
        self._reads: dict[str, frozenset[str]] = {}
        self._note(definition.graph.nodes, definition.graph.tasks)
        #: by key, once they are identified
        self.tasks: dict[str, TaskCode] = {}
        #: what an executor in this process calls, by key
        self.functions: dict[str, Callable[..., Any]] = {}
        for key, noun in definition.graph.tasks.items():
            self._reach(key, key, noun)

    def identify(self, values: Values, folder: Path) -> None:
        """Find out the identity of all that is known by now. `values` digests the constants in the code; `folder` is that
        of the project."""
        self._identities = Identities(values, folder)
        for key, noun in self._definition.graph.tasks.items():
            self._identify(key, key, noun)

    def admit(self, keys: Mapping[str, str], nouns: Mapping[str, TaskNoun], nodes: Iterable[Node]) -> None:
        """Make tasks ready to run that have appeared while the run goes on: key in the run -> key in the definition.
        `nodes` are those that have appeared.

        Raises DefinitionError for a function that workers cannot reach.
        """
        self._note(nodes, nouns)
        for key, known in keys.items():
            if key not in self.tasks:
                self._reach(key, known, nouns[known])
                self._identify(key, known, nouns[known])

    @property
    def identities(self) -> Mapping[str, TaskIdentity]:
        """What the code of each task is, by key."""
        return {} if self._identities is None else self._identities.known

    @property
    def texts(self) -> Mapping[bytes, str]:
        """The texts that the identities refer to, by their digests."""
        return {} if self._identities is None else self._identities.texts

    @property
    def classes(self) -> Mapping[str, TaskIdentity]:
        """What the code of the classes and functions in values is that was asked for, by their names."""
        return {} if self._identities is None else self._identities.classes

    def digest_of(self, function: str) -> bytes | None:
        """The digest of the code of a task today, by the name of its function; None where it is not there."""
        assert self._identities is not None
        return self._identities.digest_of(function)

    def code_of(self, name: str) -> bytes | None:
        """The digest of the code of a class or a function in a value, by its name there (see `Artifact.classes`); empty
        for what is not the user's own, None for what is not there today."""
        assert self._identities is not None
        return self._identities.code_of(name)

    def keep_new(self, store: Store) -> Basis:
        """Keep the code that was identified since the last time. Returns the digests."""
        return Basis() if self._identities is None else self._identities.keep_new(store)

    def take_complaints(self) -> Iterable[Complaint]:
        """What there is to tell of code that the store has not seen before, and that cannot be seen through."""
        return () if self._identities is None else self._identities.take_complaints(self._nodes, self._cached)

    def basis(self, parameters: Mapping[str, Any], values: Values) -> Basis:
        """What the fingerprints of a run with these parameters are made of, as far as it is known before it begins."""
        tasks = {key: identity.digest for key, identity in self.identities.items()}
        return Basis(parameters=_stored(parameters, values), tasks=tasks)

    @property
    def modules(self) -> tuple[Imported, ...]:
        """The modules that functions are imported from, each once."""
        found = {code.module: code for code in self._codes.values() if isinstance(code, Imported)}
        return tuple(found.values())

    @property
    def shares(self) -> bool:
        """Whether an attempt runs beside others in one process, or may come to, in a pipeline that grows."""
        graph = self._definition.graph
        bodies = [task.action.nodes for task in graph.tasks.values() if isinstance(task.action, PipelineAction)]
        dynamic = self._definition.body is not None or bool(self._definition.bodies)
        return dynamic or any(node.policy.run_in != "process" for nodes in (graph.nodes, *bodies) for node in nodes)

    def _note(self, nodes: Iterable[Node], nouns: Mapping[str, TaskNoun]) -> None:
        for node in nodes_of(nodes, nouns):
            key = node.task
            # of a task that is cached, with no files that all its nodes declare, further nodes tell nothing more
            if not self._cached.get(key) or self._reads[key]:
                cached = node.policy.cache and node.wait is None
                self._cached[key] = cached or self._cached.get(key, False)
                reads = frozenset(node.policy.caching.reads)
                self._reads[key] = reads & self._reads.get(key, reads)
            if node.fallback is not None and node.fallback.task is not None:
                self._cached.setdefault(node.fallback.task, False)

    def _reach(self, key: str, known: str, noun: TaskNoun) -> None:
        if isinstance(noun.action, OpaqueAction):
            # a plan asks what it is; a run is refused before anything runs
            self._codes[key] = Local(key)
        elif isinstance(noun.action, (CommandAction, ContainerAction)):
            self._codes[key] = self._program(noun.action)
        elif known in self._definition.functions:
            task = self._definition.functions[known]
            here = self._here and noun.environment is None
            self._codes[key] = self._code(key, task, f"the task {task.name!r}", here)
            predicate = self._definition.predicates.get(known)
            if predicate is not None:
                called = f"retry_if of the task {task.name!r}"
                self._predicates[key] = self._code(f"{key}.retry_if", predicate, called, here)

    def _program(self, action: CommandAction | ContainerAction) -> Program:
        if isinstance(action, ContainerAction) and self._container_arguments:
            # those of the task come last, and so prevail
            arguments = self._container_arguments + action.arguments
            action = msgspec.structs.replace(action, arguments=arguments)
        return Program(action)

    def _code(self, key: str, given: Task[..., Any] | Callable[..., Any], called: str, here: bool) -> Code:
        if not here:
            return code_of(given, called)
        self.functions[key] = given.function if isinstance(given, Task) else given
        return Local(key)

    def _identify(self, key: str, known: str, noun: TaskNoun) -> None:
        code = self._codes.get(key)
        if code is None:
            return
        if isinstance(noun.action, OpaqueAction):
            self.tasks[key] = TaskCode(code, digest("opaque", noun.action.source.encode()), "")
            return
        assert self._identities is not None
        if isinstance(noun.action, (CommandAction, ContainerAction)):
            identity = self._identities.add_program(key, noun.name, noun.action)
            self.tasks[key] = TaskCode(code, identity.digest, "")
            return
        task = self._definition.functions[known]
        reads = self._reads.get(key, frozenset())
        identity = self._identities.add_function(key, task, reads, elsewhere=not isinstance(code, Local))
        self.tasks[key] = TaskCode(
            code,
            identity.digest,
            record_type(task),
            self._predicates.get(key),
            stale=bool(identity.edited or identity.altered),
        )


def _stored(parameters: Mapping[str, Any], values: Values) -> dict[str, Argument]:
    """The parameters put away; without those that cannot be, which nothing can be passed."""
    stored: dict[str, Argument] = {}
    for name, value in parameters.items():
        with suppress(OutputError):
            stored[name] = values.store(value)[0]
    return stored
