"""Containers of the user's as components of Kubeflow's."""

from __future__ import annotations

from collections.abc import Callable

from penstock.dialects.kfp.structures import Component, Concat, Constant, Container, Input, Output, Word
from penstock.dialects.kfp.writing_programs import TYPES, Given, function_name
from penstock.dialects.portable.forms import form_of
from penstock.dialects.portable.programs import Writing, is_simple
from penstock.errors import DefinitionError
from penstock.model.action import Catch, ContainerAction
from penstock.model.expression import Constant as ConstantExpression
from penstock.model.expression import Expression
from penstock.model.graph import Node
from penstock.model.template import pieces


def container(
    writing: Writing, node: Node, action: ContainerAction, given_of: Callable[[Expression], Given]
) -> tuple[Component, dict[str, Given]]:
    """The component of a container task, and what it is given. Raises DefinitionError, naming the node."""

    def refuse(what: str, remedy: str) -> DefinitionError:
        return writing.refuse(node.id, what, remedy, str(node.location))

    command = action.command
    if command.files or command.reads or command.folder or command.environment:
        raise refuse("is a container with files, a folder or variables of its own", "Put them into the image.")
    given = {name: _given(name, expression, given_of, refuse) for name, expression in node.bindings.items()}
    outputs = tuple(_output(name, catch, command.shell, refuse) for name, catch in command.catches.items())
    places = {name: f"{{{{$.inputs.parameters['{name}']}}}}" for name in given}
    words: tuple[Word, ...] = ()
    arguments: tuple[Word, ...] = tuple(_word(word, places) for word in command.argv)
    if command.shell:
        names = list(given)
        line = "".join(
            piece.text + ("" if piece.name is None else f'"${names.index(piece.name)}"')
            for piece in pieces(command.shell)
        )
        arguments = tuple(places.values())
        if outputs:
            line = f'mkdir -p "$(dirname "${len(names)}")"\n({line}) | tee "${len(names)}"'
            arguments = (*arguments, "{{$.outputs.parameters['result'].output_file}}")
        words = ("sh", "-ec", line)
    name = function_name(writing.tasks[node.task].name)
    inputs = tuple(Input(key, each.kind) for key, each in given.items())
    return Component(name.replace("_", "-"), Container(action.image, words, arguments), inputs, outputs), given


_Refuse = Callable[[str, str], DefinitionError]


def _given(name: str, expression: Expression, given_of: Callable[[Expression], Given], refuse: _Refuse) -> Given:
    if isinstance(expression, ConstantExpression):
        kind = type(expression.value).__name__
        found = Given(Constant(expression.value), form_of(kind), kind)
    elif is_simple(expression):
        found = given_of(expression)
    else:
        raise refuse("takes a value that has to be computed", "Compute it in a task.")
    if found.form not in ("int", "float", "bool", "str") or found.collected:
        raise refuse(f"takes {name!r}, which is no plain text or number", "Pass text.")
    return found


def _output(name: str, catch: Catch, shell: str, refuse: _Refuse) -> Output:
    kinds = {"text": "str", "int": "int", "float": "float", "json": "dict"}
    if catch.source != "stdout" or not shell or name != "result" or catch.read not in kinds:
        raise refuse(f"is a container whose output {name!r} is no text on stdout", "Print it, in a line of shell.")
    return Output(name, TYPES[form_of(kinds[catch.read])])


def _word(template: str, places: dict[str, str]) -> Word:
    parts: list[Word] = []
    for piece in pieces(template):
        if piece.text:
            parts.append(piece.text)
        if piece.name is not None:
            parts.append(places[piece.name])
    return parts[0] if len(parts) == 1 else Concat(tuple(parts))


__all__ = ["container"]
