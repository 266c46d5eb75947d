"""Components as functions of paths: what they write is a file that they return, and what they read is one they are given."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

from penstock.dialects.code.adapting import ADAPTS, RETURNED, Adapts, Text
from penstock.dialects.code.edits import Edits, Overlap
from penstock.dialects.code.formatting import block, broken, docstring, quoted
from penstock.dialects.code.modules import FunctionNode, Module, bound, module_of, root_name
from penstock.dialects.kfp.artifacts import Metrics
from penstock.dialects.kfp.interfaces import SINGLE, Interface, Role, artifact_class, parameter_type
from penstock.dialects.kfp.structures import ParameterType

#: what a role has to be so that a path can take its place
COVERED = frozenset({"value", "artifact", "artifacts", "input_path", "output_artifact", "output_path"})
_WRITTEN = frozenset({"output_artifact", "output_path"})
_PYTHON: Mapping[str, type] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
#: modules whose functions, and functions that, take a path as well as its text
_TAKE_PATHS = frozenset(
    {
        "open",
        "Path",
        "pathlib",
        "os",
        "shutil",
        "zipfile",
        "tarfile",
        "sqlite3",
        "pd",
        "pandas",
        "np",
        "numpy",
        "joblib",
    }
    | {"print", "str", "torch", "pq", "Image"}
)
#: what follows a path where the name of another file, beside it, is made
_BESIDE = re.compile(r"[._-]\w")


class _Without(Exception):
    """Something in a component has no counterpart: what, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class Files(NamedTuple):
    """A component with artifacts, of which each is a file."""

    component: Callable[..., Any]
    interface: Interface
    environment: Mapping[str, str]

    def function(self, taken: frozenset[str], bound: Mapping[str, bool]) -> Callable[..., Any]:
        """See `AsPaths.function`."""
        outputs = [each.name for each in self.interface.outputs]
        if len(outputs) == 1 and taken:
            taken = frozenset(outputs)
        try:
            self._check(bound)
            found = _Rewriting(self.component, self.interface, taken)
            text, lacks = found.text(), None
            outputs = list(found.outputs)
        except (OSError, SyntaxError, Overlap, ValueError):
            text, lacks = None, ("has source that cannot be told", "Write the component as a plain `def` in a file.")
        except _Without as problem:
            text, lacks = None, (problem.what, problem.remedy)
        return self._standing(outputs, Adapts(dict(self.environment), text=text, lacks=lacks))

    def _check(self, bound: Mapping[str, bool]) -> None:
        for role in self.interface.roles:
            is_file = bound.get(role.called)
            if role.kind == "input_path" and is_file is False:
                what = f"takes {role.called!r} as the path of a file, and is given a value"
                raise _Without(what, f"Annotate {role.name} with the type of the value.")
            if role.kind == "value" and is_file:
                what = f"takes the content of a file as the value {role.called!r}"
                raise _Without(what, f"Let it take the file: {role.name}: InputPath().")

    def _standing(self, outputs: list[str], about: Adapts) -> Callable[..., Any]:
        """What stands for the function until its text is written."""

        @functools.wraps(self.component)
        def written(**_: Any) -> Any:
            raise NotImplementedError("this is there to be written, and not to be called")

        setattr(written, ADAPTS, about)
        optional = {each.name: each.default for each in self.interface.inputs if each.optional}
        signature = inspect.signature(self.component)
        parameters: list[inspect.Parameter] = []
        annotations: dict[str, Any] = {}
        for role in self.interface.roles:
            if role.kind in _WRITTEN:
                continue
            default = optional.get(role.called, inspect.Parameter.empty)
            kind: Any = _PYTHON.get(parameter_type(role.type) or "", Any) if role.kind == "value" else Path
            kind = list[Path] if role.kind == "artifacts" else kind
            if default is None:
                kind = kind | None if kind is not Any else Any
            annotations[role.called] = kind
            place = signature.parameters[role.name].kind
            parameters.append(inspect.Parameter(role.called, place, default=default, annotation=kind))
        kinds = {each.name: each.type for each in self.interface.outputs}
        types = {name: _PYTHON.get(cast(Any, kinds[name]), Path) for name in outputs}
        several = cast(Any, TypedDict)("Outputs", types) if len(types) > 1 else None
        annotations["return"] = several or next(iter(types.values()), None)
        written.__annotations__ = annotations
        cast(Any, written).__signature__ = inspect.Signature(parameters, return_annotation=annotations["return"])
        return written


class _Rewriting:
    """The text of one component."""

    def __init__(self, component: Callable[..., Any], interface: Interface, taken: frozenset[str]) -> None:
        function: Any = inspect.unwrap(component)
        self.module: Module = module_of(function.__module__)
        found = self.module.function(function.__name__, function.__code__.co_firstlineno)
        if found is None or isinstance(found, ast.AsyncFunctionDef):
            raise OSError
        self.definition: FunctionNode = found
        self.interface = interface
        self.taken = taken
        self.edits = Edits(self.module.source)
        self.roles = {role.name: role for role in interface.roles if role.kind != "value"}
        #: names of single artifacts out of lists of them
        self.items: set[str] = set()
        self.parents = {
            child: each for top in found.body for each in ast.walk(top) for child in ast.iter_child_nodes(each)
        }
        self.imports: dict[tuple[str, str], None] = {}
        #: outputs whose paths the function uses
        self.used: set[str] = set()
        self._joined: dict[ast.JoinedStr, None] = {}
        documented = ast.get_docstring(found) is not None
        self.body = found.body[1:] if documented else found.body
        self._find_items()
        self._check_names()
        for statement in self.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id in self.roles:
                    self._name(node, self.roles[node.id])
        for joined in self._joined:
            self._join(joined)
        #: output -> how its value is told at the end; None for what the function returns
        self.outputs = dict(self._outputs())

    # What the function does with artifacts.

    def _find_items(self) -> None:
        """Find what stands for single artifacts of lists: the variables of loops over those."""
        for node in (each for statement in self.body for each in ast.walk(statement)):
            if not isinstance(node, (ast.For, ast.comprehension)) or not isinstance(node.iter, ast.Name):
                continue
            role, target = self.roles.get(node.iter.id), node.target
            if role is None or role.kind != "artifacts":
                continue
            if not isinstance(target, ast.Name) or (target.id in self.roles and target.id not in self.items):
                raise _Without(f"takes {role.name!r} apart", f"Go through it one by one: for each in {role.name}.")
            self.items.add(target.id)
            self.roles[target.id] = Role(target.id, target.id, "artifact", role.type)

    def _check_names(self) -> None:
        for node in (each for statement in self.body for each in ast.walk(statement)):
            inside: list[str] = []
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                inside = [each.arg for each in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs)]
            inside += [name for name in bound(node) if isinstance(node, ast.stmt)]
            for name in inside:
                if name in self.roles and name not in self.items:
                    raise _Without(f"gives the name {name!r} to something else", "Choose another name for that.")
                if name == "current":
                    raise _Without("calls something of its own `current`", "Choose another name for that.")
            if isinstance(node, (ast.Yield, ast.YieldFrom)):
                raise _Without("is a generator", "Return a list.")
        read = {each.id for statement in self.body for each in ast.walk(statement) if isinstance(each, ast.Name)}
        for role in self.roles.values():
            if role.called != role.name and role.called in read:
                raise _Without(f"calls something else {role.called!r}", "Choose another name for that.")

    def _name(self, node: ast.Name, role: Role) -> None:
        if role.kind in ("input_path", "output_path"):
            return self._path(node, role)
        parent = self.parents.get(node)
        if role.kind == "artifacts":
            return self._several(node, role)
        if role.name in self.items and isinstance(node.ctx, ast.Store):
            return None
        if not isinstance(parent, ast.Attribute):
            if isinstance(parent, ast.Compare) and all(isinstance(each, (ast.Is, ast.IsNot)) for each in parent.ops):
                return self._put(node, role.called)
            raise _Without(f"hands on {role.name!r} as a whole", f"Hand on its path: {role.name}.path.")
        written = role.kind == "output_artifact"
        loaded = isinstance(parent.ctx, ast.Load)
        match parent.attr:
            case "path" if loaded:
                return self._path(parent, role)
            case "name" if loaded:
                return self._named(node, role)
            case "metadata" if written:
                return self._metadata(parent, role)
            case "framework" if written and not loaded:
                return self._recorded(parent, f'"{role.called}.framework"')
            case "log_metric" if written and artifact_class(role.type) is Metrics:
                return self._metric(node, parent)
            case _:
                remedy = "Let the component take or return what it needs as a value of its own."
                raise _Without(f"uses {role.name}.{parent.attr}, which a file does not have", remedy)

    def _several(self, node: ast.Name, role: Role) -> None:
        """A list of artifacts, which is gone through, counted, or asked for one of them."""
        parent = self.parents.get(node)
        whole = self.parents.get(parent) if isinstance(parent, ast.Subscript) and parent.value is node else None
        if isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node:
            return
        counted = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "len"
        if counted or isinstance(parent, (ast.If, ast.While, ast.IfExp)):
            return
        if not isinstance(whole, ast.Attribute) or whole.attr not in ("path", "name") or self._in_text(node):
            raise _Without(f"hands on {role.name!r} as a whole", f"Go through it one by one: for each in {role.name}.")
        if whole.attr == "path":
            text = ast.unparse(cast(ast.Subscript, parent))
            self._put(whole, text if self._takes_paths(whole) else f"str({text})")

    def _named(self, node: ast.Name, role: Role) -> None:
        """The name of an artifact, which is that of its file."""
        if role.kind in _WRITTEN:
            self.used.add(role.called)
        text = self._in_text(node)
        if text is not None:
            self._joined[text] = None
        else:
            self._put(node, role.called)

    def _path(self, whole: ast.expr, role: Role) -> None:
        """A path, where the function uses one."""
        if not isinstance(cast(Any, whole).ctx, ast.Load):
            raise _Without(f"sets the path of {role.name!r}", "Write to the path that it is given.")
        if role.kind in _WRITTEN:
            self.used.add(role.called)
        self._check_beside(whole, role)
        text = self._in_text(whole)
        if text is not None:
            self._joined[text] = None
        else:
            self._put(whole, role.called if self._takes_paths(whole) else f"str({role.called})")

    def _put(self, node: ast.expr, text: str) -> None:
        self.edits.replace((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0), text)

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        while (found := self.parents.get(node)) is not None:
            yield found
            node = found

    def _in_text(self, node: ast.AST) -> ast.JoinedStr | None:
        """The f-string that something is in, the outermost one."""
        return next((each for each in reversed([*self._around(node)]) if isinstance(each, ast.JoinedStr)), None)

    def _takes_paths(self, node: ast.expr) -> bool:
        """Whether what something is given to takes a path as well as its text."""
        parent = self.parents.get(node)
        call = self.parents.get(parent) if isinstance(parent, ast.keyword) else parent
        if not isinstance(call, ast.Call) or call.func is node:
            return False
        named = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        return root_name(call.func) in _TAKE_PATHS or named.startswith(("read_", "to_"))

    def _check_beside(self, node: ast.expr, role: Role) -> None:
        """Raise for the name of another file beside one."""
        parent = self.parents.get(node)
        beside = False
        match parent:
            case ast.BinOp(left=left, op=ast.Add(), right=right) if left is node:
                text = right.value if isinstance(right, ast.Constant) else ""
                beside = not str(text).startswith(("/", "\n", " "))
            case ast.FormattedValue():
                values = cast(ast.JoinedStr, self.parents[parent]).values
                after = values[values.index(parent) + 1 :][:1]
                beside = any(isinstance(each, ast.Constant) and _BESIDE.match(str(each.value)) for each in after)
            case _:
                names = [each.attr for each in self._around(node) if isinstance(each, ast.Attribute)][:2]
                beside = bool({"with_suffix", "with_name", "with_stem"} & {*names}) or self._leaves_folder(node)
        if beside:
            what = f"uses files beside the path of {role.name!r}, which are no part of it"
            raise _Without(what, "Let the path be a folder, and write into that.")

    def _leaves_folder(self, node: ast.expr) -> bool:
        """Whether the folder around a path is asked for other than to make it."""
        around = [*self._around(node)]
        for number, each in enumerate(around):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "dirname":
                call = around[number + 1] if number + 1 < len(around) else None
                return not (isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("makedirs", "mkdir"))
            if isinstance(each, ast.Attribute) and each.attr == "parent":
                after = around[number + 1] if number + 1 < len(around) else None
                return not (isinstance(after, ast.Attribute) and after.attr == "mkdir")
        return False

    def _join(self, joined: ast.JoinedStr) -> None:
        """An f-string, whose parts have no places of their own in every Python."""
        roles = self.roles

        class Paths(ast.NodeTransformer):
            def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
                self.generic_visit(node)
                inner = node.value
                plain = node.conversion == -1 and node.format_spec is None
                if plain and isinstance(inner, ast.Call) and getattr(inner, "whole", False):
                    node.value = inner.args[0]
                return node

            def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
                if not isinstance(node.value, ast.Name) or node.value.id not in roles:
                    return self.generic_visit(node)
                called = roles[node.value.id].called
                return _text_of(called) if node.attr == "path" else ast.Attribute(ast.Name(called), node.attr)

            def visit_Name(self, node: ast.Name) -> ast.AST:
                return _text_of(roles[node.id].called) if node.id in roles else node

        self._put(joined, ast.unparse(Paths().visit(copy.deepcopy(joined))))

    # Metadata and metrics.

    def _metric(self, node: ast.Name, method: ast.Attribute) -> None:
        call = self.parents.get(method)
        if not isinstance(call, ast.Call) or call.func is not method:
            raise _Without(f"hands on {node.id}.log_metric", "Call it where the metric is known.")
        if not self.edits.by_place(call, ("metric", "value")):
            remedy = f"Call {node.id}.log_metric(name, value)."
            raise _Without(f"gives {node.id}.log_metric its arguments in an order of its own", remedy)
        self._put(node, self._current())

    def _current(self) -> str:
        self.imports["penstock", "current"] = None
        return "current()"

    def _metadata(self, metadata: ast.Attribute, role: Role) -> None:
        """What is said of an output: recorded under a name, beside what the task returns."""
        parent = self.parents.get(metadata)
        if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
            key = parent.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                number = artifact_class(role.type) is Metrics and _is_number(self.parents.get(parent))
                name = quoted(key.value if number else f"{role.called}.{key.value}")
                return self._recorded(parent, name, "log_metric" if number else "log_artifact")
            if isinstance(key, ast.Name) and key.id not in self.roles:
                return self._recorded(parent, f'f"{role.called}.{{{key.id}}}"')
        elif isinstance(metadata.ctx, ast.Store):
            return self._recorded(metadata, quoted(f"{role.called}.metadata"))
        elif isinstance(parent, ast.Attribute) and parent.attr == "update":
            call = self.parents.get(parent)
            if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
                self._put(parent, f"{self._current()}.log_artifact")
                first = call.args[0]
                self.edits.insert((first.lineno, first.col_offset), f"{quoted(f'{role.called}.metadata')}, ")
                return None
        raise _Without(
            f"reads the metadata of {role.name!r}, which a file does not have",
            "Keep what it needs in a variable, or return it as an output of its own.",
        )

    def _recorded(self, target: ast.expr, name: str, method: str = "log_artifact") -> None:
        """An assignment as a call that records the value."""
        statement = self.parents.get(target)
        line = self.module.source.splitlines()[(target.end_lineno or 1) - 1].encode()
        sign = line.find(b"=", target.end_col_offset or 0)
        if not isinstance(statement, ast.Assign) or len(statement.targets) > 1 or sign < 0:
            raise _Without(f"changes {ast.unparse(target)}", f"Assign to it once: {ast.unparse(target)} = value.")
        begin = (target.lineno, target.col_offset)
        head = f"{self._current()}.{method}({name},"
        self.edits.replace(begin, (target.end_lineno or 0, sign + 1), head)
        self.edits.insert((statement.end_lineno or 0, statement.end_col_offset or 0), ")")

    # What it returns.

    def _outputs(self) -> Iterator[tuple[str, str | None]]:
        for role in self.interface.roles:
            if role.kind not in _WRITTEN:
                continue
            if role.called in self.used:
                yield role.called, self._told(role)
            elif role.called in self.taken:
                what = f"hands on {role.called!r}, of which there are metrics or metadata alone, and no file"
                raise _Without(what, "Write a file to its path, or return what others need as a value.")
        for name in self.interface.returned:
            yield name, None

    def _told(self, role: Role) -> str:
        kind = parameter_type(role.type) if role.kind == "output_path" else None
        text = f"{role.called}.read_text()"
        match kind:
            case None:
                return role.called
            case "NUMBER_INTEGER" | "NUMBER_DOUBLE":
                return f"{_PYTHON[kind].__name__}({text})"
            case "BOOLEAN":
                return f'{text}.strip().lower() in ("true", "1", "yes", "y", "t", "on")'
            case "LIST" | "STRUCT":
                self.imports["json", ""] = None
                return f"json.loads({text})"
            case _:
                return text

    def _returns(self) -> Iterator[ast.Return]:
        """The returns of the function itself."""
        inside = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
        for node in (each for statement in self.body for each in ast.walk(statement)):
            if isinstance(node, ast.Return) and not any(isinstance(each, inside) for each in self._around(node)):
                yield node

    def _value(self, given: str | None) -> str:
        """What the function returns, with what it has returned so far; None for nothing."""
        if not self.outputs:
            return ""
        written = {name: text for name, text in self.outputs.items() if text is not None}
        names = list(self.interface.returned)
        if len(self.outputs) == 1:
            return next(iter(written.values())) if written else given or "None"
        pairs = [f"{quoted(name)}: {text}" for name, text in written.items()]
        if names == [SINGLE]:
            return f"{{{', '.join([*pairs, f'{quoted(SINGLE)}: {given}'])}}}"
        if not names:
            return f"{{{', '.join(pairs)}}}"
        return f"{{{', '.join([*pairs, f'**{given}'])}}}" if pairs else given or "None"

    def _return(self, statement: ast.Return) -> None:
        value, names = statement.value, list(self.interface.returned)
        end = (statement.end_lineno or 0, statement.end_col_offset or 0)
        start = (statement.lineno, statement.col_offset)
        after = (statement.lineno, statement.col_offset + len("return"))
        if value is None or not names:
            kept = f"{self._value('None')}"
            if value is None or (isinstance(value, ast.Constant) and value.value is None):
                self.edits.replace(start, end, f"return {kept}".rstrip())
            elif self.outputs:
                raise _Without("returns something that it does not declare", "Annotate what it returns.")
            return
        if len(self.outputs) == 1 and names == [SINGLE]:
            return
        inner = "\0"
        if names != [SINGLE]:
            by_name = isinstance(value, (ast.Dict, ast.DictComp))
            listed = ", ".join(map(quoted, names))
            listed = f"{listed}," if len(names) == 1 else listed
            inner = "\0" if by_name else f"dict(zip(({listed}), \0, strict=True))"
            if len(self.outputs) == 1:
                inner = f"(\0)[{quoted(names[0]) if by_name else 0}]"
        before, _, behind = self._value(inner).partition("\0")
        bare = isinstance(value, ast.Tuple) and self._text(value)[:1] != "("
        before, behind = (f"{before}(", f"){behind}") if bare else (before, behind)
        line = self.module.source.splitlines()[statement.lineno - 1].encode()
        if value.lineno == statement.lineno and not line[after[1] : value.col_offset].strip():
            self.edits.replace(start, (value.lineno, value.col_offset), f"return {before}")
        else:
            self.edits.replace(start, after, f"return {before}".rstrip(" "))
        self.edits.insert(end, behind)

    def _text(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.module.source, node) or ""

    # The whole.

    def text(self) -> Text:
        """The definition from behind the name on."""
        for statement in self._returns():
            self._return(statement)
        opening = [self._opened(name) for name in self.outputs if name in self.used]
        lines = [f"{self._head()}:", *block(docstring(inspect.cleandoc(ast.get_docstring(self.definition) or "")))]
        written: list[str] = []
        if self.body:
            written = self._body()
        last = self.definition.body[-1]
        falls = len(self.outputs) > 1 or any(self.outputs.values())
        closing = f"return {self._value('None')}" if falls else ""
        if closing and not _ends(last):
            written += broken(block([closing]))
        if not written and not opening:
            written = block(["pass"])
        several = len(self.outputs) > 1
        types = {name: self._type(name) for name in self.outputs} if several else {}
        if any("Path" in each for each in (lines[0], *types.values())):
            self.imports["pathlib", "Path"] = None
        return Text("\n".join([*lines, *block(opening), *written]), types, tuple(self.imports))

    def _opened(self, name: str) -> str:
        return f'{name} = {self._current()}.folder / "{name}"'

    def _body(self) -> list[str]:
        first, last = self.body[0], self.body[-1]
        if not self.edits.begins_line(first):
            raise _Without("is on one line", "Write its body on lines of its own.")
        text = self.edits.lines(self._first_line(first), last.end_lineno or 0).rstrip()
        found: list[str] = []
        for line in text.split("\n"):
            inner = line[first.col_offset :] if not line[: first.col_offset].strip() else line.lstrip()
            found.append(inner.rstrip())
        if first.col_offset == len("    "):
            return text.split("\n")
        if any(isinstance(each, (ast.Constant, ast.JoinedStr)) and each.lineno != each.end_lineno
               for statement in self.body for each in ast.walk(statement)):  # fmt: skip
            raise _Without("has a text over several lines, and is indented", "Put it at the top level of its file.")
        return block(found)

    def _first_line(self, first: ast.stmt) -> int:
        """The line that the comments above a statement begin on."""
        lines, line = self.module.lines, first.lineno
        while line - 1 > self.definition.lineno and lines[line - 2].strip().startswith("#"):
            line -= 1
        return line

    def _head(self) -> str:
        arguments = self.definition.args
        known = {role.name: role for role in self.interface.roles}
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
        found = self._parameters(zip(plain, [*defaults, *arguments.defaults], strict=True), known)
        keywords = self._parameters(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True), known)
        returned = f" -> {RETURNED}" if len(self.outputs) > 1 else ""
        if len(self.outputs) == 1:
            returned = f" -> {self._type(next(iter(self.outputs)))}"
        return f"({', '.join([*found, *(['*', *keywords] if keywords else [])])}){returned}"

    def _parameters(self, pairs: Any, known: Mapping[str, Role]) -> list[str]:
        found: list[str] = []
        for argument, default in pairs:
            role = known[argument.arg]
            if role.kind in _WRITTEN:
                continue
            shown = "Path" if argument.annotation is None else self._text(argument.annotation)
            if role.kind != "value":
                none = isinstance(default, ast.Constant) and default.value is None
                one = "list[Path]" if role.kind == "artifacts" else "Path"
                shown = f"{one} | None" if none else one
            found.append(f"{role.called}: {shown}" + ("" if default is None else f" = {self._text(default)}"))
        return found

    def _type(self, name: str) -> str:
        kind = next(each.type for each in self.interface.outputs if each.name == name)
        return _PYTHON[cast(ParameterType, kind)].__name__ if isinstance(kind, str) else "Path"


def _text_of(name: str) -> ast.Call:
    """`str(name)`, which in an f-string is the name alone."""
    found = ast.Call(ast.Name("str", ast.Load()), [ast.Name(name, ast.Load())], [])
    cast(Any, found).whole = True
    return found


def _ends(statement: ast.stmt) -> bool:
    """Whether nothing behind a statement is reached."""
    match statement:
        case ast.Return() | ast.Raise():
            return True
        case ast.If(body=body, orelse=[*_, other]):
            return _ends(body[-1]) and _ends(other)
        case ast.With(body=body):
            return _ends(body[-1])
        case _:
            return False


def _is_number(statement: ast.AST | None) -> bool:
    """Whether what is assigned is surely a number."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    if isinstance(value, ast.Constant):
        return isinstance(value.value, (int, float)) and not isinstance(value.value, bool)
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("float", "int", "round")
    )


__all__ = ["COVERED", "Files"]
