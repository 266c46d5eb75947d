"""What a stage does, as a task: a function, a program, a question, something of another system."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from penstock.authoring.options.environments import environment_of
from penstock.authoring.options.policy import read_options
from penstock.authoring.pipeline import Composition
from penstock.authoring.task import Task
from penstock.dialects.yaml.code import RETURNS, Code, Missing, plain_function, returned, with_variables
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.names import JSON, Known
from penstock.dialects.yaml.programs import Programs
from penstock.dialects.yaml.source import Fields, Part
from penstock.dialects.yaml.structs import read_struct
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, Environment, OpaqueAction
from penstock.model.expression import Mapping as Mapped
from penstock.model.graph import PipelineAction, Port
from penstock.model.graph import Task as Noun

#: keys of a stage that say what it does; one of them at most
WORK = ("uses", "run", "container", "approve", "opaque", "stages")
#: fields of the noun that `task:` may set
_NOUN = ("key", "name", "inputs", "outputs", "record", "description", "yields", "environment", "asset")
_REQUIREMENTS = frozenset({"requirements", "files", "python", "variables"})


class Made(NamedTuple):
    """A task, as far as it is made."""

    noun: Noun
    #: the function, of what is one
    task: Task[..., Any] | None = None
    #: options that it has already
    base: Mapping[str, Any] = {}
    known: Known | None = None
    #: input -> the expression that a text of the stage has for it, its place in the text, and the text
    texts: Mapping[str, tuple[str, int, Part]] = {}
    #: the pipeline, of what is one
    pipeline: Composition[..., Any] | None = None


class Tasks:
    """Makes the tasks of a file."""

    def __init__(self, code: Code, programs: Programs, find: Callable[[str], Any]) -> None:
        self._code = code
        self._programs = programs
        self._find = find

    def make(self, name: str, part: Part, fields: Fields, declared: list[str]) -> Made | None:
        """What a stage does. What is wrong is noted."""
        said = [key for key in WORK if key in fields and not (key == "container" and "run" in fields)]
        if len(said) > 1:
            part.refuse(f"the stage {name!r} says {' and '.join(said)}", "A stage does one thing: keep one of them.")
            return None
        kind = said[0] if said else "uses"
        make: Callable[..., Made | None] = getattr(self, f"_{'run' if kind == 'container' else kind}")
        made = make(name, part, fields, declared)
        return made if made is None or "task" not in fields else self.changed(made, fields["task"])

    def changed(self, made: Made, part: Part) -> Made | None:
        """The task with what `task:` says of it."""
        if not part.is_mapping:
            return made
        noun = made.noun
        changes: dict[str, Any] = {}
        for field, value in part.fields(_NOUN, "task").items():
            if field != "key":
                changes[field] = read_literal(value, self._find)
        try:
            typed = {
                field.name: msgspec.convert(changes[field.name], field.type)
                for field in msgspec.structs.fields(Noun)
                if field.name in changes
            }
        except msgspec.ValidationError as error:
            part.refuse(f"task: {error}")
            return made
        noun = msgspec.structs.replace(noun, **typed)
        known = made.known or Known(noun)
        return made._replace(noun=noun, known=known._replace(task=noun))

    # The kinds.

    def _uses(self, name: str, part: Part, fields: Fields, declared: list[str]) -> Made | None:
        given = fields.get("uses")
        try:
            if given is None:
                found = self._code.of_stage(name)
            elif (reference := given.text()) is None:
                return None
            else:
                found = self._code.named(reference)
            if isinstance(found, Composition):
                return self._part(name, cast("Composition[..., Any]", found), part, fields)
            function, base, known = plain_function(found)
        except Missing as missing:
            (given or part).refuse(str(missing), missing.remedy)
            return None
        environment, variables = self._environment(fields)
        if variables:
            if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
                fields["environment"].refuse("variables of the environment are for plain functions and for run:")
            else:
                function = with_variables(function, variables)
        if known is not None and not variables:
            task = known
        else:
            task = Task(function, function.__name__ if known is None else known.name, base)
        noun = task.noun
        environment = environment or base.get("environment")
        if environment is not None:
            noun = msgspec.structs.replace(noun, environment=environment)
        made = Made(noun, task, base, known_of(noun, task))
        return self._with_outputs(made, function, fields["outputs"]) if "outputs" in fields else made

    def _part(self, name: str, pipeline: Composition[..., Any], part: Part, fields: Fields) -> Made:
        """A whole pipeline, whose nodes are put in its place once the graph is made."""
        for key in ("outputs", "environment"):
            if key in fields:
                fields[key].refuse(
                    f"{name} is a pipeline, which says its {key} itself", "Take it out, or say it in that pipeline."
                )
        inputs = tuple(Port(each.name, each.type, each.required) for each in pipeline.parameters)
        noun = Noun(name, PipelineAction((), part.location), inputs, (Port("result", required=False),))
        keys = getattr(pipeline.function, RETURNS, None) or returned(pipeline.function).keys
        return Made(noun, known=known_body(noun, keys), pipeline=pipeline)

    def _environment(self, fields: Fields) -> tuple[Environment | None, dict[str, str]]:
        """The Python environment of a function, and variables."""
        part = fields.get("environment")
        if part is None or part.is_null:
            return None, {}
        given = read_literal(part, self._find)
        variables: dict[str, Any] = {}
        if not isinstance(given, dict):
            part.wrong("a mapping", "Write environment: {NAME: value}.")
            return None, {}
        keys = cast("dict[str, Any]", given)
        own = bool(keys) and _REQUIREMENTS.issuperset(keys)
        variables = keys.get("variables", {}) if own else keys
        if not own or set(keys) == {"variables"}:
            given = None
        else:
            requirements = tuple(keys.get("requirements", ()))
            given = Environment(requirements, dict(keys.get("files", {})), str(keys.get("python", "")))
        plain = {name: _plain(value) for name, value in variables.items() if not isinstance(value, (list, dict))}
        if len(plain) != len(variables):
            part.refuse("a variable of the environment is a text")
        try:
            return (None if given is None else environment_of(given)), plain
        except DefinitionError as error:
            part.refuse(error.what, (error.remedy or "").replace("environment=", "environment: "))
            return None, plain

    def _with_outputs(self, made: Made, function: Callable[..., Any], part: Part) -> Made:
        """The task with the names of its outputs."""
        names = part.texts()
        noun, known = made.noun, made.known or Known(made.noun)
        own = [port.name for port in noun.outputs]
        shown = returned(function)
        if not names:
            return made
        if noun.record in ("dict", "named", "dataclass") or len(shown.keys) > 1:
            there = own if noun.record else list(shown.keys)
            wrong = [each for each in names if each not in there]
            if wrong:
                part.refuse(f"{noun.name}() returns {', '.join(there)}, and not {', '.join(wrong)}")
            if noun.record or set(names) != set(there):
                return made._replace(
                    known=known._replace(aliases={each: each for each in there} if not noun.record else {})
                )
            ports, record = tuple(Port(each, required=False) for each in names), "dict"
        elif noun.record == "tuple" or shown.length > 1:
            count = len(own) if noun.record else shown.length
            if count != len(names):
                part.refuse(f"{noun.name}() returns {count} values, and there are names for {len(names)}")
                return made
            types = noun.outputs if noun.record else tuple(Port(each, required=False) for each in names)
            ports = tuple(msgspec.structs.replace(port, name=each) for each, port in zip(names, types, strict=True))
            record = "tuple"
        else:
            whole = len(names) == 1 and shown.keys != tuple(names)
            aliases: dict[str, str | None] = {each: None if whole else each for each in names}
            return made._replace(known=known._replace(aliases=aliases))
        noun = msgspec.structs.replace(noun, outputs=ports, record=record)
        return made._replace(noun=noun, known=Known(noun, known.returns))

    def _run(self, name: str, part: Part, fields: Fields, declared: list[str]) -> Made | None:
        program = self._programs.read(name, part, fields, declared)
        if program is None:
            return None
        return Made(program.task, None, {}, known_of(program.task, None), program.inputs)

    def _approve(self, name: str, part: Part, fields: Fields, declared: list[str]) -> Made | None:
        given = fields["approve"]
        if given.is_text:
            action: ApprovalAction | None = ApprovalAction(given.written, part.location)
        else:
            action = read_struct(
                ApprovalAction, given, self._find, lengths=("deadline",), given={"location": part.location}
            )
        if action is None:
            return None
        ports = tuple(Port(each) for each in declared)
        noun = Noun(name, action, ports, (Port("result", "penstock.Approval"),), description=action.question)
        return Made(noun, None, read_options({"cache": False}), Known(noun))

    def _opaque(self, name: str, part: Part, fields: Fields, declared: list[str]) -> Made | None:
        action = read_struct(OpaqueAction, fields["opaque"], self._find, given={"location": part.location})
        if action is None:
            return None
        noun = Noun(name, action, tuple(Port(each) for each in declared), (Port("result", required=False),))
        return Made(noun, None, {}, Known(noun))


def known_of(noun: Noun, task: Task[..., Any] | None) -> Known:
    """A task as expressions see it."""
    if task is not None:
        returns = task.outputs.annotation
        keys = returned(task.function).keys if noun.record is None else ()
        return Known(noun, JSON if returns is Any and keys else returns, keys=keys)
    if isinstance(noun.action, PipelineAction):
        return known_body(noun, noun.action.result.items if isinstance(noun.action.result, Mapped) else ())
    reads_json = isinstance(noun.action, (CommandAction, ContainerAction)) and noun.record is None
    return Known(noun, JSON if reads_json and [port.type for port in noun.outputs] == ["Any"] else Any)


def known_body(noun: Noun, names: Collection[str]) -> Known:
    """A body that results in a dict with these keys; in something else, where there are none."""
    aliases = dict(zip(names, names, strict=True))
    return Known(noun, JSON if aliases else Any, aliases=aliases)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


__all__ = ["WORK", "Made", "Tasks", "known_body", "known_of"]
