"""DAGs: the file as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from penstock.authoring.options.hooks import Attached
from penstock.dialects import Account, Export, Written
from penstock.dialects.airflow.writing.groups import Emitter
from penstock.dialects.airflow.writing.options import changes, operator_options
from penstock.dialects.airflow.writing.schedules import schedule_options
from penstock.dialects.airflow.writing.sending import sent
from penstock.dialects.airflow.writing.standing import standing
from penstock.dialects.airflow.writing.terms import Terms, task_id
from penstock.dialects.code.annotations import annotation, default
from penstock.dialects.code.attempts import noted
from penstock.dialects.code.commands import command_function
from penstock.dialects.code.formatting import (
    INDENT,
    Imports,
    block,
    broken,
    call,
    docstring,
    keywords,
    length,
    literal,
    module_text,
    quoted,
    wrapped_import,
)
from penstock.dialects.code.helpers import BUILT_IN, helper_texts
from penstock.dialects.code.naming import identifier, variables
from penstock.dialects.code.paths import with_paths
from penstock.dialects.code.sources import Rules, Sources
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, OpaqueAction, PythonAction
from penstock.model.expression import Constant, Expression, Item, Output, leaves
from penstock.model.graph import Node, PipelineAction, Task
from penstock.model.policy import Policy

_SKIP = ("airflow.exceptions", "AirflowSkipException")
_RULES = Rules(
    "Apache Airflow",
    frozenset({"airflow"}),
    {
        "penstock.Skip": _SKIP,
        "penstock.Fail": ("airflow.exceptions", "AirflowFailException"),
    },
)
#: names that moved to the SDK with Airflow 3 -> where they are in Airflow 2
_SDK = {
    "dag": "airflow.decorators",
    "task": "airflow.decorators",
    "task_group": "airflow.decorators",
    "TaskGroup": "airflow.utils.task_group",
    "Param": "airflow.models.param",
    "PokeReturnValue": "airflow.sensors.base",
    "get_current_context": "airflow.operators.python",
}
_RESERVED = (*_SDK, "ended", "selects", "watcher", "Any", "datetime", "timedelta")
_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}


def write(export: Export) -> Written:
    """A pipeline as a DAG of Airflow 3, which Airflow 2.10 reads as well; a DAG of a file of Airflow's as it stands there.
    Raises DefinitionError, naming the node, for what Airflow cannot say."""
    export.whole()
    original = standing(export)
    if original is not None:
        return original
    export = with_paths(export)
    writer = Writer(export)
    text = writer.text()
    return noted(Written(text, tuple(writer.accounts)), export)


class Writer:
    """What all of a file share."""

    def __init__(self, export: Export) -> None:
        self.definition = export.definition
        self.graph = export.definition.graph
        self.imports = Imports()
        self.accounts: list[Account] = []
        self.sources = Sources(self.imports, _RULES, _RESERVED)
        self._triggers = export.triggers
        self._sdk: set[str] = set()
        #: key of a task -> its function in the file
        self._functions: dict[str, str] = {}
        self._decorators: dict[str, str] = {}
        self._first: dict[str, Node] = {}
        self._commands: list[list[str]] = []
        #: small tasks that compute with values, gates and the like, in the order in which they were made
        self._steps: list[list[str]] = []
        self._groups: dict[str, str] = {}
        self._tolerant = False
        self._sent: frozenset[str] = frozenset()

    def sdk(self, name: str) -> str:
        """A name of Airflow's authoring API, imported."""
        self._sdk.add(name)
        return name

    def text(self) -> str:
        """The whole file."""
        for body, node in self._all_nodes():
            self._first.setdefault(node.task, node)
            if node.fallback is not None and node.fallback.task is not None:
                self._first.setdefault(node.fallback.task, node)
            self._account(body, node)
        self._sent = sent(self.graph.tasks, self._all_nodes())
        for key, task in self.graph.tasks.items():
            if key not in self._sent:
                self._add(key, task)
        for key, task in self.graph.tasks.items():
            if isinstance(task.action, PipelineAction):
                self._groups[key] = self.sources.reserve(identifier(task.name))
        name = self.sources.reserve(identifier(self.graph.name))
        main = self._main(name)
        if self.sources.future:
            self.imports.name("__future__", "annotations")
        wanted = set(self.imports.helpers)
        helpers = helper_texts(wanted, self.imports)
        if "ended" in wanted:
            self.sdk("get_current_context")
        return module_text(
            self.imports,
            [
                self._sdk_imports(),
                *helpers,
                *self.sources.parts(lambda each: broken([self._decorators[each]]) if each in self._decorators else []),
                *("\n".join(lines) for lines in (*map(broken, self._commands), *self._steps)),
                "\n".join(broken(main)),
                f"{name}()",
            ],
        )

    def _sdk_imports(self) -> str:
        names = sorted(self._sdk, key=lambda each: (not each[0].isupper(), each))
        older: dict[str, list[str]] = {}
        for name in names:
            older.setdefault(_SDK[name], []).append(name)
        lines = wrapped_import("airflow.sdk", names).splitlines()
        fallback = [wrapped_import(module, each) for module, each in sorted(older.items())]
        return "\n".join(["try:", *block(lines), "except ImportError:  # Airflow 2", *block(fallback)])

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

    # Functions.

    def _add(self, key: str, task: Task) -> None:
        action, node = task.action, self._first.get(key)
        shown = task.name if node is None else node.id
        if isinstance(action, OpaqueAction):
            theirs = action.dialect != "airflow"
            why = "which Airflow does not have" if theirs else "and only its own file can be written for Airflow"
            raise DefinitionError(
                f"{shown!r} is {action.kind} of {action.dialect}, {why}",
                where=str(action.location),
                remedy="Write what it does as a task of your own." if theirs else "Export that file.",
            )
        if isinstance(action, PythonAction):
            function = self.definition.functions[key].function
            if function.__module__ != "penstock.waiting":
                self._functions[key] = self.sources.add(function, shown, identifier(task.name))
                return
            if function.__name__ not in BUILT_IN:
                raise DefinitionError(
                    f"{shown!r} waits for what penstock's own store knows", remedy="Schedule the DAG by an asset."
                )
            self.imports.helpers.add(function.__name__)
            self._functions[key] = function.__name__
        elif isinstance(action, (CommandAction, ContainerAction)) and not self.is_bash(key):
            name = self._functions[key] = self.sources.reserve(identifier(task.name))
            self._commands.append(command_function(task, name, self.imports, shown, _SKIP))

    def is_bash(self, key: str) -> bool:
        """Whether a task is a command that a `BashOperator` runs: it is given nothing, and nobody reads what it returns."""
        command = self.graph.tasks[key].action
        if not isinstance(command, CommandAction) or command.success != (0,) or command.files:
            return False
        nodes = [node for _, node in self._all_nodes() if node.task == key]
        if any(node.bindings or node.each is not None or node.fallback is not None for node in nodes):
            return False
        return {each.node for each in self.outputs_read()}.isdisjoint(node.id for node in nodes)

    def in_parts(self, key: str) -> bool:
        """Whether a task returns a record of which only single fields are read: XCom has them as a dict."""
        if self.graph.tasks[key].record not in ("named", "dataclass"):
            return False
        whole = {each.node for each in self.outputs_read() if each.port is None}
        return whole.isdisjoint(node.id for _, node in self._all_nodes() if node.task == key)

    def outputs_read(self) -> list[Output]:
        """The outputs of nodes that something reads."""
        listed = [each for _, node in self._all_nodes() for each in node.expressions()] + [self.graph.result]
        listed += [task.action.result for task in self.graph.tasks.values() if isinstance(task.action, PipelineAction)]
        return [leaf for each in listed for leaf in leaves(each) if isinstance(leaf, Output)]

    def function(self, key: str) -> str:
        """The plain function of a task in the file."""
        return self._functions[key]

    def decorated(self, node: Node, task: Task) -> str | None:
        """The name of the function as a task, for a node that can call it as it stands; None where it needs a step."""
        name = self._functions.get(node.task, "")
        users = [each for _, each in self._all_nodes() if self._functions.get(each.task) == name]
        loops = any(
            isinstance(each.action, PipelineAction)
            and self._loops(key)
            and any(i.task == node.task for i in each.action.nodes)
            for key, each in self.graph.tasks.items()
        )
        if self.in_parts(node.task):
            return None
        if not isinstance(task.action, PythonAction) or self.sources.is_imported(name) or self.sources.reached(name):
            return None
        alone = {each.task for each in users} == {node.task}
        simple = all(each.wait is None and each.fallback is None for each in users)
        if name in BUILT_IN or loops or not alone or not simple or task.environment is not None:
            return None
        if not all(self.is_plain(each) for each in users):
            return None
        first = self._first[node.task]
        options = operator_options(first.policy, Policy(), self.imports)
        decorator = self.sdk("task")
        given = keywords(options)
        self._decorators[name] = f"@{call(decorator, given)}" if given else f"@{decorator}"
        return name

    def _loops(self, key: str) -> bool:
        return any(node.loop is not None for _, node in self._all_nodes() if node.task == key)

    def is_plain(self, node: Node) -> bool:
        """Whether the arguments of a node can be handed on as they stand, as far as the kinds of expressions tell."""
        nodes = {each.id: each for _, each in self._all_nodes() if each.each is None}
        # of two of the same id in different bodies, the one that is mapped counts
        nodes |= {each.id: each for _, each in self._all_nodes() if each.each is not None}
        terms = Terms({}, nodes, {}, lambda _: None, self.imports)
        items = {} if node.each is None else {name: Item(name) for name in node.each.over}
        return all(items.get(name) == each or terms.is_direct(each) for name, each in node.bindings.items())

    def base(self, node: Node) -> Policy:
        """The policy of the decorated function of a node."""
        return self._first[node.task].policy

    def is_sent(self, key: str) -> bool:
        """Whether a task runs where there is nothing of the file but the source of its step."""
        return key in self._sent

    def step(self, name: str, lines: list[str], inside: Sequence[str] = ()) -> None:
        """Put a small task into the file: its decorator, its `def`, and its body, which begins with what is `inside`, as it
        stands."""
        self._steps.append([*broken(lines[:2]), *inside, *broken(lines[2:])])

    def environment(self, node: Node, task: Task) -> tuple[str, dict[str, str]]:
        """The decorator for a task, and its arguments for the environment that it runs in."""
        found = task.environment
        if found is None:
            return self.sdk("task"), {}
        self.sdk("task")
        listed = [*found.requirements] or [line for text in found.files.values() for line in text.splitlines() if line]
        given = {"requirements": f"[{', '.join(map(quoted, listed))}]", "system_site_packages": "False"}
        if found.python:
            given["python_version"] = quoted(found.python)
        return "task.virtualenv", given

    def tolerates(self) -> None:
        """Note that a task runs though others have failed, which would hide their failure from Airflow."""
        self._tolerant = True

    # The DAG.

    def terms(self, nodes: Iterable[Node], result: Expression, taken: set[str], inputs: Mapping[str, str]) -> Terms:
        """The names of a DAG or of a task group."""
        listed = list(nodes)
        known = {node.id: self.graph.task_of(node) for node in listed}
        names = taken | set(self._functions.values()) | self.imports.bound | set(_RESERVED) | set(self._groups.values())
        found = variables(listed, result, names)
        terms = Terms(found, {node.id: node for node in listed}, inputs, known.get, self.imports)
        terms.in_parts = self.in_parts
        return terms

    def _main(self, name: str) -> list[str]:
        graph = self.graph
        parameters = self._parameters()
        own = {port.name for port in graph.parameters}
        terms = self.terms(graph.nodes, graph.result, own | {name}, {})
        lines = Emitter(self, graph.nodes, terms).lines(graph.result)
        options = {"dag_id": quoted(graph.name)} if graph.name != name else {}
        options |= schedule_options(self._triggers, graph, self.imports, self.accounts)
        if graph.policy.timeout is not None:
            options["dagrun_timeout"] = length(graph.policy.timeout, self.imports)
        if graph.policy.on_failure == "stop":
            self.accounts.append(Account("", "changed", "what does not depend on a failed task still runs"))
        if self._tolerant:
            place = len(lines) - 1 if lines[-1].startswith("return ") else len(lines)
            lines[place:place] = self._watcher()
        if graph.result != Constant(None):
            self.accounts.append(Account("", "equivalent", "what the pipeline returns is in the XComs of its tasks"))
        for event in ("start", "success", "failure", "cancel", "deadline"):
            if getattr(self.definition.settings.hooks, event):
                self.accounts.append(
                    Account(
                        "", "changed", f"on_{event} is left out: it takes what penstock tells, and Airflow tells else"
                    )
                )
        head = f"@{call(self.sdk('dag'), keywords(options))}"
        return [head, f"def {name}({', '.join(parameters)}):", *block([*docstring(graph.description), *lines])]

    def _watcher(self) -> list[str]:
        task = self.sdk("task")
        error = self.imports.name("airflow.exceptions", "AirflowException")
        message = "a task of this run has failed"
        self.step(
            "watcher",
            [
                f'@{task}(trigger_rule="one_failed", retries=0)',
                "def watcher():",
                f'{INDENT}"""Fail the run where a task has failed, whatever ran after it."""',
                f"{INDENT}raise {error}({quoted(message)})",
            ],
        )
        how = "a watcher fails the run where tasks run though others have failed"
        self.accounts.append(Account("", "equivalent", how))
        spared = ["watcher", *(task_id(node.id) for node in self.graph.nodes if not node.decides and not node.final)]
        return [
            "watched = watcher()",
            "for each in list(watched.operator.dag.tasks):",
            f"{INDENT}if each.task_id not in {literal(spared, self.imports)} and not each.is_teardown:",
            f"{INDENT * 2}each.set_downstream(watched.operator)",
        ]

    def _parameters(self) -> list[str]:
        found: list[str] = []
        for port in self.graph.parameters:
            kind = annotation(port.type, self.imports)
            noted = f"{port.name}: {kind}" if kind not in (None, "Any") else port.name
            if port.required:
                json = _TYPES.get(port.type.partition("[")[0])
                given = [f"type={quoted(json)}"] if json else []
                value: str | None = call(self.sdk("Param"), given)
            else:
                value = default(port, self.imports)
            if value is None:
                raise DefinitionError(
                    f"the default of the parameter {port.name!r}, {port.default!r}, is one that only penstock fills in",
                    remedy="Give it a plain default.",
                )
            found.append(f"{noted} = {value}" if ":" in noted else f"{noted}={value}")
        return found

    def _account(self, body: str, node: Node) -> None:
        task = self.graph.task_of(node)
        shown = f"{self.graph.tasks[body].name}/{node.id}" if body else node.id
        changed = changes(node, task)
        if isinstance(task.action, ApprovalAction):
            changed = ["it needs Airflow 3.1 or later, and shows the question without what was to be shown with it"]
        others = [each for around, each in self._all_nodes() if around == body]
        if not node.decides and not node.final and not any(node.id in each.upstream() for each in others):
            changed.append("its failure fails the run")
        if task.record in ("named", "dataclass") and not self.in_parts(node.task):
            changed.append("it returns a record, which XCom holds only with a backend or a serializer for it")
        if self.definition.attached.get((body, node.id), Attached()) != Attached():
            changed.append("functions of yours that penstock calls (hooks, retry_if, cache_key) are left out")
        if isinstance(task.action, ContainerAction):
            changed.append("its container is run by docker on the worker")
        if node.loop is not None:
            changed.append("all turns run in one task")
        if changed:
            self.accounts.append(Account(shown, "changed", "; ".join(changed)))
            return
        same = self._equivalents(node, task)
        self.accounts.append(Account(shown, "equivalent" if same else "exact", "; ".join(same)))

    def _equivalents(self, node: Node, task: Task) -> list[str]:
        """What a node says that Airflow says in other words."""
        same: list[str] = []
        if node.guard is not None:
            same.append("a branching task, or one that cuts it short, runs before it")
        if node.each is not None and node.each.key is not None:
            same.append("items go by number")
        if isinstance(task.action, PipelineAction):
            same.append("a task group")
        if isinstance(task.action, CommandAction):
            bash = self.is_bash(node.task)
            same.append("a BashOperator" if bash else "a task that runs it with subprocess")
        if node.wait is not None:
            same.append("a sensor that is rescheduled")
        return same

    def body_name(self, key: str) -> str:
        """What the task group, or the function, of a body is called."""
        return self._groups[key]

    def parameter(self, name: str) -> str:
        """An input of a body as a parameter, which no function of the file is called as."""
        found = identifier(name)
        return f"{found}_result" if found in {*self._functions.values(), *self._groups.values(), *_RESERVED} else found


__all__ = ["Writer", "write"]
