"""Flows: the pipeline itself, and the bodies in it, which are subflows."""

from __future__ import annotations

from typing import Any, cast

from penstock.authoring.options.hooks import Attached
from penstock.dialects import Account, Export, Written
from penstock.dialects.code.annotations import annotation, default
from penstock.dialects.code.attempts import noted
from penstock.dialects.code.commands import command_function
from penstock.dialects.code.formatting import (
    Imports,
    block,
    broken,
    call,
    docstring,
    keywords,
    module_text,
    number,
    quoted,
)
from penstock.dialects.code.helpers import BUILT_IN, helper_texts
from penstock.dialects.code.naming import identifier, variables
from penstock.dialects.code.paths import with_paths
from penstock.dialects.code.sources import Rules, Sources
from penstock.dialects.prefect.writing.calls import Flow
from penstock.dialects.prefect.writing.serving import main_lines
from penstock.dialects.prefect.writing.tasks import changes, equivalents, task_options
from penstock.dialects.prefect.writing.values import Values
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, OpaqueAction, PythonAction
from penstock.model.graph import Node, PipelineAction, Task
from penstock.model.policy import Policy

_RULES = Rules("Prefect", frozenset({"prefect"}))
_RESERVED = ("flow", "task", "wait", "unmapped", "state_of", "result_of", "polled", "selects", "Any", "Callable")


def write(export: Export) -> Written:
    """A pipeline as a Prefect 3 file. Raises DefinitionError, naming the node, for what Prefect cannot say."""
    export.whole()
    export = with_paths(export)
    writer = Writer(export)
    text = writer.text()
    return noted(Written(text, tuple(writer.accounts)), export)


class Writer:
    """What all flows of a file share."""

    def __init__(self, export: Export) -> None:
        self.definition = export.definition
        self.graph = export.definition.graph
        self.imports = Imports()
        self.accounts: list[Account] = []
        self.helpers: set[str] = set()
        self._triggers = export.triggers
        self.sources = Sources(self.imports, _RULES, _RESERVED)
        self._names: dict[str, str] = {}
        self._plain: dict[str, str] = {}
        self._made: dict[str, list[str]] = {}
        self._decorators: dict[str, str] = {}
        self._flows: dict[str, list[str]] = {}
        self._first: dict[str, Node] = {}

    def text(self) -> str:
        """The whole file."""
        for body, node in self._all_nodes():
            self._first.setdefault(node.task, node)
            if node.fallback is not None and node.fallback.task is not None:
                self._first.setdefault(node.fallback.task, node)
            self._account(body, node)
        for key, task in self.graph.tasks.items():
            if not isinstance(task.action, PipelineAction):
                self._add(key, task)
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, PipelineAction):
                self._names[key] = self.sources.reserve(identifier(task.name))
        for key, task in self.graph.tasks.items():
            if key in self._plain:
                self._make(key, task)
        name = self.sources.reserve(identifier(self.graph.name))
        main = self._main(name)
        ending = main_lines(name, self.graph, self._triggers, self.imports, self.accounts)
        if self.sources.future:
            self.imports.name("__future__", "annotations")
        helpers = helper_texts(self.helpers | self.imports.helpers, self.imports)
        return module_text(
            self.imports,
            [
                *helpers,
                *self.sources.parts(lambda each: broken([self._decorators[each]]) if each in self._decorators else []),
                *("\n".join(broken(lines)) for lines in self._made.values()),
                *("\n".join(broken(lines)) for lines in self._flows.values()),
                "\n".join(broken(main)),
                "\n".join(broken(ending)),
            ],
        )

    def _all_nodes(self) -> list[tuple[str, Node]]:
        found = [("", node) for node in self.graph.nodes]
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, PipelineAction):
                if task.action.dynamic:
                    raise DefinitionError(
                        f"the body of {task.name!r} uses the value of something that has yet to run",
                        where=str(task.action.location),
                        remedy="Express it with when(...), .map(...) or repeat(...).",
                    )
                found += [(key, node) for node in task.action.nodes]
        return found

    # Tasks.

    def _add(self, key: str, task: Task) -> None:
        action = task.action
        node = self._first.get(key)
        shown = task.name if node is None else node.id
        if isinstance(action, OpaqueAction):
            raise DefinitionError(
                f"{shown!r} is {action.kind} of {action.dialect}, which Prefect does not have",
                where=str(action.location),
                remedy="Write what it does as a task of your own.",
            )
        if isinstance(action, PythonAction):
            function = self.definition.functions[key].function
            if function.__module__ == "penstock.waiting":
                if function.__name__ not in BUILT_IN:
                    raise DefinitionError(
                        f"{shown!r} waits for what penstock's own store knows",
                        remedy="Start the flow by an automation.",
                    )
                self.helpers.add(function.__name__)
                self._plain[key] = function.__name__
                return
            self._plain[key] = self.sources.add(function, shown, identifier(task.name))
        elif isinstance(action, (CommandAction, ContainerAction)):
            name = self._plain[key] = self.sources.reserve(identifier(task.name))
            self._made[f"{key} function"] = command_function(task, name, self.imports, shown)

    def _make(self, key: str, task: Task) -> None:
        """Make a task of a function: by a decorator where it stands in the file and is used only so."""
        name, node = self._plain[key], self._first.get(key)
        policy = Policy() if node is None else node.policy
        options = task_options(policy, Policy(), self.imports)
        decorator = self.imports.name("prefect", "task")
        waits = node is not None and node.wait is not None
        command = f"{key} function" in self._made
        named = {"name": quoted(task.name)} if task.name != name else {}
        given = keywords({**named, **options})
        alone = list(self._plain.values()).count(name) == 1
        shared = self.sources.is_imported(name) or self.sources.reached(name) or not alone or waits or name in BUILT_IN
        head = call(decorator, given) if given else decorator
        if command:
            self._made[f"{key} function"].insert(0, f"@{head}")
        elif not shared:
            self._decorators[name] = f"@{head}"
        else:
            own = self.sources.reserve(f"{identifier(task.name)}_task")
            function = self._polled(node, name) if waits and node is not None else name
            named = {"name": quoted(task.name)}
            self._made[key] = [f"{own} = {call(decorator, [function, *keywords({**named, **options})])}"]
            name = own
        self._names[key] = name

    def _polled(self, node: Node, name: str) -> str:
        wait = node.wait
        assert wait is not None
        self.helpers.add("polled")
        given = {"poll": number(wait.poll)}
        for option in ("factor", "longest", "timeout"):
            value = getattr(wait, option)
            if value is not None and value != {"factor": 1.0, "longest": 300.0}.get(option):
                given[option] = number(value)
        return call("polled", [name, *keywords(given)])

    def task_name(self, key: str) -> str:
        """What a task, or a subflow, is called in the file."""
        return self._names[key]

    def is_taken(self, name: str) -> bool:
        """Whether a function of the file is called so."""
        return name in {*self._names.values(), *self._plain.values(), *_RESERVED}

    def first(self, key: str) -> Node:
        """The node whose options are those of the task itself."""
        return self._first[key]

    # Flows.

    def _main(self, name: str) -> list[str]:
        graph = self.graph
        own = {port.name for port in graph.parameters}
        values = self.values(graph.nodes, graph.result, own | {name}, str)
        lines = Flow(self, graph.nodes, values).lines(graph.result)
        options: dict[str, str] = {} if graph.name == name else {"name": quoted(graph.name)}
        if graph.policy.timeout is not None:
            options["timeout_seconds"] = number(graph.policy.timeout)
        if graph.policy.on_failure == "continue":
            self.accounts.append(
                Account("", "equivalent", "where the flow needs a result that failed, it ends without what is left")
            )
        if graph.policy.concurrency is not None:
            self.accounts.append(Account("", "changed", "limit its runs in the deployment: concurrency_limit"))
        self._attached(options)
        head = f"@{call(self.imports.name('prefect', 'flow'), keywords(options)) if options else 'flow'}"
        self.imports.name("prefect", "flow")
        about = docstring(graph.description)
        return [head, f"def {name}({', '.join(self._parameters())}):", *block([*about, *lines])]

    def _attached(self, options: dict[str, str]) -> None:
        hooks = self.definition.settings.hooks
        for event in ("start", "success", "failure", "cancel", "deadline"):
            if getattr(hooks, event):
                self.accounts.append(
                    Account(
                        "", "changed", f"on_{event} is left out: it takes what penstock tells, and Prefect tells else"
                    )
                )

    def values(self, nodes: tuple[Node, ...], result: Any, taken: set[str], inputs: Any) -> Values:
        """The names of a flow."""
        known = {node.id: self.graph.task_of(node) for node in nodes}
        names = taken | set(self._names.values()) | set(self._plain.values()) | self.imports.bound | set(_RESERVED)
        return Values(variables(nodes, result, names), {}, inputs, known.get, self.imports)

    def subflow(self, key: str, task: Task, inputs: dict[str, str]) -> str:
        """The name of the subflow of a body, which takes `inputs` (in the graph, and as parameters)."""
        name = self._names[key]
        if key not in self._flows:
            self._flows[key] = []
            action = cast(PipelineAction, task.action)
            flow = self.imports.name("prefect", "flow")
            values = self.values(action.nodes, action.result, set(inputs.values()), inputs.__getitem__)
            lines = Flow(self, action.nodes, values).lines(action.result)
            head = f"@{flow}" if name == task.name else f"@{flow}(name={quoted(task.name)})"
            self._flows[key] = [
                head,
                f"def {name}({', '.join(inputs.values())}):",
                *block([*docstring(task.description), *lines]),
            ]
            # those inside it stand before it
            self._flows[key] = self._flows.pop(key)
        return name

    def _parameters(self) -> list[str]:
        found: list[str] = []
        for port in self.graph.parameters:
            kind = annotation(port.type, self.imports)
            noted = f"{port.name}: {kind}" if kind not in (None, "Any") else port.name
            value = None if port.required else default(port, self.imports)
            if not port.required and value is None:
                raise DefinitionError(
                    f"the default of the parameter {port.name!r}, {port.default!r}, is one that only penstock fills in",
                    remedy="Give it a plain default.",
                )
            if value is None and any("=" in each for each in found) and "*" not in found:
                found.insert(0, "*")
            found.append(noted if value is None else f"{noted} = {value}" if ":" in noted else f"{noted}={value}")
        return found

    def _account(self, body: str, node: Node) -> None:
        task = self.graph.task_of(node)
        shown = f"{self.graph.tasks[body].name}/{node.id}" if body else node.id
        changed = changes(node)
        attached = self.definition.attached.get((body, node.id), Attached())
        if attached != Attached():
            changed.append("functions of yours that penstock calls (hooks, retry_if, cache_key) are left out")
        if task.environment is not None:
            changed.append("its Python environment is that of the worker")
        if isinstance(task.action, CommandAction) and task.action.skip:
            changed.append("it fails with an exit code that skips it here")
        if isinstance(task.action, ApprovalAction):
            changed.append(
                "the flow is paused for it, and the answer is Prefect's form rather than a penstock.Approval"
            )
        if isinstance(task.action, ContainerAction):
            changed.append("its container is run by docker where the task runs")
        if changed:
            self.accounts.append(Account(shown, "changed", "; ".join(changed)))
            return
        same = equivalents(node)
        if isinstance(task.action, PipelineAction):
            same.append("a subflow, called in a loop" if node.loop or node.each else "a subflow")
        if isinstance(task.action, CommandAction):
            same.append("a task that runs it with subprocess")
        self.accounts.append(Account(shown, "equivalent" if same else "exact", "; ".join(same)))


__all__ = ["Writer", "write"]
