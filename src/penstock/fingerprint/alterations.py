"""What a module does to its variables after it has bound them: registries filled, attributes set, entries removed."""

from __future__ import annotations

import ast
from typing import Final, NamedTuple, cast

_CONTAINERS: Final = frozenset({"dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "bytearray"})
_DISPLAYS: Final = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Alterations(NamedTuple):
    """The variables that are altered, by name."""

    #: while the module is loaded, with the statements that do it
    loading: dict[str, list[ast.stmt]]
    #: by functions of the module, whenever these are called: an entry or an attribute is set or deleted
    called: frozenset[str]
    #: by functions of the module that call a method of it, which alters it if it is a container
    asked: frozenset[str]


def alterations(body: list[ast.stmt]) -> Alterations:
    """What the statements of a module alter."""
    loading: dict[str, list[ast.stmt]] = {}
    called: set[str] = set()
    asked: set[str] = set()
    for statement in body:
        stack: list[tuple[ast.AST, bool]] = [(statement, False)]
        while stack:
            node, inside = stack.pop()
            for name, by_method in _altered(node):
                if inside:
                    (asked if by_method else called).add(name)
                elif statement not in loading.setdefault(name, []):
                    loading[name].append(statement)
            within = inside or isinstance(node, _Function)
            stack.extend((child, within) for child in ast.iter_child_nodes(node))
    return Alterations(loading, frozenset(called), frozenset(asked))


def container_of(statement: ast.stmt) -> str | None:
    """The kind of container, such as `dict`, that a statement binds a name to."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, _DISPLAYS):
        return type(value).__name__.removesuffix("Comp").lower()
    if isinstance(value, ast.Call):
        name = getattr(value.func, "attr", getattr(value.func, "id", None))
        return name if name in _CONTAINERS else None
    return None


def _altered(node: ast.AST) -> list[tuple[str, bool]]:
    """The variables that a node alters, each with whether it does so by calling a method."""
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _named(node, by_method=False)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        return _named(node.value.func, by_method=True)
    # a registry whose method is a decorator
    decorators = cast("list[ast.expr]", getattr(node, "decorator_list", ()))
    functions = (item.func if isinstance(item, ast.Call) else item for item in decorators)
    return [found for item in functions if isinstance(item, ast.Attribute) for found in _named(item, by_method=True)]


def _named(node: ast.AST, *, by_method: bool) -> list[tuple[str, bool]]:
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return []
    return [(node.id, by_method)]
