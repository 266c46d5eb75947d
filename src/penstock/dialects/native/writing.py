"""A pipeline as penstock's own Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from penstock.authoring.options.hooks import EVENTS, PIPELINE_EVENTS, Attached, Hooks
from penstock.authoring.task import Task as AuthoredTask
from penstock.dialects import Account, Export, Written
from penstock.dialects.code.annotations import annotation
from penstock.dialects.code.formatting import (
    Imports,
    Unwritable,
    block,
    broken,
    call,
    docstring,
    keywords,
    module_text,
    number,
    quoted,
)
from penstock.dialects.code.naming import identifier, variables
from penstock.dialects.code.paths import with_paths
from penstock.dialects.code.scopes import scopes_of
from penstock.dialects.code.sources import Rules, Sources
from penstock.dialects.native.bodies import Body
from penstock.dialects.native.calls import wait_text
from penstock.dialects.native.drafts import body_of, definition_around, draft_body, draft_task, source_of, tasks_around
from penstock.dialects.native.hooks import hooks_text
from penstock.dialects.native.options import environment_text, policy_options
from penstock.dialects.native.parameters import Parameters, parameters_of
from penstock.dialects.native.programs import program
from penstock.dialects.native.refs import Refs
from penstock.dialects.native.repeats import repeated
from penstock.dialects.native.rewritten import rewritten
from penstock.dialects.native.triggers import trigger_text
from penstock.errors import DefinitionError
from penstock.model.action import CommandAction, ContainerAction, PythonAction
from penstock.model.expression import Expression, Input, describe, parts
from penstock.model.graph import Node, PipelineAction, Task
from penstock.model.place import Location
from penstock.model.policy import Policy

_SKIP, _FAIL = ("penstock", "Skip"), ("penstock", "Fail")
_RULES = Rules(
    "penstock",
    frozenset({"penstock"}),
    {
        f"{module}.{name}": stand
        for module in ("airflow.exceptions", "airflow.sdk.exceptions", "airflow.sdk")
        for name, stand in (("AirflowSkipException", _SKIP), ("AirflowFailException", _FAIL))
    },
)
#: of tasks that wait, without saying so
_UNCACHED = Policy(cache=False)


def write(export: Export) -> Written:
    """A pipeline as penstock's own Python. Raises DefinitionError for one that is dynamic, and for what has no source."""
    if not export.draft:
        export.whole()
    writer = Writer(with_paths(export))
    text = writer.text()
    return Written(text, tuple(writer.accounts), verbatim=writer.verbatim)


class Draft(NamedTuple):
    """A task that a person has to finish."""

    name: str
    lines: list[str]
    problem: DefinitionError


class Writer:
    """What all bodies of a file share."""

    def __init__(self, export: Export) -> None:
        self.definition = export.definition
        self.graph = export.definition.graph
        self._draft = export.draft
        #: node -> what is called in its place, its definition, and why
        self._drafts: dict[tuple[str, str], Draft] = {}
        self.imports = Imports()
        self.accounts: list[Account] = []
        self._triggers = export.triggers
        self._sources = Sources(self.imports, _RULES, _RESERVED)
        self._nodes = dict(self._all_nodes())
        #: key of a task -> what it is called in the file
        self._names: dict[str, str] = {}
        #: key of a task -> the line that makes it, where it is not a decorated function
        self._made: dict[str, str] = {}
        #: function in the file -> its decorator
        self._decorators: dict[str, str] = {}
        #: key of a body -> its definition, where that stands by itself
        self._bodies: dict[str, tuple[str, list[str]]] = {}
        self._taken: set[str] = set()
        #: key of a task -> why it cannot be written
        self._problems: dict[str, DefinitionError] = {}
        #: and what is called in its place
        self._drafted: dict[str, str] = {}
        #: node, or empty for the pipeline -> hooks that penstock has no form for
        self._lost: dict[str, dict[str, None]] = {}
        #: keys of tasks whose hooks are options of the task
        self._hooked: set[str] = set()
        #: the same of those that it has in other words
        self._others: dict[str, dict[str, None]] = {}
        #: whether its body is not its graph written down, but its own text (see `rewriting`)
        #: whether the body of the pipeline is its own text
        self.verbatim = False

    def text(self) -> str:
        """The whole file."""
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, (PythonAction, CommandAction, ContainerAction)):
                try:
                    self._add_task(key, task)
                except DefinitionError as problem:
                    if not self._draft:
                        raise
                    self._problems[key] = problem
                    self._drafted[key] = self._sources.reserve(identifier(task.name))
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, PipelineAction):
                self._names[key] = self._sources.reserve(identifier(task.name))
        self._name_tasks()
        name = self._pipeline_name()
        main = self._pipeline(name)
        triggers = self._trigger_lines(name)
        if self._sources.future:
            self.imports.name("__future__", "annotations")
        found = [
            *self._sources.parts(lambda each: broken([self._decorators[each]]) if each in self._decorators else []),
            *("\n".join(each.lines) for each in self._drafts.values()),
            "\n".join(broken(self._made.values())),
            *("\n".join(broken(lines)) for _, lines in self._bodies.values()),
            "\n".join(broken(main)),
            "\n".join(broken(triggers)),
        ]
        self._account()
        return module_text(self.imports, found)

    def _pipeline_name(self) -> str:
        wanted = identifier(self.graph.name)
        name = self._sources.reserve(wanted)
        return name if name == wanted else self._sources.reserve(f"{wanted}_pipeline")

    # Tasks.

    def _all_nodes(self) -> list[tuple[tuple[str, str], Node]]:
        found = [(("", node.id), node) for node in self.graph.nodes]
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, PipelineAction):
                if task.action.dynamic and not self._draft:
                    raise DefinitionError(
                        f"the body of {task.name!r} uses the value of something that has yet to run",
                        where=str(task.action.location),
                        remedy="Express it with when(...), .map(...) or repeat(...).",
                    )
                found += [((key, node.id), node) for node in task.action.nodes]
        return found

    def _first(self, key: str) -> tuple[str, Node] | None:
        """The first node of a task, and its body."""
        return next(((body, node) for (body, _), node in self._nodes.items() if node.task == key), None)

    def _add_task(self, key: str, task: Task) -> None:
        first = self._first(key)
        node = "" if first is None else first[1].id
        if isinstance(task.action, PythonAction):
            function = self.definition.functions[key].function
            if function.__module__ == "penstock.waiting":
                return
            with self._sources.whole():
                self._names[key] = self._sources.add(function, node or task.name, identifier(task.name))
        else:
            self._names[key] = self._sources.reserve(identifier(task.name))

    def _name_tasks(self) -> None:
        """Say of each function how it becomes a task: by a decorator where it stands in the file, and for itself alone."""
        uses = list(self._names.values())
        for key, name in list(self._names.items()):
            task = self.graph.tasks[key]
            if isinstance(task.action, PipelineAction):
                continue
            first = self._first(key)
            options = self._task_options(key, task, first)
            if not isinstance(task.action, PythonAction):
                self._made[key] = f"{name} = {program(task, task.name, options, self.imports)}"
                continue
            waits = first is not None and first[1].wait is not None
            decorator = self.imports.name("penstock", "wait" if waits else "task")
            shared = self._sources.is_imported(name) or self._sources.reached(name) or uses.count(name) > 1
            if shared:
                own = self._sources.reserve(f"{identifier(task.name)}_{decorator}")
                named = {"name": quoted(task.name)} if task.name != name else {}
                made = call(decorator, keywords({**named, **options})) if named or options else decorator
                self._made[key] = f"{own} = {made}({name})"
                self._names[key] = own
                continue
            named = {"name": quoted(task.name)} if task.name != name else {}
            given = keywords({**named, **options})
            self._decorators[name] = f"@{call(decorator, given) if given else decorator}"

    def _task_options(self, key: str, task: Task, first: tuple[str, Node] | None) -> dict[str, str]:
        if first is None:
            return {}
        node = first[1]
        if node.wait is not None:
            return self.wait_options(node)
        try:
            options = policy_options(node.policy, Policy(), self.imports)
        except Unwritable as problem:
            raise DefinitionError(f"{node.id!r} has {problem} among its options") from None
        if task.environment is not None:
            options["environment"] = environment_text(task.environment, self.imports)
        return options | self._shared_hooks(key)

    def _shared_hooks(self, key: str) -> dict[str, str]:
        """The hooks that all nodes of a task have, as options of the task."""
        nodes = [(body, node.id) for (body, _), node in self._nodes.items() if node.task == key]
        try:
            with self._sources.whole():
                found = [
                    self._hooks(self.definition.attached.get(each, Attached()).hooks, EVENTS, each[1]) for each in nodes
                ]
        except DefinitionError:
            # it is told of the nodes that have them
            return {}
        if any(each != found[0] for each in found):
            return {}
        self._hooked.add(key)
        return found[0]

    def task_name(self, key: str) -> str:
        """What a task is called in the file. Raises DefinitionError for one that cannot be written."""
        if key in self._problems:
            raise self._problems[key]
        return self._names[key]

    def drafted(self, node: Node, body: str, problem: DefinitionError, inputs: list[str]) -> str:
        """What is called in place of a node that cannot be written, which a person has to finish. Raises the error itself
        where nothing is to be left to people."""
        if not self._draft:
            raise problem
        known = self._drafts.get((body, node.id))
        if known is None:
            task = self.graph.task_of(node)
            name = self._drafted.get(node.task, "")
            if not name or any(each.name == name for each in self._drafts.values()):
                wanted = identifier(node.id.rpartition("/")[2])
                name = self._sources.reserve(f"{wanted}_task" if wanted in self._taken else wanted)
            function = self.definition.functions.get(node.task)
            source = source_of(task, None if function is None else function.function, node)
            named = "" if name == node.id.rpartition("/")[2] else f"(name={quoted(node.id.rpartition('/')[2])})"
            head = f"@{self.imports.name('penstock', 'task')}{named}"
            known = Draft(name, [head, *draft_task(name, inputs, problem, source)], problem)
            self._drafts[body, node.id] = known
        return known.name

    def wait_options(self, node: Node) -> dict[str, str]:
        """How a node asks again and again, as options."""
        return wait_text(node)

    def call_options(self, node: Node, body: str) -> dict[str, str]:
        """The options of a call: what is different from those of the task, and functions of the user's."""
        first = self._first(node.task)
        assert first is not None
        options: dict[str, str] = {}
        if node.wait is None:
            base, policy = first[1].policy, node.policy
            options |= policy_options(policy, base, self.imports)
        attached = self.definition.attached.get((body, node.id), Attached())
        if node.task not in self._hooked:
            options |= self._hooks(attached.hooks, EVENTS, node.id)
        if attached.retry_if is not None:
            options["retry_if"] = self._sources.add(attached.retry_if, node.id, "retry_if")
        if attached.cache_key is not None:
            options["cache_key"] = self._sources.add(attached.cache_key.function, node.id, "cache_key")
        if node.fallback is not None:
            options["fallback"] = self._fallback(node)
        return options

    def _fallback(self, node: Node) -> str:
        assert node.fallback is not None
        if node.fallback.task is not None:
            return self.task_name(node.fallback.task)
        refs = Refs({}, str, lambda _: None, self.imports)
        refs.node = node.id
        return refs.text(node.fallback.value)

    def _hooks(self, hooks: Hooks, events: Iterable[str], node: str) -> dict[str, str]:
        """The hooks of a node, or of the pipeline, as options."""
        options: dict[str, str] = {}
        for event in events:
            found = hooks_text(getattr(hooks, event), node or self.graph.name, self._sources)
            if found.text:
                options[f"on_{event}"] = found.text
            for what in found.lost:
                self._lost.setdefault(node, {})[f"on_{event} is left out: {what}"] = None
            for what in found.others:
                self._others.setdefault(node, {})[what] = None
        return options

    # Pipelines.

    def _pipeline(self, name: str) -> list[str]:
        graph = self.graph
        own = {port.name for port in graph.parameters}
        taken = self._outer_names() | own | {name}
        refs = Refs(variables(graph.nodes, graph.result, taken), str, self._task_in(graph.nodes), self.imports)
        self._taken = taken | set(refs.variables.values())
        body = Body(self, graph.nodes, refs, "")
        handlers = self._exits(graph.nodes)
        options = self._settings(name, refs, body, handlers)
        at = graph.dynamic_at
        decided = at or next(iter(self.definition.read.values()), None)
        own = None if decided is None else rewritten(self, self._sources, decided)
        self.verbatim = own is not None
        if own is not None:
            lines = own
        elif at is not None:
            lines = self._dynamic(name, at, body_of(graph.name, at))
        else:
            lines = body.lines(graph.result, frozenset(handlers))
        decorator = self.imports.name("penstock", "pipeline")
        wanted = Parameters(self.definition, self._nodes.values(), self.imports, self._sources)
        parameters = wanted.texts()
        self.accounts += wanted.accounts
        head = f"@{call(decorator, keywords(options)) if options else decorator}"
        about = broken(docstring(graph.description))
        return [head, f"def {name}({', '.join(parameters)}):", *block([*about, *lines])]

    def _dynamic(self, name: str, location: Location, body: Location) -> list[str]:
        """The body of a pipeline, or of a part of it, whose graph is not known as a whole: its source, which has a line at
        `body`, as a comment."""
        problem = DefinitionError(
            f"{name} uses the value of something that has yet to run, so that its body is to be written by you",
            where=str(location),
            remedy="penstock's tasks are called as they stand, without .submit(...) or .result(); tasks may be called in "
            "an if, and in a loop, over what other tasks return.",
        )
        known = {id(task.function) for task in self.definition.functions.values()}
        for called, task in tasks_around(body).items():
            if id(task.function) not in known:
                self._mention(called, task)
        return draft_body(name, problem, definition_around(body))

    def _mention(self, called: str, task: AuthoredTask[..., Any]) -> None:
        """Put a task into the file that a body which is to be written calls."""
        try:
            with self._sources.whole():
                name, head = self.mentioned(called, task)
        except DefinitionError as problem:
            how = f"the task {called} is to be written: {problem}"
            self.accounts.append(Account("", "opaque", how))
            return
        if self._sources.is_imported(name) or self._sources.reached(name):
            self._made[called] = f"{self._sources.reserve(f'{name}_task')} = {head}({name})"
        else:
            self._decorators[name] = f"@{head}"

    def mentioned(self, called: str, task: AuthoredTask[..., Any]) -> tuple[str, str]:
        """Put the function of a task into the file. Returns what it is called there, and what makes it a task. Raises
        DefinitionError."""
        name = self._sources.add(task.function, called, called)
        try:
            options = policy_options(task.policy, Policy(), self.imports)
        except Unwritable as problem:
            raise DefinitionError(f"{called!r} has {problem} among its options") from None
        if task.name != name:
            options = {"name": quoted(task.name), **options}
        decorator = self.imports.name("penstock", "task")
        return name, call(decorator, keywords(options)) if options else decorator

    def known_name(self, task: AuthoredTask[..., Any]) -> str:
        """What a task of the graph is called in the file; empty for one that is not in it, or cannot be written."""
        known = (key for key, each in self.definition.functions.items() if each.function is task.function)
        return next((self._names[key] for key in known if key in self._names), "")

    def add_rewritten(
        self, decorators: Mapping[str, str], bodies: Mapping[str, list[str]], remarks: Iterable[str]
    ) -> None:
        """Take over what a body that is its own text calls."""
        self._decorators.update(decorators)
        self._bodies.update({name: (name, lines) for name, lines in bodies.items()})
        self.accounts += [Account("", "changed", each) for each in remarks]

    def _exits(self, nodes: tuple[Node, ...]) -> list[str]:
        """The nodes of an exit handler of the pipeline as a whole."""
        wanted = getattr(self.definition.settings, "on_exit", None)
        if wanted is None:
            return []
        outermost = [scope for scope in scopes_of(nodes) if not scope.setup]
        whole = next((scope for scope in reversed(outermost) if len(scope.nodes) == len(nodes)), None)
        return [] if whole is None else list(whole.teardown)

    def _settings(self, name: str, refs: Refs, body: Body, handlers: list[str]) -> dict[str, str]:
        graph, settings = self.graph, self.definition.settings
        options: dict[str, str] = {}
        if graph.name != name:
            options["name"] = quoted(graph.name)
        if graph.policy.on_failure != "continue":
            options["failure"] = quoted(graph.policy.on_failure)
        for option, value in (("timeout", graph.policy.timeout), ("deadline", settings.deadline)):
            if value is not None:
                options[option] = number(value)
        if graph.policy.concurrency is not None:
            options["concurrency"] = repr(graph.policy.concurrency)
        if handlers:
            refs.variables = dict(refs.variables)
            nodes = {node.id: node for node in graph.nodes}
            found = [body.handler(nodes[each]) for each in handlers]
            options["on_exit"] = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        return options | self._hooks(settings.hooks, PIPELINE_EVENTS, "")

    def _outer_names(self) -> set[str]:
        return {*self._names.values(), *self._drafted.values()} | set(self.imports.bound) | set(_RESERVED)

    def _task_in(self, nodes: tuple[Node, ...]) -> Any:
        known = {node.id: self.graph.task_of(node) for node in nodes if node.task not in self._problems}
        return known.get

    # Bodies.

    def nested(self, node: Node, task: Task, outer: Refs, options: Mapping[str, str]) -> tuple[list[str], str]:
        """The call of a body as a pipeline of its own, or as a loop, and what has to stand before it."""
        action = cast(PipelineAction, task.action)
        loop = node.loop
        if loop is not None:
            single = repeated(self, node, task, outer, options)
            if single is not None:
                return [], single
        inputs = _inputs(action)
        captured = {name: text for name in inputs if (text := self._captured(node, name, outer)) is not None}
        names = {name: identifier(name) for name in inputs if name not in captured}
        lines, called = self._body(node, task, names, captured, outer)
        call_ = f"{called}.options({', '.join(keywords(options))})" if options and loop is None else called
        bindings = {names[name]: each for name, each in node.bindings.items() if name in names}
        over = None if node.each is None else {names.get(name, name): each for name, each in node.each.over.items()}
        if loop is not None:
            from penstock.dialects.native.repeats import loop_text

            text = loop_text(self, called, node, outer, options)
            return lines, f"{text}({', '.join(keywords({name: outer.text(each) for name, each in bindings.items()}))})"
        from msgspec.structs import replace

        from penstock.dialects.native.calls import applied
        from penstock.model.graph import Port

        each = None if node.each is None or over is None else replace(node.each, over=over)
        shown = replace(task, inputs=tuple(Port(name) for name in names.values()))
        return lines, applied(call_, replace(node, bindings=bindings, each=each), shown, None, outer)

    def _captured(self, node: Node, name: str, outer: Refs) -> str | None:
        """What stands for an input in the body that comes from around it as it is; None for a parameter."""
        expression = node.bindings.get(name)
        if expression is None or (node.each is not None and name in node.each.over):
            return None
        if node.loop is not None and name in node.loop.carry:
            return None
        if name.rstrip("'") != describe(expression):
            return None
        return outer.text(expression)

    def _body(
        self, node: Node, task: Task, names: Mapping[str, str], captured: Mapping[str, str], outer: Refs
    ) -> tuple[list[str], str]:
        action = cast(PipelineAction, task.action)
        known = self._bodies.get(node.task)
        if known is not None:
            return [], known[0]
        alone = not captured and not _uses_parameters(action)
        name = self._names[node.task]
        taken = self._taken | self._outer_names() | set(names.values()) | {name}
        taken |= {port.name for port in self.graph.parameters} | set(outer.variables.values())
        refs = Refs(
            variables(action.nodes, action.result, taken),
            lambda each: captured[each] if each in captured else names.get(each, each),
            self._task_in(action.nodes),
            self.imports,
        )
        if action.dynamic:
            lines = self._dynamic(name, action.location, action.location)
        else:
            lines = Body(self, action.nodes, refs, node.task).lines(action.result, frozenset())
        shown = {names[each.name]: each.type for each in task.inputs if each.name in names}
        typed = [
            f"{each}: {kind}"
            if (kind := annotation(shown.get(each, "Any"), self.imports)) not in (None, "Any")
            else each
            for each in names.values()
        ]
        head = f"@{self.imports.name('penstock', 'pipeline')}"
        if name != task.name:
            head += f"(name={quoted(task.name)})"
        written = [head, f"def {name}({', '.join(typed)}):", *block([*docstring(task.description), *lines])]
        if alone:
            self._bodies[node.task] = (name, written)
            return [], name
        return ["", *written, ""], name

    # What starts it, and how it was written.

    def _trigger_lines(self, pipeline: str) -> list[str]:
        lines: list[str] = []
        for trigger in self._triggers:
            text = trigger_text(trigger, pipeline, self.imports)
            if text is None:
                self.accounts.append(
                    Account("", "changed", f"the trigger {trigger.name} is left out: it asks functions that it names")
                )
                continue
            wanted = identifier(trigger.name or "trigger")
            name = self._sources.reserve(f"{wanted}_schedule" if wanted == pipeline else wanted)
            lines.append(f"{name} = {text}")
        return lines

    def _account(self) -> None:
        self.accounts += [Account("", "changed", why) for why in self._lost.get("", ())]
        self.accounts += [Account("", "equivalent", what) for what in self._others.get("", ())]
        for (body, name), node in self._nodes.items():
            shown = f"{self.graph.tasks[body].name}/{name}" if body else name
            draft = self._drafts.get((body, name))
            whole = self.graph.dynamic_at if not body else None
            if draft is not None:
                self.accounts.append(Account(shown, "opaque", f"to be finished: {draft.problem.what}"))
            elif self.verbatim and not body:
                self.accounts.append(Account(shown, "equivalent", "it is called in the body, as in the flow"))
            elif whole is not None or (body and cast(PipelineAction, self.graph.tasks[body].action).dynamic):
                self.accounts.append(
                    Account(shown, "opaque", "its call is to be written, in the body that is a comment")
                )
            elif node.final and node.join != "all_done" and isinstance(node.join, str):
                how = "it does not run in a run that is being cancelled"
                self.accounts.append(Account(shown, "changed", how))
            elif name in self._lost:
                self.accounts.append(Account(shown, "changed", "; ".join(self._lost[name])))
            elif name in self._others:
                self.accounts.append(Account(shown, "equivalent", "; ".join(self._others[name])))
            else:
                self.accounts.append(Account(shown, "exact"))


def _inputs(action: PipelineAction) -> list[str]:
    """The inputs that a body reads, in order."""
    found: dict[str, None] = {}

    def read(expression: Expression) -> None:
        if isinstance(expression, Input):
            found[expression.name] = None
        for part in parts(expression):
            read(part)

    for node in action.nodes:
        for expression in node.expressions():
            read(expression)
    read(action.result)
    return list(found)


def _uses_parameters(action: PipelineAction) -> bool:
    found = (each for node in action.nodes for each in node.expressions())
    return any(any(parameters_of(each)) for each in (*found, action.result))


#: names of penstock's that the file may use
_RESERVED = (
    *("task", "pipeline", "when", "elif_", "otherwise", "switch", "choose", "group", "scope", "on_exit", "repeat"),
    *("wait", "approval", "command", "container", "trigger", "succeeded", "failed", "skipped", "done", "outcome"),
    *("wait_for_time", "wait_for_duration", "wait_for_file", "wait_for_url", "wait_for_artifact", "wait_for_asset"),
    *("cron", "every", "once", "recurring", "together", "calendar", "file", "files", "exit_code", "Any", "Iterator"),
)

__all__ = ["Writer", "write"]
