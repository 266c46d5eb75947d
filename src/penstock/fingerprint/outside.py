"""Variables of modules that were set from outside of their module: `conf.LR = 9.0` in a script, a function replaced.

A process that imports the module anew does not have them. What the source of the module says of a variable tells where
it can: a literal, a function, a class. Of what is computed, only statements elsewhere that set it tell.
"""

from __future__ import annotations

import ast
import enum
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from penstock.fingerprint.contents import class_of, is_logger, is_plain, orders_of
from penstock.fingerprint.framing import digest_of
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.origin import Origin, of_file
from penstock.fingerprint.sources import Source, Sources, Text, unwrapped
from penstock.fingerprint.static import absolute
from penstock.fingerprint.syntax import Import, dotted

_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: what expressions are made of that give the same wherever they are
_FIXED: Final = (
    ast.Constant,
    ast.UnaryOp,
    ast.BinOp,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.unaryop,
    ast.operator,
    ast.expr_context,
)
_MAIN: Final = "__main__"
#: stands for a name that is computed
_ANY: Final = "*"


class _Verdict(enum.Enum):
    #: it is what the source says
    OWN = enum.auto()
    #: it is not
    SET = enum.auto()
    #: the source does not tell
    OPEN = enum.auto()


class _Write(NamedTuple):
    """A statement that sets something of another module."""

    #: the full name of what is set, in its parts
    path: tuple[str, ...]
    #: the module that the statement is in
    by: str
    #: whether it is run by importing that module
    loading: bool


class Outside:
    """Tells what was set from outside; looks at each variable once, and is to be made anew for every run."""

    def __init__(self, sources: Sources, modules: Modules) -> None:
        self._sources = sources
        self._modules = modules
        self._verdicts: dict[tuple[str, str], list[tuple[str, _Verdict]]] = {}
        self._texts: dict[str, list[Text]] | None = None
        #: by the digest of the text that they are in
        self._writes: dict[bytes, list[_Write]] = {}
        #: by the variable that they set
        self._known_writes: dict[tuple[str, str], list[_Write]] = {}

    def altered(self, held: Mapping[tuple[str, str], Any], imported: Callable[[], Collection[str]]) -> tuple[str, ...]:
        """Those of the variables in `held` (by module and name) that another process does not have as they are here, by
        their full names, sorted; `imported` gives the modules that it imports."""
        found: set[str] = set()
        for (module, name), value in held.items():
            for variable, verdict in self._judged(module, name, value):
                if verdict is not _Verdict.OWN and self._is_set(module, variable, verdict, imported):
                    found.add(f"{module}.{variable}")
        return tuple(sorted(found))

    def _judged(self, module: str, name: str, value: Any) -> list[tuple[str, _Verdict]]:
        known = self._verdicts.get((module, name))
        if known is None:
            source = self._source(module)
            known = [] if source is None else list(self._judge(source, module, name, value))
            self._verdicts[module, name] = known
        return known

    def _source(self, module: str) -> Source | None:
        loaded = sys.modules.get(module)
        if module == _MAIN or loaded is None or self._modules.origin(module) is not Origin.USER:
            return None
        file = self._modules.file(module)
        if file is None or not file.endswith(".py"):
            return None
        # where it cannot be told what was loaded, the file as it is now, which is what others import
        text = self._sources.loaded(loaded, file) or self._sources.text(file)
        return None if text is None else text.source

    def _judge(self, source: Source, module: str, name: str, value: Any) -> Iterator[tuple[str, _Verdict]]:
        if issubclass(class_of(value), ModuleType) or is_logger(class_of(value)):
            # nor does it count where lines go to
            return
        if "." not in name:
            yield name, self._of_variable(source, module, name, value)
        if issubclass(class_of(value), type) and (value.__module__, value.__qualname__) == (module, name):
            yield from _of_members(source, value)
        elif class_of(value) is FunctionType and not all(key.startswith("_") for key in _attributes(value)):
            yield name, _Verdict.OPEN

    def _of_variable(
        self, source: Source, module: str, name: str, value: Any, trail: frozenset[str] = frozenset()
    ) -> _Verdict:
        statements = source.bindings().get(name, [])
        if len(statements) != 1:
            return _Verdict.OPEN
        (statement,) = statements
        if isinstance(statement, Import):
            return self._of_import(source, module, statement, value, trail | {module})
        altered = source.alterations
        if name in altered.loading and altered.loading[name] != [statement]:
            return _Verdict.OPEN
        if isinstance(statement, _Function):
            return _of_function(source, statement, value)
        if isinstance(statement, ast.ClassDef):
            return _of_class(statement, module, value)
        if name in altered.called | altered.asked and not isinstance(value, int | float | str | bytes | None):
            return _Verdict.OPEN
        if name in source.rebound and not is_plain(value):
            # what is made when it is first asked for
            return _Verdict.OPEN
        return _of_literal(statement, name, value)

    def _of_import(self, source: Source, module: str, statement: Import, value: Any, trail: frozenset[str]) -> _Verdict:
        package = module if source.file.endswith("__init__.py") else module.rpartition(".")[0]
        origin = absolute(statement, package)
        theirs = None if origin in trail else self._source(origin)
        if statement.attribute is None or theirs is None or statement.attribute not in theirs.bindings():
            return _Verdict.OPEN
        return self._of_variable(theirs, origin, statement.attribute, value, trail)

    # What is set by statements.

    def _is_set(self, module: str, variable: str, verdict: _Verdict, imported: Callable[[], Collection[str]]) -> bool:
        writes = self._known_writes.get((module, variable))
        if writes is None:
            writes = [write for write in self._writes_to(module, variable) if write.by != module]
            self._known_writes[module, variable] = writes
        if not writes:
            return verdict is _Verdict.SET
        others = imported()
        loading = [write for write in writes if write.loading and write.by in others]
        # what importing the others does to it, the other process does too
        return len(loading) < len(writes) or (verdict is _Verdict.SET and not loading)

    def _writes_to(self, module: str, variable: str) -> Iterator[_Write]:
        parts = module.split(".")
        wanted, last = (*parts, *variable.split(".")), variable.rpartition(".")[2]
        for by, texts in self._all_texts().items():
            for text in texts:
                if parts[-1] in text.text and (last in text.text or "setattr" in text.text):
                    for write in self._writes_in(by, text):
                        count = min(len(write.path), len(wanted))
                        pairs = zip(write.path, wanted, strict=False)
                        if count > len(parts) and all(one in (_ANY, other) for one, other in pairs):
                            yield write

    def _all_texts(self) -> dict[str, list[Text]]:
        """The sources of the user's own modules that are loaded, by their names, and the cells of a notebook."""
        if self._texts is None:
            # not what a module gives for an attribute, which with some means to import more
            files = {name: getattr(module, "__dict__", {}).get("__file__") for name, module in [*sys.modules.items()]}
            own = {name: file for name, file in files.items() if isinstance(file, str) and file.endswith(".py")}
            found = {name: self._sources.text(file) for name, file in own.items() if of_file(file) is Origin.USER}
            self._texts = {name: [text] for name, text in found.items() if text is not None}
            cells: Any = getattr(sys.modules.get(_MAIN), "__dict__", {}).get("In", ())
            self._texts.setdefault(_MAIN, []).extend(
                Text(f"<cell {number}>", str(cell), settled=False) for number, cell in enumerate(cells)
            )
        return self._texts

    def _writes_in(self, by: str, text: Text) -> list[_Write]:
        if text.digest not in self._writes:
            self._writes[text.digest] = [] if text.source is None else list(_writes(text.source, by))
        return self._writes[text.digest]


def _attributes(function: Any) -> dict[str, Any]:
    return function.__dict__


def _of_literal(statement: ast.stmt, name: str, value: Any) -> _Verdict:
    """Whether a variable has the value that a statement gives to it."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    given = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    if given is None or not named or not all(isinstance(node, _FIXED) for node in ast.walk(given)):
        return _Verdict.OPEN
    try:
        literal = eval(compile(ast.Expression(given), "<literal>", "eval"), {})
        return _Verdict.OWN if is_plain(value) and _content(literal) == _content(value) else _Verdict.SET
    except Exception:
        return _Verdict.OPEN


def _content(value: Any) -> bytes:
    return digest_of([value, orders_of(value)])


def _of_function(source: Source, statement: _Function, value: Any) -> _Verdict:
    function: Any = unwrapped(value)
    if class_of(function) is not FunctionType:
        return _Verdict.OPEN
    decorated, code = bool(statement.decorator_list), function.__code__
    if (code.co_filename, code.co_name) == (source.file, statement.name):
        return _Verdict.OWN if decorated or function is value else _Verdict.OPEN
    return _Verdict.SET if not decorated or _is_of_main(function) else _Verdict.OPEN


def _of_class(statement: ast.ClassDef, module: str, value: Any) -> _Verdict:
    if not issubclass(class_of(value), type):
        return _Verdict.OPEN
    if (value.__module__, value.__qualname__) == (module, statement.name):
        return _Verdict.OWN
    return _Verdict.SET if not statement.decorator_list or _is_of_main(value) else _Verdict.OPEN


def _is_of_main(code: Any) -> bool:
    return code.__module__ == _MAIN


def _of_members(source: Source, kind: type[Any]) -> Iterator[tuple[str, _Verdict]]:
    """What of a class was set after its body."""
    bodies = source.bodies(kind.__qualname__)
    top = kind.__qualname__.partition(".")[0]
    if len(bodies) != 1 or top in source.alterations.loading:
        return
    given: dict[str, list[ast.stmt]] = {}
    for statement in bodies[0]:
        for name in _names(statement):
            given.setdefault(name, []).append(statement)
    for name, value in vars(kind).items():
        (statement, *more) = given.get(name, [None])
        variable = f"{kind.__qualname__}.{name}"
        if statement is None or more:
            if not name.startswith("_") and (is_plain(value) or class_of(value) is FunctionType):
                yield variable, _Verdict.OPEN
        elif isinstance(statement, _Function):
            if class_of(value) is FunctionType:
                yield variable, _of_function(source, statement, value)
        elif is_plain(value):
            # of anything else, such as a field, whoever has made the class says what it is
            yield variable, _of_literal(statement, name, value)


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _Function | ast.ClassDef):
        yield statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def _writes(source: Source, by: str) -> Iterator[_Write]:
    """What the statements of a source set in other modules."""
    spec: Any = getattr(sys.modules.get(by), "__spec__", None)
    known = {} if spec is None else {_MAIN: str(spec.name)}
    called = known.get(by, by)
    package = called if source.file.endswith("__init__.py") else called.rpartition(".")[0]
    names = dict(_imports(source.imports(), package))
    stack: list[tuple[ast.AST, bool]] = [(source.tree, by != _MAIN)]
    while stack:
        node, loading = stack.pop()
        path = _written(node)
        if path and path[0] in names:
            yield _Write((*names[path[0]].split("."), *path[1:]), by, loading)
        if isinstance(node, ast.If) and by != _MAIN and _asks_for_main(node.test):
            # not run here
            stack.extend((child, loading) for child in node.orelse)
            continue
        within = loading and not isinstance(node, _Function | ast.Lambda)
        stack.extend((child, within) for child in ast.iter_child_nodes(node))


def _written(node: ast.AST) -> tuple[str, ...]:
    """The dotted name of what a node sets, as far as it has one; empty where it sets nothing of another."""
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _spelled(node)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("setattr", "delattr") and len(node.args) > 1:
        path, name = _spelled(node.args[0]), node.args[1]
        word = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else _ANY
        return (*path, word) if path else ()
    return ()


def _spelled(node: ast.expr) -> tuple[str, ...]:
    """`conf.D` of `conf.D["a"].b`."""
    path = dotted(node)
    while not path and isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        path = dotted(node)
    return path


def _asks_for_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _imports(statements: Iterable[ast.Import | ast.ImportFrom], package: str) -> Iterator[tuple[str, str]]:
    """What the names that imports bind stand for, in full."""
    for statement in statements:
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom):
                base = absolute(Import(statement.module or "", None, statement.level), package)
                yield alias.asname or alias.name, f"{base}.{alias.name}"
            elif alias.asname:
                yield alias.asname, alias.name
            else:
                top = alias.name.partition(".")[0]
                yield top, top


__all__ = ["Outside"]
