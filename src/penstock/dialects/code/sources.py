"""The user's functions in a file that is written: imported where they can be, else as their source with all it reaches."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.source import found_by_name, is_own, location_of
from penstock.authoring.task import Task
from penstock.dialects.code.adapting import RETURNED, Text, adapted_text, adapts, wrapped_by
from penstock.dialects.code.attempts import alone
from penstock.dialects.code.edits import Edits
from penstock.dialects.code.formatting import Imports, Unwritable, literal
from penstock.dialects.code.modules import FunctionNode, Imported, Module, free, imports_in, module_of, root_name
from penstock.dialects.code.naming import identifier
from penstock.dialects.foreign import imported_roots
from penstock.errors import DefinitionError

#: top-level modules of the systems that pipelines are written for, penstock's own included
SYSTEMS = frozenset({"penstock", "airflow", "airflow_client", "prefect", "kfp", "kfp_server_api", "dagster", "zenml"})

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}

#: modules of penstock that users import from, besides `penstock` itself
_FACES = ("penstock.ml", "penstock.notifications")

#: what every Python has in place of something of another system's, by `module.name`
_PLAIN = {f"{module}.get_run_logger": ("logging", "getLogger") for module in ("prefect", "prefect.logging")}

_IN_TARGET = re.compile(r"penstock_target\d*_")


class Rules(NamedTuple):
    """What may stay in the user's code in the language that is written, and what takes the place of what may not."""

    #: what people call the system
    title: str
    #: top-level modules of the system itself
    own: frozenset[str] = frozenset()
    #: `module.name` -> the module and name that mean the same there
    stands: Mapping[str, tuple[str, str]] = {}
    #: what is called in place of `penstock.current().log_metric`; empty for nothing
    metrics: str = ""


class Piece(NamedTuple):
    """A definition that stands in the file."""

    #: of modules, those that are reached from others come first; then the line
    place: tuple[int, int]
    name: str
    text: str


class Sources:
    """The functions, and what they reach, of one file that is written."""

    def __init__(self, imports: Imports, rules: Rules, reserved: Iterable[str] = ()) -> None:
        self.imports = imports
        self._rules = rules
        #: names in the file -> what they stand for
        self._names: dict[str, Any] = dict.fromkeys(reserved)
        self._pieces: dict[Any, Piece] = {}
        self._functions: dict[int, tuple[Any, str]] = {}
        self._reached: set[str] = set()
        self._imported: set[str] = set()
        self._modules: dict[str, int] = {}
        #: the node that something is written for now
        self._node = ""
        self._function: Callable[..., Any] | None = None

    def add(self, function: Callable[..., Any], node: str, name: str = "") -> str:
        """Let a function (of a node, for messages) be in the file. Returns what it is called there; `name` is for one
        that has none.

        Raises DefinitionError, naming the node, for a function that is neither importable nor written as source.
        """
        known = self._functions.get(id(function))
        if known is not None:
            return known[1]
        self._node, self._function = node, function
        called = self._importable(function) or self._adapted(function) or self._defined(function, name)
        self._functions[id(function)] = (function, called)
        return called

    @contextmanager
    def whole(self) -> Generator[None]:
        """Take back what the block has put into the file, if it raises DefinitionError."""
        names, pieces, functions = dict(self._names), dict(self._pieces), dict(self._functions)
        reached, known, modules = set(self._reached), set(self._imported), dict(self._modules)
        imports = self.imports.kept()
        try:
            yield
        except DefinitionError:
            self._names, self._pieces, self._functions = names, pieces, functions
            self._reached, self._imported, self._modules = reached, known, modules
            self.imports.take_back(imports)
            raise

    def reach(self, function: Callable[..., Any], name: str, node: str) -> str:
        """Let something that the module of a function has at its top level be in the file, by its name. Raises
        DefinitionError."""
        self._node, self._function = node, function
        module = module_of(function.__module__)
        self._rank(module)
        self._reach(module, [name])
        return name

    def reached(self, name: str) -> bool:
        """Whether a function in the file is called by others as a plain function."""
        return name in self._reached

    def is_imported(self, name: str) -> bool:
        """Whether a function comes from a module of the user's."""
        return name in self._imported

    def reserve(self, wanted: str) -> str:
        """A name that nothing else in the file has: the one that is wanted, or with a number."""
        name, count = wanted, 1
        while name in self._names or name in _BUILTINS:
            count += 1
            name = f"{wanted}_{count}"
        self._names[name] = wanted
        return name

    @property
    def future(self) -> bool:
        """Whether annotations in the file are not to be evaluated."""
        return any(module_of(name).future for name in self._modules)

    def parts(self, decorate: Callable[[str], list[str]] = lambda name: []) -> list[str]:
        """The definitions in the order in which they have to stand; `decorate` gives lines to put above one."""
        listed = sorted(self._pieces.values(), key=lambda piece: piece.place)
        return ["\n".join([*decorate(piece.name), piece.text]) for piece in listed]

    # Functions.

    def _importable(self, function: Callable[..., Any]) -> str:
        """The name that a function is imported by; empty where it has to be written out."""
        module, qualname = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if not qualname.isidentifier() or module.partition(".")[0] in ("penstock", "__main__", ""):
            return ""
        if _IN_TARGET.match(module):
            # loaded under a name that no other program knows it by
            return ""
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None or found_by_name(module, qualname) is not function or _mentions_systems(module):
            return ""
        if self._names.get(qualname, (module, qualname)) != (module, qualname):
            return ""
        self._names[qualname] = (module, qualname)
        self._imported.add(qualname)
        return self.imports.name(module, qualname)

    def _adapted(self, function: Callable[..., Any]) -> str:
        """What a function is called that does more than the user's, which it wraps; empty for any other."""
        about = adapts(function)
        if about is None:
            return ""
        if about.problem is not None:
            raise self._error(*about.problem)
        wrapped = wrapped_by(function)
        module = module_of(wrapped.__module__)
        definition = self._definition(wrapped, module)
        inner = self.add(wrapped, self._node) if about.text is None else self._anew(module, definition, about.text)
        if about.text is not None and not about.environment:
            return inner
        self._function = function
        self._reached.add(inner)
        key = (module.module.__name__, "adapted", id(function))
        called = self._claim(f"{inner}_step", key, rename=True)
        try:
            text = adapted_text(function, inner, definition, called, self.imports)
        except Unwritable as problem:
            raise self._error(f"has {problem} as a default", "Let its default be a plain value.") from None
        self._pieces[key] = Piece((self._rank(module), definition.lineno), called, text)
        return called

    def _anew(self, module: Module, definition: FunctionNode, about: Text) -> str:
        """Put a function that is written anew into the file. Returns what it is called there."""
        rank = self._rank(module)
        key = (module.module.__name__, definition.lineno, about.text, *about.outputs)
        if key in self._pieces:
            return self._pieces[key].name
        wanted = about.name or definition.name
        called = self._claim(wanted, (module.module.__name__, definition.lineno, about.text), rename=True)
        text, imports = f"def {called}{about.text}", about.imports
        if ("penstock", "current") in imports and "penstock" not in self._rules.own:
            found = alone(text, metrics=self._rules.metrics, prints=True)
            if found is None:
                raise self._error("records metrics in a way of its own", "Take that out, or return them.")
            text = found.text
            imports = (*(each for each in imports if each[0] != "penstock"), *found.imports)
        for home, name in imports:
            self._import(name or home, Imported(home, name))
        returned = ""
        if about.outputs and "penstock" not in self._rules.own:
            returned = f"dict[str, {self.imports.name('typing', 'Any')}]"
        elif about.outputs:
            returned = self.reserve(f"{identifier(called).title().replace('_', '')}Outputs")
            fields = "\n".join(f"    {name}: {kind}" for name, kind in about.outputs.items())
            head = f"class {returned}({self.imports.name('typing', 'TypedDict')}):"
            self._pieces[*key, "outputs"] = Piece((rank, definition.lineno), returned, f"{head}\n{fields}")
        text = text.replace(RETURNED, returned, 1)
        self._pieces[key] = Piece((rank, definition.lineno), called, text)
        written = ast.parse(text).body[0]
        for found in imports_in(written):
            if found.root in SYSTEMS and not self._may_stay(found):
                raise self._system(found)
        known = {name or home for home, name in imports} | {"Any", returned}
        self._reach(module, [name for name in free(written) if name not in known])
        return called

    def _definition(self, function: Any, module: Module) -> FunctionNode:
        found = module.function(function.__name__, function.__code__.co_firstlineno)
        if found is None:
            raise self._error("is made by other code, so that its source cannot be told", "Write it as a plain `def`.")
        return found

    def _defined(self, function: Callable[..., Any], name: str) -> str:
        inner: Any = inspect.unwrap(function)
        own = isinstance(inner, FunctionType) and is_own(inner.__code__.co_filename)
        if own and (operator := getattr(inner, "operator", None)) is not None:
            raise self._operator(operator)
        if not isinstance(inner, FunctionType) or (own and not inner.__module__.startswith("penstock.dialects.")):
            what = "what stands for an operator here" if own else _kind(inner)
            raise self._error(
                f"is {what}, and has no source of the user's own",
                "Let it be a plain function, which takes all that it needs as arguments.",
            )
        try:
            module = module_of(inner.__module__)
        except (OSError, SyntaxError) as error:
            raise self._error(
                f"has no source: {error}", "Put the function into a file; what is typed at a prompt is not kept."
            ) from None
        self._rank(module)
        if inner.__name__ == "<lambda>":
            return self._lambda(inner, module, name)
        definition = self._definition(inner, module)
        key = (module.module.__name__, definition.lineno)
        if key in self._pieces:
            return self._pieces[key].name
        top = definition in module.tree.body
        called = self._claim(definition.name, (module.module.__name__, definition.name) if top else key, rename=True)
        self._captured(inner, module)
        self._write(module, definition, called, key)
        return called

    def _lambda(self, function: FunctionType, module: Module, name: str) -> str:
        found = module.lambdas(function.__code__.co_firstlineno)
        if len(found) != 1:
            raise self._error("is one of several lambdas on a line", "Write it as a function: def name(...): ...")
        self._captured(function, module)
        key = (module.module.__name__, found[0].lineno)
        called = self._claim(name or "step", key, rename=True)
        text = f"def {called}({ast.unparse(found[0].args)}):\n    return {ast.unparse(found[0].body)}"
        self._pieces[key] = Piece((self._rank(module), found[0].lineno), called, text)
        self._reach(module, free(found[0]))
        return called

    def _captured(self, function: FunctionType, module: Module) -> None:
        """Put what a nested function captures beside it: functions and plain values."""
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            if name == function.__name__:
                continue
            value = value.function if isinstance(value, Task) else value
            line = (self._rank(module), 0)
            if isinstance(value, FunctionType) and value.__name__ == name:
                self._nested(value)
                continue
            key = (module.module.__name__, "captured", name, repr(value))
            if key in self._pieces:
                continue
            try:
                text = f"{name} = {literal(value, self.imports)}"
            except Unwritable as problem:
                raise self._error(
                    f"captures {name!r} from the function around it, which is {problem}",
                    f"Pass {name} to it as an argument, or make it inside the function.",
                ) from None
            self._pieces[key] = Piece(line, self._claim(name, key), text)

    def _nested(self, function: FunctionType) -> None:
        around = self._function
        called = self._functions.get(id(function), (None, ""))[1] or self._defined(function, "")
        self._functions[id(function)] = (function, called)
        self._reached.add(called)
        self._function = around

    # What functions reach.

    def _write(self, module: Module, definition: ast.stmt, called: str, key: Any) -> None:
        own = definition.name if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else ""
        text = module.text(definition)
        if own and own != called:
            text = re.sub(rf"\b{own}\b", called, text, count=1)
        text = self._with_stands(text)
        kept: list[str] = []
        if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            kept = [f"@{ast.unparse(each)}" for each in definition.decorator_list if not self._of_system(module, each)]
            definition = _without_decorators(definition, lambda each: self._of_system(module, each))
        names = free(definition)
        if (attempt := self._attempt(module, definition, names)) and (
            without := alone(text, attempt, metrics=self._rules.metrics, prints=bool(self._rules.metrics))
        ) is not None:
            text = without.text
            del names[attempt]
            for home, name in without.imports:
                self._import(name or home, Imported(home, name))
        self._pieces[key] = Piece((self._rank(module), definition.lineno), called, "\n".join([*kept, text]))
        for found in imports_in(definition):
            if found.root in SYSTEMS and not self._may_stay(found) and self._stand(found) is None:
                raise self._system(found)
        self._reach(module, names)

    def _attempt(self, module: Module, definition: ast.stmt, names: Iterable[str]) -> str:
        """What the function of the node itself calls `penstock.current`, where there is none; empty if it does not."""
        function: Any = inspect.unwrap(self._function) if self._function is not None else None
        line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        if "penstock" in self._rules.own or not isinstance(definition, ast.FunctionDef):
            return ""
        if module.function(definition.name, line) is None:
            return ""
        return next((name for name in names if module.imports.get(name) == Imported("penstock", "current")), "")

    def _of_system(self, module: Module, decorator: ast.expr) -> bool:
        """Whether a decorator is one of penstock's or another system's."""
        return self._is_system_name(module, root_name(decorator))

    def _is_system_name(self, module: Module, name: str) -> bool:
        if name in module.imports:
            return module.imports[name].root in SYSTEMS
        statements = [module.tree.body[number] for number in module.binding.get(name, ())]
        assigned = [each for each in statements if isinstance(each, (ast.Assign, ast.AnnAssign, ast.With))]
        return any(self._is_system_name(module, other) for each in assigned for other in free(each) if other != name)

    def _reach(self, module: Module, names: Iterable[str]) -> None:
        for name in names:
            if name in module.imports:
                self._import(name, module.imports[name])
            elif name in module.binding:
                self._statements(module, name)
            elif name not in _BUILTINS and name in vars(module.module):
                self._by_value(name, vars(module.module)[name])

    def _import(self, name: str, found: Imported) -> None:
        if found.module == "__future__":
            return
        if found.root in SYSTEMS:
            stand = self._stand(found)
            if stand is not None:
                self._check_free(name, stand)
                self.imports.name(*stand, alias=name)
                return
            if not self._may_stay(found):
                raise self._system(found)
        elif found.name and _mentions_systems(found.module):
            self._from_other(name, found)
            return
        self._check_free(name, (found.module, found.name))
        if found.name:
            self.imports.name(found.module, found.name, name)
        else:
            self.imports.module(found.module, name if name != found.module.partition(".")[0] else "")

    def _stand(self, found: Imported) -> tuple[str, str] | None:
        """The module and name that stand there for something of a system's; None where nothing does."""
        if self._may_stay(found):
            return None
        name = f"{found.module}.{found.name}"
        return self._rules.stands.get(name) or _PLAIN.get(name)

    def _with_stands(self, text: str) -> str:
        """A definition in which what stands there for something of a system's is imported in its place."""
        if not any(each in text for each in SYSTEMS):
            return text
        edits = Edits(text)
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            stands = [self._stand(Imported(node.module or "", each.name)) for each in node.names]
            if not any(stands):
                continue
            lines: list[str] = []
            for each, stand in zip(node.names, stands, strict=True):
                module, name = stand or (node.module, each.name)
                called = each.asname or each.name
                lines.append(f"from {module} import {name}{f' as {called}' if called != name else ''}")
            between = f"\n{' ' * node.col_offset}" if edits.begins_line(node) else "; "
            end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
            edits.replace((node.lineno, node.col_offset), end, between.join(lines))
        return edits.lines(1, text.count("\n") + 1)

    def _from_other(self, name: str, found: Imported) -> None:
        """Something from a module of the user's that needs another system: it is written out as well."""
        try:
            module = module_of(found.module)
        except (OSError, SyntaxError):
            raise self._error(f"uses {name}, and the source of {found.module} is not to be had", "") from None
        if name != found.name:
            raise self._error(
                f"uses {found.module}.{found.name} under the name {name}, and {found.module} cannot be imported there",
                "Import it under its own name.",
            )
        self._rank(module)
        self._reach(module, [found.name])

    def _statements(self, module: Module, name: str) -> None:
        if isinstance(value := vars(module.module).get(name), Task):
            function: Any = inspect.unwrap(cast("Task[..., Any]", value).function)
            definition = module.function(name, getattr(getattr(function, "__code__", None), "co_firstlineno", 0))
            if definition is None:
                raise self._error(f"uses {name}, which is a task and no plain function", "Call a plain function.")
        for number in module.binding[name]:
            statement = module.tree.body[number]
            key = (module.module.__name__, statement.lineno)
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._reached.add(name)
            if key in self._pieces:
                continue
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                system = next((each for each in free(statement) if self._is_system_name(module, each)), None)
                if system is not None:
                    raise self._error(
                        f"uses {name}, which is made with {system} of the system that the file is written for",
                        "Pass it to the task as an argument, or make it without the system.",
                    )
            self._write(module, statement, self._claim(name, (module.module.__name__, name)), key)

    def _by_value(self, name: str, value: Any) -> None:
        """Something that came by a star import."""
        if isinstance(value, ModuleType):
            self._check_free(name, (value.__name__, ""))
            self.imports.module(value.__name__, name if name != value.__name__ else "")
            return
        module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if module is None or not qualname.isidentifier():
            raise self._error(f"uses {name}, and nothing tells where that comes from", "Import it by its name.")
        self._import(name, Imported(module, qualname))

    # Names and errors.

    def _claim(self, name: str, key: Any, *, rename: bool = False) -> str:
        taken = self._names.get(name, key) != key or (name in self._names and self._names[name] is None)
        if not taken:
            self._names[name] = key
            return name
        if not rename:
            raise self._error(
                f"uses {name}, and there is something else of that name", "Give one of them another name."
            )
        return self.reserve(name)

    def _check_free(self, name: str, meaning: tuple[str, str]) -> None:
        if name in self._names and self._names[name] not in (meaning, None):
            raise self._error(
                f"uses {name}, and there is something else of that name", "Give one of them another name."
            )
        self._names[name] = meaning

    def _may_stay(self, found: Imported) -> bool:
        if found.root == "penstock" and found.module != "penstock" and not found.module.startswith(_FACES):
            return False
        return found.root in self._rules.own

    def _rank(self, module: Module) -> int:
        # what is reached from another module has to be there first
        return self._modules.setdefault(module.module.__name__, -len(self._modules))

    def _system(self, found: Imported) -> DefinitionError:
        what = f"{found.module}.{found.name}" if found.name else found.module
        return self._error(
            f"uses {what}, which there is not in {self._rules.title}",
            "Take it out, or pass what is needed as an argument.",
        )

    def _operator(self, operator: Any) -> DefinitionError:
        """What is said of an operator of Airflow's, which has no function of its own."""
        if hasattr(operator, "python_callable"):
            what, remedy = "takes Airflow's context", "Let its function take what it needs of that as arguments."
        else:
            what = f"is a {operator.task_type} that Airflow fills in and runs"
            remedy = "Write what it does as a function, or as a command without templates."
        why = "which only Airflow has"
        if "airflow" in self._rules.own:
            why, remedy = "and is not written anew from what it was read as", "Keep its own source."
        return DefinitionError(
            f"{self._node!r} cannot be written for {self._rules.title}: it {what}, {why}",
            where=str(operator.location),
            remedy=remedy,
        )

    def _error(self, what: str, remedy: str) -> DefinitionError:
        function = self._function
        return DefinitionError(
            f"{self._node!r} cannot be written for {self._rules.title}: its function {what}",
            where=str(location_of(function)) if function is not None else None,
            remedy=remedy or None,
        )


def _kind(function: Any) -> str:
    module = getattr(function, "__module__", "") or type(function).__module__
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}.{name}"


def _mentions_systems(module: str) -> bool:
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is None or not file.endswith(".py"):
        return False
    if "site-packages" in file or "dist-packages" in file or module.partition(".")[0] in sys.stdlib_module_names:
        return False
    try:
        return bool(imported_roots(Path(file).read_text(errors="replace")) & SYSTEMS)
    except OSError:
        return False


def _without_decorators(definition: Any, stripped: Callable[[ast.expr], bool]) -> Any:
    changed = copy.copy(definition)
    changed.decorator_list = [each for each in definition.decorator_list if not stripped(each)]
    return changed


__all__ = ["SYSTEMS", "Rules", "Sources"]
