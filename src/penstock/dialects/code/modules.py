"""What stands at the top level of a module of the user's, by its syntax tree: which statement binds which name."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import NamedTuple

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_Comprehension = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Imported(NamedTuple):
    """A name that a statement of a module imports."""

    #: absolute
    module: str
    #: empty for the module itself
    name: str

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


class Module:
    """The source of a module. Raises OSError where it is not to be had."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        file = inspect.getsourcefile(module)
        if file is None:
            raise OSError(f"the source of {module.__name__} is not to be had")
        linecache.checkcache(file)
        self.source = "".join(linecache.getlines(file))
        self.lines = self.source.splitlines()
        self.tree = ast.parse(self.source)

    @functools.cached_property
    def imports(self) -> dict[str, Imported]:
        """The names that imports at the top level bind."""
        found: dict[str, Imported] = {}
        for statement in self.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                found.update(imported(statement, self.module.__package__ or ""))
        return found

    @functools.cached_property
    def future(self) -> bool:
        """Whether its annotations are not evaluated."""
        return self.imports.get("annotations", Imported("", "")).module == "__future__"

    @functools.cached_property
    def binding(self) -> dict[str, list[int]]:
        """The top-level statements, by their numbers, that bind a name or change what it stands for."""
        found: dict[str, list[int]] = {}
        for number, statement in enumerate(self.tree.body):
            if not isinstance(statement, (ast.Import, ast.ImportFrom)):
                for name in dict.fromkeys((*bound(statement), *_changed(statement))):
                    found.setdefault(name, []).append(number)
        return found

    def function(self, name: str, line: int) -> FunctionNode | None:
        """The definition of a function, wherever it stands, by the line that its code begins at."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first == line:
                    return node
        return None

    def lambdas(self, line: int) -> list[ast.Lambda]:
        """The lambdas that begin on a line."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Lambda) and node.lineno == line]

    def text(self, node: ast.stmt) -> str:
        """A statement as it stands, without its decorators and not indented."""
        found = "\n".join(self.lines[node.lineno - 1 : node.end_lineno])
        dedented = textwrap.dedent(found)
        try:
            ast.parse(dedented)
        except SyntaxError:
            # a text over several lines in it, or another statement on its line
            return ast.unparse(node)
        return dedented


@functools.lru_cache(maxsize=64)
def _cached(name: str, identity: int) -> Module:
    return Module(sys.modules[name])


def module_of(name: str) -> Module:
    """The source of a module that is loaded. Raises OSError where it is not to be had."""
    module = sys.modules.get(name)
    if module is None:
        raise OSError(f"the source of {name} is not to be had")
    return _cached(name, id(module))


def imported(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Imported]]:
    """The names that an import binds; a star binds none that can be told."""
    if isinstance(statement, ast.Import):
        for each in statement.names:
            name = each.asname or each.name.partition(".")[0]
            yield name, Imported(each.name if each.asname else name, "")
        return
    module = statement.module or ""
    if statement.level:
        base = package.split(".")[: len(package.split(".")) - statement.level + 1]
        module = ".".join([*base, *([module] if module else [])])
    for each in statement.names:
        if each.name != "*":
            yield each.asname or each.name, Imported(module, each.name)


def imports_in(node: ast.AST) -> Iterator[Imported]:
    """What is imported anywhere in a piece of code, by absolute names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (Imported(alias.name, "") for alias in each.names)
        elif isinstance(each, ast.ImportFrom) and not each.level:
            yield from (Imported(each.module or "", alias.name) for alias in each.names)


def bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement binds in the scope that it stands in."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    if isinstance(statement, (ast.Lambda, *_Comprehension)):
        return
    if isinstance(statement, ast.Name) and isinstance(statement.ctx, (ast.Store, ast.Del)):
        yield statement.id
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from (name for name, _ in imported(statement, ""))
    elif isinstance(statement, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and statement.name:
        yield statement.name
    for child in ast.iter_child_nodes(statement):
        yield from bound(child)


def _changed(statement: ast.stmt) -> Iterator[str]:
    """The names whose values a statement changes: `TABLE["a"] = 1`, `NAMES.append(...)`."""
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (name for target in targets if not isinstance(target, ast.Name) for name in _root(target))
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield from _root(statement.value.func) if isinstance(statement.value.func, ast.Attribute) else ()


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def root_name(node: ast.expr) -> str:
    """The name that a decorator begins with: `dsl` of `@dsl.component(...)`."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def free(node: ast.AST) -> dict[str, None]:
    """The names that a piece of code reads and does not bind itself, in order."""
    return dict.fromkeys(_free(node))


def _free(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Load) else []
    if isinstance(node, _Scope):
        return _free_of_function(node)
    if isinstance(node, ast.ClassDef):
        outside = [*node.decorator_list, *node.bases, *(each.value for each in node.keywords)]
        own = {name for statement in node.body for name in bound(statement)}
        inside = [name for name in _in(node.body) if name not in own]
        return [*_in(outside), *inside]
    if isinstance(node, _Comprehension):
        own = {name for each in node.generators for name in _stored(each.target)}
        return [name for name in _in(ast.iter_child_nodes(node)) if name not in own]
    return _in(ast.iter_child_nodes(node))


def _in(nodes: Iterable[ast.AST]) -> list[str]:
    return [name for node in nodes for name in _free(node)]


def _stored(target: ast.expr) -> Iterator[str]:
    return (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _free_of_function(node: FunctionNode | ast.Lambda) -> list[str]:
    parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    parameters += [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    changed = {name for each in body for part in ast.walk(each) if isinstance(part, ast.Global) for name in part.names}
    own = {each.arg for each in parameters} | ({name for each in body for name in bound(each)} - changed)
    outside: list[ast.AST] = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
    annotations = [each.annotation for each in parameters if each.annotation is not None]
    if not isinstance(node, ast.Lambda):
        outside += node.decorator_list
        annotations += [node.returns] if node.returns is not None else []
    inside = [name for name in _in(body) if name not in own]
    return [*_in(outside), *(name for each in annotations for name in _annotated(each)), *inside, *sorted(changed)]


def _annotated(annotation: ast.expr) -> list[str]:
    """The names in an annotation, also of one that is written as a text."""
    found = _in([annotation])
    for each in ast.walk(annotation):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            try:
                found += _in([ast.parse(each.value, mode="eval")])
            except SyntaxError:
                continue
    return found


__all__ = ["FunctionNode", "Imported", "Module", "bound", "free", "imported", "imports_in", "module_of", "root_name"]
