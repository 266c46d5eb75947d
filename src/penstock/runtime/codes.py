"""The code of a run's tasks: how executors get at it, and what makes it the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from penstock.authoring.importable import code_of
from penstock.authoring.pipeline import Definition
from penstock.authoring.task import Task
from penstock.fingerprint.actions import identity as identity_of_program
from penstock.fingerprint.code import CodeReader
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.graph import PipelineAction
from penstock.model.graph import Task as TaskNoun
from penstock.model.work import Code, Imported, Local, Program
from penstock.runtime.driving.nodes import TaskCode
from penstock.values import Values


class Codes:
    """The code of the tasks of a definition, which may call more of them while it runs. `here` says that attempts are
    made in this very process, `container_arguments` are for the engine of all containers."""

    def __init__(self, definition: Definition, *, here: bool, container_arguments: Sequence[str] = ()) -> None:
        self._definition = definition
        self._here = here
        self._container_arguments = tuple(container_arguments)
        self._codes: dict[str, Code] = {}
        self._predicates: dict[str, Code] = {}
        self._reader: CodeReader | None = None
        #: by key, once they are identified
        self.tasks: dict[str, TaskCode] = {}
        #: what an executor in this process calls, by key
        self.functions: dict[str, Callable[..., Any]] = {}
        for key, noun in definition.graph.tasks.items():
            self._reach(key, key, noun)

    def identify(self, values: Values) -> None:
        """Find out the identity of all that is known by now. `values` digests the constants in the code."""

        def digest_of(value: Any) -> bytes:
            # a path in the code counts as the text it is: what it leads to may be large, or this project's own state
            constant = str(value) if isinstance(value, PurePath) else value
            return values.digest(values.store(constant)[0])

        self._reader = CodeReader(digest_of)
        for key, noun in self._definition.graph.tasks.items():
            self._identify(key, key, noun)

    def admit(self, keys: Mapping[str, str], nouns: Mapping[str, TaskNoun]) -> None:
        """Make tasks ready to run that have appeared while the run goes on: key in the run -> key in the definition.

        Raises DefinitionError for a function that workers cannot reach.
        """
        for key, known in keys.items():
            if key not in self.tasks:
                self._reach(key, known, nouns[known])
                self._identify(key, known, nouns[known])

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

    def _reach(self, key: str, known: str, noun: TaskNoun) -> None:
        if isinstance(noun.action, (CommandAction, ContainerAction)):
            self._codes[key] = self._program(noun.action)
        elif known in self._definition.functions:
            task = self._definition.functions[known]
            here = self._here and noun.environment is None
            self._codes[key] = self._code(key, task.function, f"the task {task.name!r}", here)
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

    def _code(self, key: str, function: Callable[..., Any], called: str, here: bool) -> Code:
        if not here:
            return code_of(function, called)
        self.functions[key] = function
        return Local(key)

    def _identify(self, key: str, known: str, noun: TaskNoun) -> None:
        code = self._codes.get(key)
        if code is None:
            return
        if isinstance(noun.action, (CommandAction, ContainerAction)):
            self.tasks[key] = TaskCode(code, identity_of_program(noun.action), "")
            return
        assert self._reader is not None
        task = self._definition.functions[known]
        identity = self._reader.identify(task.function).digest
        self.tasks[key] = TaskCode(code, identity, _record_type(task), self._predicates.get(key))


def _record_type(task: Task[..., Any]) -> str:
    annotation = task.outputs.annotation
    if task.outputs.record in ("named", "dataclass"):
        return f"{annotation.__module__}:{annotation.__qualname__}"
    return ""
