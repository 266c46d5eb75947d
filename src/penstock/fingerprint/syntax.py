"""The normalised syntax tree of a definition, and the names it reads from outside itself.

Normalised means: without positions, comments, docstrings, bare constants, `pass`, and whatever else two programs can
differ in without doing anything different that Python can tell apart. Annotations (in quotes or not), names and decorators
count.

The tree is written with a stack of its own and not by recursion, so that a long expression cannot exhaust Python's.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, cast

import msgspec

from penstock.fingerprint.openings import candidate, imports_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Import(NamedTuple):
    """What an import statement binds a name to: a module, or an attribute (or submodule) of one."""

    module: str
    attribute: str | None = None
    #: leading dots
    level: int = 0


class Reference(NamedTuple):
    """A dotted name that a definition reads from outside itself: `features.scale` is `("features", "scale")`.

    `imported` is set when the first name is bound by an import statement inside the definition.
    """

    path: tuple[str, ...]
    line: int
    imported: Import | None = None
    #: it is called with the name of a module, which is among the references itself
    importing: bool = False


class Opening(NamedTuple):
    """A call that reads a file by a path that is made of texts and of names, if it is what it is called."""

    #: the call, for people
    shown: str
    line: int
    #: what has to be of a library; None for a method of a path
    callee: Reference | None
    parts: tuple[str | Reference, ...]
    #: the input of the function, declared to be a text, that the path is made of
    parameter: str = ""


class Reading(msgspec.Struct, frozen=True):
    """What there is to know of a definition by its text alone."""

    #: the normalised tree, without the decorators of the definition itself
    text: bytes
    #: in order of first appearance
    references: tuple[Reference, ...]
    #: on what `getattr` is called with a name that is computed
    lookups: tuple[Reference, ...] = ()
    #: module variables that are assigned to (`global`)
    writes: tuple[Reference, ...] = ()
    decorators: tuple[Reading, ...] = ()
    openings: tuple[Opening, ...] = ()
    #: where `__subclasses__` is asked for; 0 where it is not
    subclasses: int = 0
    #: of a class: the names that its body binds, by which it has them
    members: frozenset[str] = frozenset()
    #: first and last line, decorators included; 0 where it has none
    lines: tuple[int, int] = (0, 0)


class _Scope(NamedTuple):
    """The names of a function, a lambda or a comprehension; those bound by an import with what they stand for."""

    bound: dict[str, list[Import]]
    #: declared `global` here
    outer: frozenset[str] = frozenset()
    #: inputs that are declared to be texts
    texts: frozenset[str] = frozenset()


class _Annotation(NamedTuple):
    """An expression that stands for a type: texts in it are more such expressions."""

    node: ast.expr


class _Leave:
    """Marks the end of a scope on the stack."""


_LEAVE: Final = _Leave()
_Piece = str | ast.AST | _Scope | _Annotation | _Leave

#: fields that follow from the rest of the tree, or are about its notation
_NOTATION: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def read(node: ast.AST) -> Reading:
    """Read a function, class, lambda, statement or expression; its own decorators apart from the rest."""
    decorators: tuple[Reading, ...] = ()
    if isinstance(node, Function | ast.ClassDef):
        decorators = tuple(read(decorator) for decorator in node.decorator_list)
    writer = _Writer()
    writer.write(_definition(node))
    return Reading(
        text="".join(writer.text).encode("utf-8", "surrogatepass"),
        references=tuple(writer.references.values()),
        lookups=tuple(writer.lookups),
        writes=tuple(writer.writes),
        decorators=decorators,
        openings=tuple(writer.openings),
        subclasses=writer.subclasses,
        members=_members(node) if isinstance(node, ast.ClassDef) else frozenset(),
        lines=_lines(node),
    )


def _lines(node: ast.AST) -> tuple[int, int]:
    first = min([_line(node), *(_line(decorator) for decorator in getattr(node, "decorator_list", ()))])
    return first, getattr(node, "end_lineno", None) or first


def _members(node: ast.ClassDef) -> frozenset[str]:
    names = {name for part in _within(node.body) for name in binds(part)}
    # `self.__x` is `self._Kind__x`
    private = f"_{node.name.lstrip('_')}"
    return frozenset(
        f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name for name in names
    )


class _Writer:
    """Writes pieces of a tree as text, and notes the names that no scope at hand binds."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.references: dict[object, Reference] = {}
        self.lookups: list[Reference] = []
        self.writes: list[Reference] = []
        self.openings: list[Opening] = []
        self.subclasses = 0
        #: what is called with the name of a module
        self._importing: set[ast.AST] = set()
        self._scopes: list[_Scope] = []

    def write(self, pieces: Iterable[_Piece]) -> None:
        stack = list(pieces)[::-1]
        while stack:
            piece = stack.pop()
            if isinstance(piece, str):
                self.text.append(piece)
            elif isinstance(piece, ast.AST):
                self._note(piece)
                stack.extend(reversed(_PIECES.get(type(piece), _fields)(piece)))
            elif isinstance(piece, _Annotation):
                stack.extend(reversed(_annotation(piece.node)))
            elif isinstance(piece, _Scope):
                self._scopes.append(piece)
            else:
                self._scopes.pop()

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name | ast.Attribute):
            for found in self._references(node):
                reference = found._replace(importing=node in self._importing)
                self.references.setdefault(reference._replace(line=0), reference)
            if isinstance(node, ast.Attribute):
                self._note_attribute(node)
        elif isinstance(node, ast.Call):
            self._note_call(node)
        elif isinstance(node, ast.Global):
            self.writes.extend(Reference((name,), node.lineno) for name in node.names)

    def _note_attribute(self, node: ast.Attribute) -> None:
        if node.attr == "__subclasses__":
            self.subclasses = self.subclasses or node.lineno
        names: list[str] = []
        of: ast.expr = node
        while isinstance(of, ast.Attribute):
            names.insert(0, of.attr)
            of = of.value
        if isinstance(of, ast.Call) and of.func not in self._importing:
            self._note_import(of, tuple(names))

    def _note_call(self, node: ast.Call) -> None:
        if _looks_up(node):
            self.lookups.extend(self._references(node.args[0])[:1])
        if node.func not in self._importing:
            self._note_import(node, ())
        if (found := candidate(node)) is not None:
            callees = [] if found.callee is None else self._references(found.callee)
            if found.callee is None or callees:
                self._note_opening(node.lineno, found.shown, callees[0] if callees else None, found.parts)

    def _note_import(self, call: ast.Call, attributes: tuple[str, ...]) -> None:
        """What is read of the module that a call imports by its name."""
        module = imports_of(call)
        if module is not None:
            self._importing.add(call.func)
            reference = Reference((module, *attributes), call.lineno, Import(module))
            self.references.setdefault(reference._replace(line=0), reference)

    def _note_opening(self, line: int, shown: str, callee: Reference | None, parts: list[ast.expr]) -> None:
        made: list[str | Reference] = []
        parameter = ""
        for part in parts:
            references = self._references(part)
            if isinstance(part, ast.Constant):
                made.append(str(part.value))
            elif references:
                made.append(references[0])
            elif isinstance(part, ast.Name) and self._is_text(part.id):
                parameter = part.id
            else:
                return
        self.openings.append(Opening(shown, line, callee, tuple(made), parameter))

    def _is_text(self, name: str) -> bool:
        scope = next((scope for scope in reversed(self._scopes) if name in scope.bound), None)
        return scope is not None and name in scope.texts

    def _references(self, node: ast.AST) -> list[Reference]:
        """What an expression may stand for: a name can be imported from one of several places."""
        if not (path := dotted(node)):
            return []
        for scope in reversed(self._scopes):
            if path[0] in scope.outer:
                break
            if path[0] in scope.bound:
                return [Reference(path, _line(node), imported) for imported in scope.bound[path[0]]]
        return [Reference(path, _line(node))]


def dotted(node: ast.AST) -> tuple[str, ...]:
    """The names of `a.b.c`; empty for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


# how each kind of node is written


def _definition(node: ast.AST) -> list[_Piece]:
    if isinstance(node, Function):
        return _function(node, ())
    if isinstance(node, ast.ClassDef):
        return _class(node, ())
    return [node]


def _fields(node: ast.AST) -> list[_Piece]:
    pieces: list[_Piece] = [type(node).__name__, "("]
    for name in node._fields:
        if name not in _NOTATION:
            pieces.extend(_field(getattr(node, name, None)))
    pieces.append(")")
    return pieces


def _field(value: Any) -> list[_Piece]:
    if isinstance(value, ast.AST):
        return [value]
    if type(value) is list:
        return ["[", *(piece for item in cast(list[Any], value) if not _idle(item) for piece in _field(item)), "]"]
    return [f"{value!r},"]


def _idle(statement: object) -> bool:
    """Whether a statement does nothing: `pass`, `...`, a docstring or another constant that stands alone."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _constant(node: ast.Constant) -> list[_Piece]:
    value: object = node.value
    # Python refuses to write very long integers in decimal
    text = f"{value:x}" if type(value) is int else repr(value)
    return [f"{type(value).__name__}:{text},"]


def _name(node: ast.Name) -> list[_Piece]:
    return [f"{node.id},"]


def _attribute(node: ast.Attribute) -> list[_Piece]:
    if path := dotted(node):
        return [f"{'.'.join(path)},"]
    return ["Attribute(", node.value, f"{node.attr})"]


def _looks_up(node: ast.Call) -> bool:
    """Whether a call is `getattr` with a name that is computed."""
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]):
            return not isinstance(name, ast.Constant)
        case _:
            return False


def _call(node: ast.Call) -> list[_Piece]:
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[of, ast.Constant(value=str(name)), *default], keywords=[]):
            if name.isidentifier():
                attribute = ast.copy_location(ast.Attribute(of, name, ast.Load()), node)
                return ["getattr(", attribute, *default, ")"] if default else [attribute]
        case _:
            pass
    return _fields(node)


def _function(node: Function, decorators: Iterable[ast.expr]) -> list[_Piece]:
    return [
        f"{type(node).__name__}({node.name}[",
        *decorators,
        "]",
        *_field(getattr(node, "type_params", [])),
        node.args,
        *_types(node.returns),
        _scope_of(node.args, node.body),
        *_field(node.body),
        _LEAVE,
        ")",
    ]


def _class(node: ast.ClassDef, decorators: Iterable[ast.expr]) -> list[_Piece]:
    # The names of a class body are not a scope here: what they hide from the body itself they do not hide from the
    # methods, and `scale = scale` reads the outer one.
    return [
        f"ClassDef({node.name}[",
        *decorators,
        "]",
        *_field(getattr(node, "type_params", [])),
        *_field(node.bases),
        *_field(node.keywords),
        *_field(node.body),
        ")",
    ]


def _argument(node: ast.arg) -> list[_Piece]:
    return [f"arg({node.arg!r},", *_types(node.annotation), ")"]


def _declaration(node: ast.AnnAssign) -> list[_Piece]:
    return ["AnnAssign(", node.target, *_types(node.annotation), *_field(node.value), f"{node.simple},)"]


def _types(annotation: ast.expr | None) -> list[_Piece]:
    return _field(None) if annotation is None else [_Annotation(annotation)]


def _annotation(node: ast.expr) -> list[_Piece]:
    """An annotation out of its quotes, so that it says the same with them and without."""
    match node:
        case ast.Constant(value=str(text)):
            parsed = _parsed(text, node.lineno)
            return [node if parsed is None else _Annotation(parsed)]
        case ast.Subscript(value=of, slice=inner):
            name = dotted(of)[-1:]
            if name == ("Literal",):
                return [node]
            if name == ("Annotated",) and isinstance(inner, ast.Tuple) and inner.elts:
                kind, *notes = inner.elts
                return ["Subscript(", of, "Tuple([", _Annotation(kind), *notes, "]))"]
            return ["Subscript(", of, _Annotation(inner), ")"]
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return [f"{type(node).__name__}([", *map(_Annotation, elements), "])"]
        case ast.BinOp(left=left, op=operator, right=right):
            return ["BinOp(", _Annotation(left), operator, _Annotation(right), ")"]
        case _:
            return [node]


def _parsed(text: str, line: int) -> ast.expr | None:
    try:
        # a text may go over several lines, or begin with a space
        node = ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError):
        return None
    ast.increment_lineno(node, line - 1)
    return node


def _lambda(node: ast.Lambda) -> list[_Piece]:
    return ["Lambda(", node.args, _scope_of(node.args, [node.body]), node.body, _LEAVE, ")"]


def _comprehension(node: Comprehension) -> list[_Piece]:
    first, *others = node.generators
    bound: dict[str, list[Import]] = {}
    for generator in node.generators:
        for target in ast.walk(generator.target):
            if isinstance(target, ast.Name):
                bound[target.id] = []
    elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    return [
        f"{type(node).__name__}(",
        # the first iterable is computed outside the comprehension
        first.iter,
        _Scope(bound),
        *elements,
        *_field([first.target, *first.ifs]),
        *_field(first.is_async),
        *others,
        _LEAVE,
        ")",
    ]


_PIECES: Final[dict[type[ast.AST], Callable[[Any], list[_Piece]]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.FunctionDef: lambda node: _function(node, node.decorator_list),
    ast.AsyncFunctionDef: lambda node: _function(node, node.decorator_list),
    ast.ClassDef: lambda node: _class(node, node.decorator_list),
    ast.Lambda: _lambda,
    ast.arg: _argument,
    ast.AnnAssign: _declaration,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}


# what a scope binds


def _scope_of(arguments: ast.arguments, body: Iterable[ast.AST]) -> _Scope:
    bound: dict[str, list[Import]] = {}
    outer: set[str] = set()
    elsewhere: set[str] = set()
    texts: set[str] = set()
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            bound[argument.arg] = []
            if getattr(argument.annotation, "id", getattr(argument.annotation, "value", None)) == "str":
                texts.add(argument.arg)
    for node in _within(body):
        if isinstance(node, ast.Global):
            outer.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            elsewhere.update(node.names)
        else:
            for name, imported in binds(node).items():
                bound.setdefault(name, []).extend([] if imported is None else [imported])
    return _Scope({name: bound[name] for name in bound if name not in elsewhere}, frozenset(outer), frozenset(texts))


def _within(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a body, without those of functions, classes and comprehensions inside it."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Comprehension):
            # `:=` inside a comprehension binds in the function around it
            stack.extend(inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def binds(node: ast.AST) -> dict[str, Import | None]:
    """The names that a single node binds; with what they stand for if it is an import statement."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return {name: None}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name: None}
        case ast.Import(names=aliases):
            return dict(_imported(alias) for alias in aliases)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            return {alias.asname or alias.name: Import(module or "", alias.name, level) for alias in aliases}
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return {name: None}
        case ast.MatchMapping(rest=str(name)):
            return {name: None}
        case _:
            return {}


def _imported(alias: ast.alias) -> tuple[str, Import]:
    if alias.asname is not None:
        return alias.asname, Import(alias.name)
    top = alias.name.partition(".")[0]
    return top, Import(top)
