"""The stages of a pipeline, or of a body in it, as nodes."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple, TypeGuard, cast

import msgspec

from penstock.authoring.bodies import typed_value
from penstock.authoring.decorated import check_name
from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.caching import cache_key
from penstock.authoring.options.hooks import Attached, attached
from penstock.authoring.pipeline import Composition
from penstock.authoring.ref import Ref
from penstock.authoring.task import Task
from penstock.authoring.wiring import check_wiring
from penstock.dialects.yaml import policies, programs
from penstock.dialects.yaml.code import variables_of
from penstock.dialects.yaml.composed import Used
from penstock.dialects.yaml.filling import Need, filled
from penstock.dialects.yaml.inputs import Find, expression_in, read_expression, read_value
from penstock.dialects.yaml.literals import tag_of
from penstock.dialects.yaml.names import Known, Names
from penstock.dialects.yaml.policies import Options, policy_from, read_policy
from penstock.dialects.yaml.source import Fields, Part
from penstock.dialects.yaml.structs import read_struct
from penstock.dialects.yaml.tasks import WORK, Made, Tasks, known_body
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Item, Mapping, Output, references
from penstock.model.graph import RULES, Each, Fallback, Loop, Node, PipelineAction, Port, Wait, ordered
from penstock.model.graph import Task as Noun
from penstock.model.policy import Policy
from penstock.model.work import Imported

#: all keys of a stage
KEYS = tuple(
    dict.fromkeys(
        (
            *("name", "description", "task", *WORK, *programs.KEYS),
            *("depends_on", "after", "inputs", "outputs", "result", "map", "map_options", "repeat", "wait", "fallback"),
            *("condition", "when", "join", "decides", "final", "environment"),
            *policies.KEYS,
        )
    )
)
_MAP_OPTIONS = ("mode", "spread", "key", "max_parallel", "failure_threshold", "bindings")


class Home(NamedTuple):
    """The module that stands for the file, as workers find it."""

    module: str
    file: str


class Draft(NamedTuple):
    """A stage, before what it takes is known."""

    id: str
    part: Part
    fields: Fields
    made: Made
    key: str
    after: tuple[str, ...]
    #: some of what it waits for is not there
    lost: bool


class Stages:
    """Reads the stages of a file, bodies and all."""

    def __init__(self, tasks: Tasks, options: Options, find: Find, home: Home) -> None:
        self._home = home
        self._make = tasks
        self._options = options
        self._find = find
        #: what a graph consists of besides its nodes, as `authoring.building.Catalogue` has it
        self.tasks: dict[str, Noun] = {}
        self.functions: dict[str, Task[..., Any]] = {}
        self.attached: dict[tuple[str, str], Attached] = {}
        self.predicates: dict[str, Any] = {}
        #: stages that are whole pipelines
        self.used: list[Used] = []
        self._shared: dict[Any, str] = {}

    def read(self, parts: list[Part], base: Names, body: str = "") -> tuple[tuple[Node, ...], Names]:
        """The nodes of a pipeline, or of the body of a task with a key, and the names in it. What is wrong is noted."""
        named: dict[str, tuple[Part, Fields]] = {}
        for part in parts:
            fields = part.fields(KEYS, "a stage")
            name = self._name(part, fields, named)
            if name is not None:
                named[name] = (part, fields)
        drafts = [draft for name, (part, fields) in named.items() if (draft := self._draft(name, part, fields, named))]
        known = {draft.id: draft.made.known or Known(draft.made.noun) for draft in drafts}
        known = {draft.id: known[draft.id]._replace(mapped="map" in draft.fields) for draft in drafts}
        # those that could not be made are known all the same: what reads them is not to blame
        lost = {name: Known(Noun(name, PipelineAction((), part.location), (), ())) for name, (part, _) in named.items()}
        names = Names({name: known.get(name, lost[name]) for name in named}, base.parameters, base.inputs)
        nodes = [node for draft in drafts if (node := self._node(draft, drafts, names, body)) is not None]
        self._check_circles(nodes, named)
        return (ordered(tuple(nodes)) if not parts or not parts[0].problems.found else tuple(nodes)), names

    def _name(self, part: Part, fields: Fields, named: MappingOf[str, tuple[Part, Fields]]) -> str | None:
        if not part.is_mapping:
            return None
        if "name" not in fields:
            part.refuse("a stage has no name", "Write name: first.")
            return None
        name = fields["name"].label()
        if name is None:
            return None
        try:
            for each in name.split("/"):
                check_name(each)
        except DefinitionError as error:
            fields["name"].refuse(error.what)
            return None
        if name in named:
            line = named[name][0].mark.line
            fields["name"].refuse(f"two stages are called {name!r}; the other is in line {line}", "Rename one of them.")
            return None
        return name

    def _draft(self, name: str, part: Part, fields: Fields, named: MappingOf[str, Any]) -> Draft | None:
        declared = self._declared(fields)
        if "stages" in fields:
            noun = Noun(name, PipelineAction((), part.location), (), (Port("result", required=False),))
            result = fields.get("result")
            names = list(result.fields()) if result is not None and result.is_mapping else []
            made: Made | None = Made(noun, known=known_body(noun, names))
            made = self._make.changed(made, fields["task"]) if "task" in fields else made
        else:
            made = self._make.make(name.rpartition("/")[2], part, fields, declared)
        if made is None:
            return None
        if "description" in fields and (text := fields["description"].text()) is not None:
            made = made._replace(noun=msgspec.structs.replace(made.noun, description=text))
        listed = [self._others(fields[key], name, named) for key in ("depends_on", "after") if key in fields]
        after = tuple(dict.fromkeys(each for others in listed for each in others if each is not None))
        # a key that is not known may have been meant to say it
        lost = any(None in others for others in listed) or len(fields) < len(part.pairs())
        return Draft(name, part, fields, made, self._key_of(made, fields), after, lost)

    def _declared(self, fields: Fields) -> list[str]:
        """The inputs that a stage names."""
        found = list(fields["inputs"].fields()) if "inputs" in fields and fields["inputs"].is_mapping else []
        if "map" in fields and fields["map"].is_mapping:
            found += [name for name in fields["map"].fields() if name not in found]
        return found

    def _others(self, part: Part, name: str, named: MappingOf[str, Any]) -> list[str | None]:
        """The stages that are listed; None for those that are wrong, which is noted."""
        found: list[str | None] = []
        for each in part.items() if part.is_list else [part]:
            other = each.label()
            found.append(other if other in named and other != name else None)
            if other == name:
                each.refuse(f"the stage {name!r} waits for itself", "Take it out of the list.")
            elif other is not None and other not in named:
                near = nearest(other, named)
                each.refuse(f"there is no stage {other!r}{near}", "" if near else f"There are: {', '.join(named)}.")
        return found

    # Tasks.

    def _key_of(self, made: Made, fields: Fields) -> str:
        """The key of a task: the one that is given, that of the same function, or its name, made unique."""
        part = fields.get("task")
        given = None if part is None else part.fields().get("key") if part.is_mapping else part
        if given is not None and (key := given.label()) is not None:
            self._put(key, made)
            return key
        environment = None if made.noun.environment is None else msgspec.json.encode(made.noun.environment)
        identity = None
        if made.task is not None:
            identity = (id(made.task.function), environment, msgspec.json.encode(made.noun.outputs), made.noun.record)
            if identity in self._shared:
                return self._shared[identity]
        key = made.noun.name
        while key in self.tasks:
            key += "'"
        if identity is not None:
            self._shared[identity] = key
        self._put(key, made)
        return key

    def _put(self, key: str, made: Made) -> None:
        self.tasks.setdefault(key, made.noun)
        if made.task is not None:
            if variables_of(made.task.function):
                made.task.reference = Imported(self._home.module, key, self._home.file, "yaml")
            self.functions.setdefault(key, made.task)

    # Nodes.

    def _node(self, draft: Draft, drafts: list[Draft], names: Names, body: str) -> Node | None:
        fields, part = draft.fields, draft.part
        each = self._each(draft, names)
        items = names if each is None else names.with_items(frozenset(each.over))
        bindings = self._bindings(draft, drafts, items, each)
        if "stages" in fields:
            self._read_body(draft, items, bindings)
        options = self._base(draft)
        if "policy" in fields:
            policy = read_policy(fields["policy"], self._find) or Policy()
        else:
            asynchronous = draft.made.task is not None and draft.made.task.asynchronous
            policy = policy_from(part, options, asynchronous=asynchronous)
        self._attach(draft, options, body)
        if draft.made.pipeline is not None:
            self.used.append(Used(draft.made.pipeline, body, draft.id, draft.key, part.location))
        join = self._join(fields["join"], names) if "join" in fields else "all_success"
        node = Node(
            draft.id,
            draft.key,
            bindings,
            part.location,
            policy,
            guard=self._guard(fields, names),
            each=each,
            join="all_success" if join is None else join,
            loop=self._loop(draft, bindings, names) if "repeat" in fields else None,
            wait=self._wait(draft),
            fallback=self._fallback(draft, options, names),
            decides=_flag(fields, "decides", default=True),
            final=_flag(fields, "final", default=False),
        )
        exact = () if "after" not in fields else tuple(fields["after"].texts())
        needed = {need[0] for need in node.requirements() if len(need) == 1}
        return msgspec.structs.replace(
            node, after=tuple(name for name in draft.after if name in exact or name not in needed)
        )

    def _base(self, draft: Draft) -> dict[str, Any]:
        base = dict(draft.made.base)
        if "wait" in draft.fields:
            base["cache"] = False
        return self._options.of(draft.fields, base)

    def _each(self, draft: Draft, names: Names) -> Each | None:
        part = draft.fields.get("map")
        if part is None:
            return None
        if part.is_mapping:
            named = part.fields()
        else:
            name = self._only_parameter(draft)
            if name is None:
                part.refuse("map does not say which input it gives", f"Write map: {{name: {part.written or '[...]'}}}.")
                return None
            named = {name: part}
        over = {
            name: each for name, value in named.items() if (each := read_value(value, names, self._find)) is not None
        }
        for name, value in over.items():
            if isinstance(value, Constant) and not isinstance(value.value, (list, dict, tuple, set, range)):
                named[name].refuse(
                    f"map runs over a list, and {named[name].told} is none", "Write [...], or the name of a stage."
                )
        options = draft.fields.get("map_options")
        lengths = {name: len(value.value) for name, value in over.items() if _is_constant_list(value)}
        if len(set(lengths.values())) > 1 and (options is None or "mode" not in options.fields()):
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            part.refuse(
                f"the lists to map over have different lengths: {told}",
                "Let them have the same; for all combinations, write map_options: {mode: product}.",
            )
        given = draft.fields["map_options"].fields(_MAP_OPTIONS) if "map_options" in draft.fields else {}
        inside = names.with_items(frozenset(over))
        key = read_expression(given["key"], inside, self._find) if "key" in given else None
        plain = {name: value for name, value in given.items() if name not in ("key", "bindings")}
        if not plain:
            return Each(over, key=key)
        node = Part(_mapping_of(plain, draft.fields["map_options"]), part.problems, "map_options")
        return read_struct(Each, node, self._find, given={"over": over, "key": key})

    def _only_parameter(self, draft: Draft) -> str | None:
        given = self._declared(draft.fields)
        left = [port.name for port in draft.made.noun.inputs if port.required and port.name not in given]
        return left[0] if len(left) == 1 else None

    def _bindings(self, draft: Draft, drafts: list[Draft], names: Names, each: Each | None) -> dict[str, Expression]:
        part, fields, made = draft.part, draft.fields, draft.made
        found: dict[str, Expression] = {}
        options = fields["map_options"].fields() if "map_options" in fields else {}
        implied = each is not None and each.spread is None and "bindings" not in options
        if each is not None and implied:
            found.update({name: Item(name) for name in each.over})
        given = fields["inputs"].fields() if "inputs" in fields else {}
        for name, value in given.items():
            # what is wrong is noted, and not missing besides
            found[name] = read_value(value, names, self._find) or Constant(None)
        for name, (text, offset, where) in made.texts.items():
            expression = expression_in(where, text, offset, names)
            found[name] = expression or Constant(None)
        if (made.task is None and made.pipeline is None) or draft.lost:
            return found
        found = self._fill(draft, drafts, names, found, spread=each is not None and each.spread is not None)
        if made.pipeline is None:
            self._check_types(draft, drafts, found)
        else:
            self._check_values(draft, made.pipeline, found)
        kinds = {port.kind for port in made.noun.inputs}
        ports = [port.name for port in made.noun.inputs]
        mapped = fields["map"].fields() if implied and each is not None and fields["map"].is_mapping else {}
        for name, value in {**mapped, **given}.items():
            if name not in ports and "kwargs" not in kinds:
                takes = ", ".join(ports) or "nothing"
                near = nearest(name, ports)
                value.refuse(f"{made.noun.name}() takes no {name!r}{near}", "" if near else f"It takes {takes}.")
        if part.problems.found:
            return found
        found = _with_keywords(found, made.noun.inputs)
        return {name: found[name] for name in sorted(found, key=lambda name: _place_of(name, ports, list(found)))}

    def _check_values(self, draft: Draft, pipeline: Composition[..., Any], found: MappingOf[str, Expression]) -> None:
        """Note values that are not of the types of a pipeline's parameters."""
        if draft.part.problems.found:
            # what could not be read stands for nothing
            return
        given = draft.fields["inputs"].fields() if "inputs" in draft.fields else {}
        for name, expression in found.items():
            if isinstance(expression, Constant) and name in pipeline.signature.kinds:
                try:
                    typed_value(pipeline, name, expression.value)
                except DefinitionError as error:
                    given.get(name, draft.part).refuse(error.what, error.remedy or "")

    def _check_types(self, draft: Draft, drafts: list[Draft], found: MappingOf[str, Expression]) -> None:
        """Note what can never be of the type that the function declares."""
        task = draft.made.task
        assert task is not None
        given = draft.fields["inputs"].fields() if "inputs" in draft.fields else {}
        whole = {
            each.id: each.made.task.outputs
            for each in drafts
            if each.made.task is not None and "map" not in each.fields and "wait" not in each.fields
        }
        for name, expression in found.items():
            if isinstance(expression, Constant):
                value = expression.value
            elif isinstance(expression, Output) and expression.port is None and expression.node in whole:
                value = Ref(expression, cast(Any, None), whole[expression.node])
            else:
                continue
            try:
                check_wiring(task, [(name, value)])
            except DefinitionError as error:
                tag = tag_of(task.annotations[name]) if isinstance(value, str) else ""
                remedy = f"Write {name}: {tag} {value}." if tag else error.remedy or ""
                given.get(name, draft.part).refuse(error.what, remedy)

    def _fill(
        self, draft: Draft, drafts: list[Draft], names: Names, found: dict[str, Expression], *, spread: bool
    ) -> dict[str, Expression]:
        if spread:
            return found
        direct = {each.id: _upstream(each) for each in drafts}
        further: list[str] = []
        waiting = list(draft.after)
        while waiting:
            for name in direct.get(waiting.pop(0), ()):
                if name not in further and name not in draft.after:
                    further.append(name)
                    waiting.append(name)
        need = Need(
            draft.id, draft.made.noun.inputs, found, draft.after, tuple(further), optional="inputs" not in draft.fields
        )
        return filled(need, names, draft.part)

    def _read_body(self, draft: Draft, names: Names, bindings: dict[str, Expression]) -> None:
        part = draft.fields["stages"]
        inside = Names({}, names.parameters, frozenset(bindings))
        nodes, known = self.read(stage_parts(part), inside, draft.key)
        result: Expression | None = Constant(None)
        if "result" in draft.fields:
            result = read_value(draft.fields["result"], known, self._find)
        noun = self.tasks[draft.key]
        said = draft.fields.get("task")
        ports = tuple(Port(name) for name in bindings)
        if said is not None and said.is_mapping and "inputs" in said.fields():
            ports = noun.inputs
        action = PipelineAction(nodes, part.location, result or Constant(None))
        self.tasks[draft.key] = msgspec.structs.replace(noun, action=action, inputs=ports)

    def _guard(self, fields: Fields, names: Names) -> Expression | None:
        found = [fields[key] for key in ("condition", "when") if key in fields]
        if len(found) > 1:
            found[1].refuse("condition and when are the same", "Keep one of them, and combine them with and.")
        return read_expression(found[0], names, self._find) if found else None

    def _join(self, part: Part, names: Names) -> str | Expression | None:
        text = part.written if part.is_text else ""
        if text in RULES:
            return text
        if text.isidentifier():
            near = nearest(text, RULES)
            part.refuse(f"there is no join rule {text!r}{near}", f"The rules are: {', '.join(RULES)}.")
            return None
        return read_expression(part, names, self._find)

    def _loop(self, draft: Draft, bindings: MappingOf[str, Expression], names: Names) -> Loop | None:
        part = draft.fields["repeat"]
        action = self.tasks[draft.key].action
        if not isinstance(action, PipelineAction):
            part.refuse("repeat is for a stage with stages:", "Put what is repeated into stages: of this one.")
            return None
        fields = part.fields(Loop.__struct_fields__)
        inner = {node.id: Known(self.tasks[node.task]) for node in action.nodes if node.task in self.tasks}
        until = None
        if "until" in fields:
            inside = Names(inner, names.parameters, frozenset((*bindings, "result")))
            until = read_expression(fields["until"], inside, self._find)
        carry: dict[str, str] | None = None
        if "carry" in fields and not fields["carry"].is_mapping:
            carry = {name: name for name in fields["carry"].texts()}
        plain = {key: value for key, value in fields.items() if key != "until" and (key != "carry" or carry is None)}
        given: dict[str, Any] = {"until": until} | ({} if carry is None else {"carry": carry})
        return read_struct(Loop, Part(_mapping_of(plain, part), part.problems, "repeat"), self._find, given=given)

    def _wait(self, draft: Draft) -> Wait | None:
        if "wait" not in draft.fields:
            return None if draft.made.task is None else draft.made.task.wait
        part = draft.fields["wait"]
        if part.is_mapping:
            return read_struct(Wait, part, self._find, lengths=("poll", "longest", "timeout"))
        if part.is_null or (part.tag == "bool" and not part.flag()):
            return None
        return Wait()

    def _fallback(self, draft: Draft, options: MappingOf[str, Any], names: Names) -> Fallback | None:
        part = draft.fields.get("fallback")
        if part is None:
            given = options.get("fallback", _NONE)
            if isinstance(given, Task):
                other = cast("Task[..., Any]", given)
                return Fallback(self._key_of(Made(other.noun, other), {}))
            return None if given is _NONE else Fallback(None, Constant(given))
        if part.is_text:
            made = self._make.make(draft.id, part, {"uses": part}, [])
        elif part.is_null:
            return None
        else:
            fields = part.fields(("value", "task", *WORK, *programs.KEYS, "outputs", "environment"), "fallback")
            if "value" in fields:
                value = read_value(fields["value"], names, self._find, bare=False)
                if value is not None and next(references(value), None) is not None:
                    fields["value"].refuse(
                        "a fallback takes no result of another stage", "Name a function: fallback: module:function."
                    )
                return Fallback(None, value or Constant(None))
            made = self._make.make(draft.id, part, fields, [port.name for port in draft.made.noun.inputs])
            return None if made is None else Fallback(self._key_of(made, fields))
        if made is not None and made.pipeline is not None:
            part.refuse("a fallback is a function, a command or a value, and no pipeline")
            return None
        return None if made is None else Fallback(self._key_of(made, {}))

    def _attach(self, draft: Draft, options: MappingOf[str, Any], body: str) -> None:
        task = draft.made.task
        key = None
        if options.get("cache_key") is not None and task is not None:
            try:
                key = cache_key(task, options["cache_key"])
            except DefinitionError as error:
                draft.part.refuse(error.what, error.remedy or "")
        found = attached(options, key)
        if found != Attached():
            self.attached[body, draft.id] = found
        if options.get("retry_if") is not None:
            self.predicates[draft.key] = options["retry_if"]

    def _check_circles(self, nodes: list[Node], named: MappingOf[str, tuple[Part, Fields]]) -> None:
        upstream = {node.id: node.upstream() for node in nodes}
        try:
            TopologicalSorter(upstream).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            part, fields = named[max((name for name in cycle if name in named), key=lambda name: named[name][0].mark)]
            fields.get("depends_on", part).refuse(
                f"the stages wait for each other in a circle: {' -> '.join(cycle)}",
                "Take one of these dependencies away.",
            )


class _None:
    pass


_NONE = _None()


def _upstream(draft: Draft) -> tuple[str, ...]:
    return draft.after


def _is_constant_list(value: Expression) -> TypeGuard[Constant]:
    return isinstance(value, Constant) and isinstance(value.value, (list, dict, tuple))


def _flag(fields: Fields, name: str, *, default: bool) -> bool:
    found = fields[name].flag() if name in fields else default
    return default if found is None else found


def _with_keywords(found: dict[str, Expression], ports: tuple[Port, ...]) -> dict[str, Expression]:
    """The inputs, with those that a function takes by `**kwargs` together under its name."""
    keywords = next((port.name for port in ports if port.kind == "kwargs"), None)
    names = {port.name for port in ports}
    more = {name: each for name, each in found.items() if name not in names}
    if keywords is None or not more:
        return found
    constant = {name: each.value for name, each in more.items() if isinstance(each, Constant)}
    whole: Expression = Constant(constant) if len(constant) == len(more) else Mapping(more)
    return {**{name: each for name, each in found.items() if name in names}, keywords: whole}


def _place_of(name: str, ports: list[str], found: list[str]) -> int:
    return ports.index(name) if name in ports else len(ports) + found.index(name)


def _mapping_of(fields: Fields, like: Part) -> Any:
    """A mapping of YAML with some fields of another."""
    import yaml

    pairs = [(key, value) for key, value in cast(Any, like.node).value if getattr(key, "value", None) in fields]
    return yaml.MappingNode(like.node.tag, pairs, like.node.start_mark, like.node.end_mark)


def stage_parts(part: Part) -> list[Part]:
    """The stages of a list, or of a mapping by their names."""
    if part.is_list:
        return part.items()
    if not part.is_mapping:
        part.wrong("a list of stages", "Write - name: first below it.")
        return []
    import yaml

    found: list[Part] = []
    for key, given in part.pairs():
        empty = yaml.MappingNode("tag:yaml.org,2002:map", [], key.node.start_mark, key.node.end_mark)
        value = Part(empty, part.problems) if given.is_null else given
        if not value.is_mapping:
            value.called = key.written
            value.wrong("a stage")
            continue
        name = yaml.ScalarNode("tag:yaml.org,2002:str", "name", key.node.start_mark, key.node.end_mark)
        pairs = [(name, key.node), *cast(Any, value.node).value]
        found.append(
            Part(yaml.MappingNode(value.node.tag, pairs, key.node.start_mark, value.node.end_mark), part.problems)
        )
    return found


__all__ = ["KEYS", "Home", "Stages", "stage_parts"]
