"""A node as a program: Python that computes its value from operands, with all that it needs written out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from penstock.authoring.pipeline import Definition
from penstock.dialects.code.expressions import python
from penstock.dialects.code.formatting import Imports, Unwritable, quoted
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.parts import rewritten
from penstock.dialects.code.sources import Rules
from penstock.dialects.portable.carried import Carried, own_classes
from penstock.dialects.portable.forms import FILES, form_of
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, OpaqueAction, PythonAction
from penstock.model.expression import (
    Apply,
    Choose,
    Ended,
    Expression,
    Get,
    Input,
    Outcome,
    Output,
    Sequence,
    Stored,
    references,
)
from penstock.model.expression import (
    Mapping as MappingExpression,
)
from penstock.model.graph import Node, PipelineAction, Task
from penstock.model.template import pieces


class Operand(NamedTuple):
    """A value that a program is given under a name."""

    name: str
    source: Expression


class Program(NamedTuple):
    """Python that ends with its value in the variable `name` of its last line, or has none."""

    #: what the program is given
    operands: tuple[Operand, ...]
    imports: Imports
    definitions: tuple[str, ...]
    lines: tuple[str, ...]
    #: the expression of the value
    value: str
    #: the name of the user's function, where all that is done is a call of it with its own parameters
    plain: str = ""


class Writing:
    """The programs of one target: what it is called, and what of an expression is handed to a program as it is."""

    def __init__(self, definition: Definition, rules: Rules) -> None:
        self.definition = definition
        self.rules = rules
        self.tasks: Mapping[str, Task] = definition.graph.tasks

    def refuse(self, node: str, what: str, remedy: str, where: str | None = None) -> DefinitionError:
        """The error that something of a node cannot be said in the target."""
        return DefinitionError(
            f"{node!r} cannot be written for {self.rules.title}: it {what}", where=where, remedy=remedy
        )

    # Programs.

    def program(self, node: Node, bindings: Mapping[str, Expression], around: Mapping[str, Node]) -> Program:
        """The program of a node that calls a function or a command, with its inputs from some expressions over the nodes
        around it."""
        task = self.tasks[node.task]
        found = _Operands(self, node)
        carried = Carried(found.imports, self.rules, reserved=("value",))
        if isinstance(task.action, CommandAction):
            return self._command(node, task.action, bindings, found)
        if isinstance(task.action, OpaqueAction):
            raise self.refuse(
                node.id, f"is a {task.action.kind} of {task.action.dialect}", "Write what it does as a task."
            )
        if isinstance(task.action, ApprovalAction):
            raise self.refuse(node.id, "waits for the answer of a person", "Take the approval out, or ask elsewhere.")
        if not isinstance(task.action, PythonAction):
            raise self.refuse(node.id, "is no function", "Write what it does as a function.")
        function = self.definition.functions[node.task].function
        called = carried.add(function, node.id, identifier(task.name))
        self._bring(carried, node.id, bindings.values(), around)
        found.taken = defined_in(carried.parts()) | found.imports.bound
        bindings = {name: self._keyed(each, around) for name, each in bindings.items()}
        call, plain = _call(called, task, bindings, found)
        lines, value = self._guarded(node, function, call, carried, task, bindings, found)
        return Program(
            found.listed,
            found.imports,
            tuple(carried.parts()),
            tuple(lines),
            value,
            called if plain and not lines else "",
        )

    def computation(
        self, node: str, expression: Expression, around: Mapping[str, Node], at: Node | None = None
    ) -> Program:
        """The program that computes an expression over the nodes around it."""
        found = _Operands(self, at, node)
        carried = Carried(found.imports, self.rules, reserved=("value",))
        self._bring(carried, node, (expression,), around)
        found.taken = defined_in(carried.parts()) | found.imports.bound
        value = found.text(self._keyed(expression, around), "")
        return Program(found.listed, found.imports, tuple(carried.parts()), (), value)

    def _bring(
        self, carried: Carried, node: str, expressions: Collection[Expression], around: Mapping[str, Node]
    ) -> None:
        """Carry along the classes of the values that a program is given."""
        for name in dict.fromkeys(name for each in expressions for name in references(each)):
            task = None if name not in around else self.definition.functions.get(around[name].task)
            if task is not None:
                for kind in own_classes(task.annotations.get("return")):
                    carried.bring(kind, node)

    def _keyed(self, expression: Expression, around: Mapping[str, Node]) -> Expression:
        """An expression with keys where it takes attributes of dicts, which values that go as JSON are."""

        def change(part: Expression) -> Expression | None:
            if isinstance(part, Get) and part.attribute and self._goes_as_json(part, around):
                return Get(rewritten(part.of, change), part.key)
            return None

        return rewritten(expression, change)

    def _goes_as_json(self, whole: Expression, around: Mapping[str, Node]) -> bool:
        while isinstance(whole, Get):
            whole = whole.of
        if not isinstance(whole, Output) or whole.node not in around:
            return False
        task = self.tasks[around[whole.node].task]
        if task.record is not None and whole.port is None:
            return False
        types = [each.type for each in task.outputs if whole.port in (None, each.name)]
        return bool(types) and form_of(types[0]) not in FILES

    def _guarded(
        self,
        node: Node,
        function: Callable[..., Any],
        call: str,
        carried: Carried,
        task: Task,
        bindings: Mapping[str, Expression],
        found: _Operands,
    ) -> tuple[list[str], str]:
        """A call with what is around it: awaiting, asking again, a fallback."""
        import inspect

        if inspect.iscoroutinefunction(function):
            call = f"{found.imports.module('asyncio')}.run({call})"
        elif inspect.isasyncgenfunction(function):
            raise self.refuse(node.id, "is an asynchronous generator", "Return a list.")
        elif task.yields:
            call = f"list({call})"
        if node.wait is not None:
            return self._waiting(node, call, found), "value"
        if node.fallback is None:
            return [], call
        if node.policy.retries.count:
            raise self.refuse(node.id, "has retries and a fallback", "Choose one of them.")
        if node.fallback.task is not None:
            other = self.definition.functions[node.fallback.task].function
            name = carried.add(other, node.id, "fallback")
            instead = _call(name, self.tasks[node.fallback.task], bindings, found)[0]
        else:
            instead = found.text(node.fallback.value, "fallback")
        return ["try:", f"    value = {call}", "except Exception:", f"    value = {instead}"], "value"

    def _waiting(self, node: Node, call: str, found: _Operands) -> list[str]:
        wait = node.wait
        assert wait is not None
        if wait.on_timeout == "skip" and wait.timeout is not None:
            raise self.refuse(node.id, "is skipped when its time is over", 'Let it fail then: on_timeout="fail".')
        time = found.imports.module("time")
        lines = [f"pause = {wait.poll!r}", f"began = {time}.monotonic()", f"while not (value := {call}):"]
        if wait.timeout is not None:
            lines += [
                f"    if {time}.monotonic() - began > {wait.timeout!r}:",
                '        raise TimeoutError("it did not come about in time")',
            ]
        lines.append(f"    {time}.sleep(pause)")
        if wait.factor != 1.0:
            lines.append(f"    pause = min(pause * {wait.factor!r}, {wait.longest!r})")
        return lines

    def loop(self, node: Node, bindings: Mapping[str, Expression]) -> Program:
        """The program that carries out all turns of a loop by itself, where its body is nothing but calls."""
        action, loop = self.tasks[node.task].action, node.loop
        assert isinstance(action, PipelineAction) and loop is not None
        found = _Operands(self, node)
        carried = Carried(found.imports, self.rules, reserved=("value",))
        functions = {each.id: self._turn_function(node, each, carried) for each in action.nodes}
        found.taken = defined_in(carried.parts()) | found.imports.bound
        start = [f"{name} = {found.text(each, name)}" for name, each in bindings.items()]
        lines = [line for line in start if line.partition(" = ")[0] != line.partition(" = ")[2]]
        turn: list[str] = []
        results = {each.id: f"{identifier(each.id)}_result" for each in action.nodes}

        def leaf(expression: Expression) -> str:
            match expression:
                case Input("result"):
                    return "value"
                case Input(name):
                    return name
                case Output(name, None) if name in results:
                    return results[name]
                case _:
                    raise self.refuse(
                        node.id, "is a loop whose turns take more than their inputs", "Pass it as an input."
                    )

        def text(expression: Expression) -> str:
            return python(expression, leaf, found.imports)

        for each in action.nodes:
            arguments = ", ".join(f"{name}={text(value)}" for name, value in each.bindings.items())
            turn.append(f"{results[each.id]} = {functions[each.id]}({arguments})")
        turn.append(f"value = {text(action.result)}")
        if loop.until is not None:
            turn += [f"if {text(loop.until)}:", "    break"]
        if loop.carry:
            parts = [
                f"value.{field}" if loop.attributes else f"value[{quoted(field)}]" for field in loop.carry.values()
            ]
            values = [part if field else "value" for part, field in zip(parts, loop.carry.values(), strict=True)]
            turn.append(f"{', '.join(loop.carry)} = {', '.join(values)}")
        lines += [f"for _ in range({loop.maximum}):", *(f"    {line}" for line in turn)]
        if loop.strict:
            lines += [
                "else:",
                f'    raise RuntimeError("the condition of the loop did not hold in {loop.maximum} turns")',
            ]
        return Program(found.listed, found.imports, tuple(carried.parts()), tuple(lines), "value")

    def _turn_function(self, node: Node, each: Node, carried: Carried) -> str:
        plain = each.each is None and each.guard is None and each.loop is None and each.wait is None
        action = self.tasks[each.task].action
        if not plain or each.fallback is not None or each.policy.retries.count or not isinstance(action, PythonAction):
            raise self.refuse(
                node.id, "is a loop whose turns are more than calls of functions", "Let one task repeat it."
            )
        ports = self.tasks[each.task].inputs
        if any(port.kind != "keyword" for port in ports) or self.tasks[each.task].yields:
            raise self.refuse(node.id, "is a loop whose turns are more than plain calls", "Let one task repeat it.")
        return carried.add(self.definition.functions[each.task].function, f"{node.id}/{each.id}", identifier(each.id))

    # Commands.

    def _command(
        self, node: Node, action: CommandAction, bindings: Mapping[str, Expression], found: _Operands
    ) -> Program:
        if action.reads or action.files or action.folder:
            raise self.refuse(
                node.id,
                "is a command that reads files of the user's",
                "Put what it needs into an image, and make it a container task.",
            )
        subprocess = found.imports.module("subprocess")
        values = {name: found.text(expression, name) for name, expression in bindings.items()}
        lines: list[str] = []
        if action.environment:
            os = found.imports.module("os")
            pairs = ", ".join(
                f"{quoted(name)}: {_formatted(text, values, '')}" for name, text in action.environment.items()
            )
            lines.append(f"environment = {{**{os}.environ, {pairs}}}")
        if action.shell:
            needs = any(piece.name for piece in pieces(action.shell))
            quoting = f"{found.imports.module('shlex')}.quote" if needs else ""
            command = f'["sh", "-ec", {_formatted(action.shell, values, quoting)}]'
        else:
            command = f"[{', '.join(_formatted(word, values, '') for word in action.argv)}]"
        more = ", env=environment" if action.environment else ""
        lines.append(f"done = {subprocess}.run({command}, stdout={subprocess}.PIPE, text=True{more})")
        if action.success:
            codes = ", ".join(map(str, action.success))
            test = f"done.returncode != {codes}" if len(action.success) == 1 else f"done.returncode not in ({codes})"
            lines += [f"if {test}:", '    raise RuntimeError(f"the command ended with exit code {done.returncode}")']
        lines.append("print(done.stdout)")
        caught = {name: self._catch(node, catch, found) for name, catch in action.catches.items()}
        value = caught.get("result", "None")
        if caught and set(caught) != {"result"}:
            value = f"{{{', '.join(f'{quoted(name)}: {text}' for name, text in caught.items())}}}"
        return Program(found.listed, found.imports, (), tuple(lines), value)

    def _catch(self, node: Node, catch: Any, found: _Operands) -> str:
        if catch.source == "exit_code":
            return "done.returncode"
        text = "done.stdout"
        if catch.source == "file":
            if pieces(catch.path)[0].name is not None:
                raise self.refuse(node.id, "leaves a file whose name depends on its inputs", "Give it a fixed name.")
            text = f"{found.imports.name('pathlib', 'Path')}({quoted(catch.path)}).read_text()"
        match catch.read:
            case "text":
                return f'{text}.removesuffix("\\n")'
            case "lines":
                return f"{text}.splitlines()"
            case "json":
                return f"{found.imports.module('json')}.loads({text})"
            case "int" | "float":
                return f"{catch.read}({text})"
            case _:
                raise self.refuse(
                    node.id, f"leaves a file that is read as {catch.read}", "Let the command write text or JSON."
                )


class _Operands:
    """The operands of a program as they are found in its expressions."""

    def __init__(self, writing: Writing, node: Node | None, called: str = "") -> None:
        self._writing = writing
        self._node = called if node is None else node.id
        self._where = None if node is None else str(node.location)
        self.imports = Imports()
        #: what names in the program stand for already
        self.taken: frozenset[str] = frozenset()
        self._known: dict[str, Expression] = {}

    @property
    def listed(self) -> tuple[Operand, ...]:
        return tuple(Operand(name, source) for name, source in self._known.items())

    def text(self, expression: Expression, wish: str) -> str:
        """An expression as Python over operands; one that is an operand as a whole is called as is wished."""
        try:
            return python(expression, lambda leaf: self._named(leaf, wish if leaf is expression else ""), self.imports)
        except Unwritable as problem:
            raise self._writing.refuse(
                self._node, f"is given {problem}", "Make the value inside of a task.", self._where
            ) from None

    def _named(self, leaf: Expression, wish: str) -> str:
        if isinstance(leaf, (Ended, Outcome)):
            raise self._writing.refuse(
                self._node,
                "takes how other tasks ended, as a value",
                "Decide by join= or when(...), or leave it out.",
                self._where,
            )
        if isinstance(leaf, Stored):
            raise self._writing.refuse(self._node, "takes a stored value", "Pass the value itself.", self._where)
        for name, known in self._known.items():
            if known == leaf:
                return name
        wish = identifier(wish or _wish(leaf))
        name, count = wish, 1
        while name in self._known or name in self.taken or name in _TAKEN:
            count += 1
            name = f"{wish}_{count}"
        self._known[name] = leaf
        return name


#: variables of the programs themselves
_TAKEN = frozenset({"value", "done", "environment", "pause", "began", "json", "os", "pickle", "Path"})
_DEFINED = re.compile(r"^(?:async def|def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=[^=]", re.MULTILINE)


def defined_in(parts: Iterable[str]) -> frozenset[str]:
    """The names that definitions bind."""
    return frozenset(one or two for part in parts for one, two in _DEFINED.findall(part))


def _wish(leaf: Expression) -> str:
    match leaf:
        case Output(node, port):
            own = node.rpartition("/")[2]
            return own if port is None else f"{own}_{port}"
        case Choose(options):
            return _wish(options[0])
        case Get(of):
            return _wish(of)
        case _:
            return str(getattr(leaf, "name", "value"))


def _call(called: str, task: Task, bindings: Mapping[str, Expression], found: _Operands) -> tuple[str, bool]:
    """The call of a function, and whether its arguments are operands of the same names."""
    arguments: list[str] = []
    plain = True
    for port in task.inputs:
        if port.name not in bindings or port.kind == "unseen":
            plain = plain and not port.required
            continue
        text = found.text(bindings[port.name], port.name)
        plain = plain and text == port.name and port.kind == "keyword"
        match port.kind:
            case "positional":
                arguments.append(text)
            case "args":
                arguments.append(f"*{text}")
            case "kwargs":
                arguments.append(f"**{text}")
            case _:
                arguments.append(f"{port.name}={text}")
    extra = [name for name in bindings if all(port.name != name for port in task.inputs)]
    return f"{called}({', '.join(arguments)})", plain and not extra


def _formatted(template: str, values: Mapping[str, str], quoting: str) -> str:
    """A template as an f-string over the texts of expressions."""
    found = ""
    simple = True
    for piece in pieces(template):
        found += piece.text.replace("{", "{{").replace("}", "}}")
        if piece.name is not None:
            simple = False
            inner = values[piece.name]
            shown = f"format({inner}, {piece.spec!r})" if piece.spec else f"str({inner})"
            shown = f"{quoting}({shown})" if quoting and not piece.raw else shown
            found += "\0" + shown + "\0"
    if simple:
        return quoted(found.replace("{{", "{").replace("}}", "}"))
    parts = re.split("\0", found)
    pieces_ = [
        part if number % 2 else quoted(part.replace("{{", "{").replace("}}", "}"))
        for number, part in enumerate(parts)
        if part or number % 2
    ]
    return " + ".join(pieces_)


def is_simple(expression: Expression) -> bool:
    """Whether an expression is a value that is there as it is, and nothing that has to be computed."""
    return not isinstance(expression, (Apply, Get, Sequence, MappingExpression, Choose))


def skip_lost(task: Task) -> str:
    """What is lost of a command that is skipped by its exit code; empty where nothing is."""
    action = task.action.command if isinstance(task.action, ContainerAction) else task.action
    if not isinstance(action, CommandAction) or not action.skip:
        return ""
    return f"the exit code {' or '.join(map(str, action.skip))} is one like any other, and does not skip it"


__all__ = ["Operand", "Program", "Writing", "is_simple", "skip_lost"]
