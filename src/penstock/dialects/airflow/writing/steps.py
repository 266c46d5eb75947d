"""Small tasks: a function with what it computes before, a gate, a sensor, the items of a fan-out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from penstock.authoring.placing import SPREAD
from penstock.dialects.airflow.writing.options import operator_options
from penstock.dialects.airflow.writing.sending import Sent
from penstock.dialects.airflow.writing.terms import Terms, keys_of
from penstock.dialects.code.arguments import arguments
from penstock.dialects.code.formatting import block, call, keywords, length, literal, number, quoted
from penstock.dialects.code.naming import identifier
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction
from penstock.model.expression import Ended, Expression, Item, Output, leaves
from penstock.model.graph import Each, Node, Task
from penstock.model.policy import Policy
from penstock.model.template import pieces

if TYPE_CHECKING:
    from penstock.dialects.airflow.writing.dags import Writer


class Made(NamedTuple):
    """A small task, as it is called in the DAG."""

    variable: str
    call: str
    #: lines that put it behind others
    order: tuple[str, ...] = ()


class Steps:
    """The small tasks of a DAG, or of a task group."""

    def __init__(self, writer: Writer, terms: Terms) -> None:
        self._writer = writer
        self._terms = terms
        #: id of a gate -> its variable
        self.variables: dict[str, str] = {}

    # A node.

    def called(self, node: Node, task: Task, options: dict[str, str]) -> str:
        """The call of the task of a node, mapped where it is."""
        if isinstance(task.action, CommandAction) and self._writer.is_bash(node.task):
            return self._bash(node, task.action, options)
        name = self._writer.decorated(node, task)
        if name is not None:
            return self._decorated(name, node, task, options)
        reads = self._reads(node)
        items = [] if node.each is None else [each for each in node.bindings if node.bindings[each] == Item(each)]
        spread = node.each is not None and node.each.spread is not None
        parameters = [*items, *(each for each in reads if each not in items), *(["**kwargs"] if spread else [])]
        own = self._writer.sources.reserve(f"{identifier(node.id.rpartition('/')[2])}_step")
        decorator, more = self._decorator(node, task)
        given = {**options, **operator_options(node.policy, Policy(), self._writer.imports), **more}
        lines = [f"@{call(decorator, keywords(given))}", f"def {own}({', '.join(parameters)}):"]
        if self._writer.is_sent(node.task):
            alone = Sent(self._writer, self._terms, node, [*items, *reads, *(["kwargs"] if spread else [])])
            body = block(self._body(node, task, alone))
            self._writer.step(own, [*lines, *body], alone.lines())
        else:
            self._writer.step(own, [*lines, *block(self._body(node, task))])
        return self._applied(own, node, reads)

    def _bash(self, node: Node, command: CommandAction, options: dict[str, str]) -> str:
        imports = self._writer.imports
        operator = imports.name("airflow.providers.standard.operators.bash", "BashOperator")
        text = _plain(command.shell) if command.shell else shlex.join(map(_plain, command.argv))
        # a text that ends like the name of a script would be taken for a file of templates
        given = {**options, "bash_command": quoted(_raw(f"{text} " if text.endswith((".sh", ".bash")) else text))}
        if command.environment:
            variables = {name: _raw(_plain(each)) for name, each in command.environment.items()}
            given |= {"env": literal(variables, imports), "append_env": "True"}
        if command.folder:
            given["cwd"] = quoted(command.folder)
        if command.skip and command.skip != (99,):
            given["skip_on_exit_code"] = literal(list(command.skip), imports)
        elif not command.skip:
            given["skip_on_exit_code"] = "None"
        return call(operator, keywords({**given, **operator_options(node.policy, Policy(), imports)}))

    def _decorated(self, name: str, node: Node, task: Task, options: dict[str, str]) -> str:
        changed = operator_options(node.policy, self._writer.base(node), self._writer.imports)
        given = {**options, **changed}
        if given["task_id"] == quoted(name):
            del given["task_id"]
        if given:
            name = f"{name}.override({', '.join(keywords(given))})"
        shape = self._writer.definition.functions[node.task].shape.parameters
        if node.each is None:
            return call(name, arguments(node.bindings, task, shape, _Handed(self._terms)))
        fixed = {key: found for key, found in node.bindings.items() if found != Item(key)}
        return self._applied(name, node, {key: self._terms.argument(found) for key, found in fixed.items()})

    def _decorator(self, node: Node, task: Task) -> tuple[str, dict[str, str]]:
        wait = node.wait
        if wait is None:
            return self._writer.environment(node, task)
        self._writer.sdk("task")
        given = {"poke_interval": number(wait.poll), "mode": quoted("reschedule")}
        # without a word, Airflow gives up after a week; as long as it takes is a year here
        given["timeout"] = number(365 * 86400 if wait.timeout is None else wait.timeout)
        if wait.factor > 1:
            given["exponential_backoff"] = "True"
            given["max_wait"] = number(wait.longest)
        if wait.on_timeout == "skip":
            given["soft_fail"] = "True"
        return "task.sensor", given

    def _body(self, node: Node, task: Task, alone: Sent | None = None) -> list[str]:
        terms = self._terms if alone is None else alone.terms
        function = (self._writer if alone is None else alone).function(node.task)
        known = self._writer.definition.functions.get(node.task)
        shape = None if known is None else known.shape.parameters
        bindings = {name: each for name, each in node.bindings.items() if name != SPREAD}
        given = arguments(bindings, task, shape, terms)
        if node.each is not None and node.each.spread is not None:
            given.append("**kwargs")
        text = call(function, given)
        if node.wait is not None:
            answer = self._writer.sdk("PokeReturnValue")
            return [f"found = {text}", f"return {answer}(is_done=bool(found), xcom_value=found)"]
        if node.fallback is not None:
            return self._with_fallback(node, text, alone)
        if self._writer.in_parts(node.task) and task.record is not None:
            fields = [f"{quoted(port.name)}: found.{port.name}" for port in task.outputs]
            return [f"found = {text}", f"return {{{', '.join(fields)}}}"]
        return [f"return {text}"]

    def _with_fallback(self, node: Node, text: str, alone: Sent | None) -> list[str]:
        fallback = node.fallback
        assert fallback is not None
        terms = self._terms if alone is None else alone.terms
        if fallback.task is None:
            instead = terms.text(fallback.value)
        else:
            given = {name: terms.text(each) for name, each in node.bindings.items()}
            instead = call((self._writer if alone is None else alone).function(fallback.task), keywords(given))
        lines = ["try:", *block([f"return {text}"]), "except Exception:"]
        if node.policy.retries.count:
            context = self._writer.sdk("get_current_context")
            inside = [f'attempt = {context}()["ti"]', "if attempt.try_number <= attempt.max_tries:", *block(["raise"])]
            return [*lines, *block([*inside, f"return {instead}"])]
        return [*lines, *block([f"return {instead}"])]

    def _reads(self, node: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        for expression in node.bindings.values():
            found |= self._terms.read(expression)
        if node.fallback is not None:
            found |= self._terms.read(node.fallback.value)
        return found

    # Fan-outs.

    def _applied(self, name: str, node: Node, reads: Mapping[str, str]) -> str:
        """The call of a task with what it reads by name; of a mapped one, over its items."""
        if node.each is None:
            return call(name, keywords(reads))
        return self.mapped(name, node, node.each, reads)

    def mapped(self, name: str, node: Node, each: Each, fixed: Mapping[str, str]) -> str:
        """The call of a task, or a task group, over its items."""
        called = call(f"{name}.partial", keywords(fixed)) if fixed else name
        over = each.over
        plain = keys_of(over) is None and each.spread is None and all(map(self._expandable, over.values()))
        if plain and (len(over) == 1 or each.mode == "product"):
            return call(f"{called}.expand", keywords({key: self._terms.argument(it) for key, it in over.items()}))
        if each.spread is not None and isinstance(over[SPREAD], Output) and self._expandable(over[SPREAD]):
            return call(f"{called}.expand_kwargs", [self._terms.argument(over[SPREAD])])
        own = self._writer.sources.reserve(f"{identifier(node.id.rpartition('/')[2])}_items")
        reads: dict[str, str] = {}
        for expression in over.values():
            reads |= self._terms.read(expression)
        items = self.expression(own, own, self._rows(each), reads, {})
        return call(f"{called}.expand_kwargs", [items.call])

    def _expandable(self, expression: Expression) -> bool:
        """Whether a fan-out can run over something as it stands."""
        if isinstance(expression, Output):
            return expression.port is None
        return type(expression).__name__ in ("Constant", "Sequence") and self._terms.is_direct(expression)

    def _rows(self, each: Each) -> str:
        """The arguments of all items, as a list of dicts."""
        texts = {name: self._terms.text(found) for name, found in each.over.items()}
        if keys_of(each.over) is not None:
            texts = {name: f"{text}.values()" for name, text in texts.items()}
        if each.spread is not None:
            return f"list({texts[each.spread]})"
        inside = "{" + ", ".join(f"{quoted(name)}: each_{name}" for name in texts) + "}"
        if each.mode == "product":
            return f"[{inside} {' '.join(f'for each_{name} in {text}' for name, text in texts.items())}]"
        if len(texts) == 1:
            return f"[{inside} for each_{next(iter(texts))} in {next(iter(texts.values()))}]"
        names = ", ".join(f"each_{name}" for name in texts)
        return f"[{inside} for {names} in zip({', '.join(texts.values())}, strict=True)]"

    # Others.

    def computed(self, name: str, task: str, expression: Expression, prefix: str) -> str:
        """The call of a task that computes an expression."""
        return self.expression(name, task, self._terms.text(expression), self._terms.read(expression), {}).call

    def expression(self, name: str, task: str, text: str, reads: Mapping[str, str], options: Mapping[str, str]) -> Made:
        """A task that computes what a text says."""
        own = name if name.endswith("_items") else self._writer.sources.reserve(f"{name}_step")
        given = {"task_id": quoted(task), **options}
        decorator = self._writer.sdk("task")
        self._writer.step(
            own, [f"@{call(decorator, keywords(given))}", f"def {own}({', '.join(reads)}):", *block([f"return {text}"])]
        )
        return Made(name, call(own, keywords(reads)))

    def gate(
        self,
        name: str,
        arms: Sequence[tuple[str | None, Sequence[str]]],
        conditions: Sequence[Expression],
        prefix: str,
        waited: Sequence[str],
    ) -> Made:
        """A task that lets others run or not: one that cuts short what is behind it, or one that chooses between arms."""
        reads: dict[str, str] = {}
        for condition in conditions:
            reads |= self._terms.read(condition)
        own = self._writer.sources.reserve(f"{name}_step")
        self._writer.sdk("task")
        options = {"task_id": quoted(name)}
        if any(isinstance(leaf, Ended) for each in conditions for leaf in leaves(each)):
            options["trigger_rule"] = quoted("all_done")
        if len(arms) == 1:
            options["ignore_downstream_trigger_rules"] = "False"
            head, lines = "task.short_circuit", [f"return {arms[0][0]}"]
        else:
            head, lines = "task.branch", list[str]()
            for text, entries in arms:
                chosen = f"return {literal(list(entries), self._writer.imports)}"
                lines += [chosen] if text is None else [f"if {text}:", *block([chosen])]
            if arms[-1][0] is not None:
                lines.append("return []")
        self._writer.step(own, [f"@{call(head, keywords(options))}", f"def {own}({', '.join(reads)}):", *block(lines)])
        order = tuple(f"{each} >> {name}" for each in waited)
        return Made(name, call(own, keywords(reads)), order)

    def approval(self, node: Node, action: ApprovalAction, options: dict[str, str]) -> str:
        """A question to a person, which Airflow has from 3.1 on. Raises DefinitionError for a form, and for an answer that
        is a value."""
        read = any(each.node == node.id for each in self._writer.outputs_read())
        if action.fields or action.on_reject == "return" or read:
            raise DefinitionError(
                f"{node.id!r} asks for more than a yes, which an approval of Airflow does not hand on",
                where=str(action.location),
                remedy="Leave out the form, and let a rejection skip or fail what follows.",
            )
        operator = self._writer.imports.name("airflow.providers.standard.operators.hitl", "ApprovalOperator")
        given = {**options, "subject": quoted(action.question)}
        if action.on_reject == "fail":
            given["fail_on_reject"] = "True"
        if action.deadline is not None:
            given["execution_timeout"] = length(action.deadline, self._writer.imports)
        if action.default is not None:
            given["defaults"] = quoted("Approve" if action.default == "approve" else "Reject")
        return call(operator, keywords(given))


def _plain(template: str) -> str:
    """A template without places as the text that it is."""
    return "".join(piece.text for piece in pieces(template))


def _raw(text: str) -> str:
    """A text that Airflow is not to fill in."""
    return f"{{% raw %}}{text}{{% endraw %}}" if any(each in text for each in ("{{", "{%", "{#")) else text


class _Handed:
    """Arguments that are handed on as they stand."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def text(self, expression: Expression) -> str:
        return self._terms.argument(expression)

    def value(self, value: object) -> str:
        return self._terms.value(value)


__all__ = ["Made", "Steps"]
