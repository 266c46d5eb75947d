"""Artifacts as people see them: in a table, and the preview of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from penstock.observe.measures import counted, number, size
from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["artifact_table", "preview"]

#: columns of a frame that are shown in its head
_COLUMNS = 6
#: characters of a value inside a preview
_VALUE = 200
#: characters of a value inside the head of a frame
_CELL = 24

Preview = Mapping[str, Any]


def artifact_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Artifacts in a table. Of each row are shown `name` (else `task` and `output`), `type`, `size` in bytes, and
    the start of `digest` (hexadecimal)."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not rows:
        return Text("no artifacts")
    cells = [
        {
            "artifact": _name(row),
            "type": str(row.get("type") or ""),
            "size": size(row["size"]) if row.get("size") is not None else "",
            "digest": str(row.get("digest") or "")[:12],
        }
        for row in rows
    ]
    return columns(cells, right=("size",))


def _name(row: Mapping[str, Any]) -> str:
    if row.get("name"):
        return str(row["name"])
    output = str(row.get("output") or "")
    task = str(row.get("task") or row.get("node") or "")
    return f"{task}.{output}" if output not in ("", "result") else task


def preview(preview: Preview) -> RenderableType:
    """What is recorded of a value: a frame with its columns and first rows, an array with its shape, an estimator
    with its parameters, a figure with its measures, text as text; of anything else every part by its name."""
    from rich.console import Group

    title = _title(preview)
    rest = {
        name: part for name, part in preview.items() if name not in ("kind", "class") and part not in (None, {}, [])
    }
    match preview.get("kind"):
        case "frame":
            return Group(title, *_frame(rest))
        case "figure":
            return Group(title, *_figure(rest))
        case "folder":
            return Group(title, *_folder(rest))
        case "file":
            return Group(title, *_file(rest))
        case "tree":
            return Group(title, *_parts({name: part for name, part in rest.items() if name != "type"}))
        case "data":
            return Group(title, *_text(preview.get("value")))
        case _:
            return Group(title, *_parts(rest))


def _title(preview: Preview) -> RenderableType:
    from rich.text import Text

    kind = str(
        preview.get("class")
        or (preview.get("type") if preview.get("kind") == "tree" else preview.get("kind"))
        or "value"
    )
    length = preview.get("length")
    if not isinstance(length, int):
        return Text(kind, style="bold")
    if isinstance(preview.get("value"), str):
        return Text.assemble(("text", "bold"), f"  {counted(length, 'character')}")
    return Text.assemble((kind, "bold"), f"  {counted(length, 'element')}")


def _frame(parts: dict[str, Any]) -> list[RenderableType]:
    """`columns` lists `{"name", "dtype"}` of the first of `width` columns, `head` the cells of the first rows."""
    from rich.text import Text

    listed: Sequence[Mapping[str, Any]] = parts.pop("columns", ())
    head: Sequence[Sequence[Any]] = parts.pop("head", ())
    width = parts.pop("width", len(listed))
    shape = Text(f"{counted(parts.pop('rows', 0), 'row')}, {counted(width, 'column')}")
    return [shape, *_dtypes(listed), *_head([str(column["name"]) for column in listed], head, width), *_parts(parts)]


def _dtypes(columns: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The columns by type: `float64  mean radius, mean texture`."""
    from penstock.cli.renderables import pairs, titled

    by_type: dict[str, list[str]] = {}
    for column in columns:
        by_type.setdefault(str(column["dtype"]), []).append(str(column["name"]))
    names = [(dtype, clip(", ".join(listed), 2 * _VALUE)) for dtype, listed in by_type.items()]
    return titled("columns", pairs(names)) if names else []


def _head(names: list[str], head: Sequence[Sequence[Any]], width: int) -> list[RenderableType]:
    """The first rows of the first columns."""
    from rich.text import Text

    from penstock.cli.renderables import table, titled

    if not head or not names:
        return []
    shown = names[:_COLUMNS]
    cells = table(shown, (map(_cell, row[:_COLUMNS]) for row in head), wrap=shown)
    more = [Text(f"  and {counted(width - _COLUMNS, 'more column')}")] if width > _COLUMNS else []
    return [*titled("first rows", cells), *more]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return "-" if value is None else clip(str(value), _CELL)


def _figure(parts: dict[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    thumbnail = parts.pop("png", None) or parts.pop("thumbnail", None)
    inches = parts.pop("inches", None)
    if isinstance(inches, (list, tuple)):
        parts["size"] = " x ".join(f"{side:g}" for side in cast("Sequence[float]", inches)) + " inches"
    told = [Text("To see it, export it to a .png file.")] if thumbnail else []
    return [*_parts(parts), *told]


def _file(parts: dict[str, Any]) -> list[RenderableType]:
    text = parts.pop("head", None)
    return _parts({**parts, "size": size(parts.get("size", 0)), "text": text})


def _folder(parts: dict[str, Any]) -> list[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    files: Sequence[Mapping[str, Any]] = parts.pop("files", ())
    listed = [(str(file["path"]), size(file["size"])) for file in files]
    more = parts.get("count", len(listed)) - len(listed)
    rest = [("", f"and {counted(more, 'more file')}")] if more else []
    return [*_parts(parts), *titled("files", pairs([*listed, *rest]))]


def _text(value: Any) -> list[RenderableType]:
    """Text as it is; other data as JSON."""
    from rich.text import Text

    if isinstance(value, str):
        return [Text(value)]
    import msgspec

    return [Text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())]


def _parts(parts: Mapping[str, Any]) -> list[RenderableType]:
    """Plain parts as names and values, mappings as sections of their own, text at the end."""
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    text = parts.get("text")
    plain = {
        name: _shape(value) if name == "shape" else _plain(value)
        for name, value in parts.items()
        if name != "text" and not isinstance(value, Mapping)
    }
    nested = {name: cast("Preview", value) for name, value in parts.items() if isinstance(value, Mapping)}
    shown: list[RenderableType] = [pairs(plain.items())] if plain else []
    for name, values in nested.items():
        shown += titled(name, pairs((str(key), _plain(value)) for key, value in values.items()))
    return [*shown, Text(), Text(str(text))] if text else shown


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return clip(_flat(value), _VALUE)
    return number(value)


def _flat(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(part) for part in cast("Sequence[Any]", value))
    if isinstance(value, Mapping):
        return _summed_up(cast("Preview", value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _summed_up(part: Preview) -> str:
    """A part of a value in a few words: `numpy.ndarray, 569 x 30`."""
    words = [
        _flat(part[name]) if name == "type" else f"{name} {_flat(part[name])}" for name in part if name not in _MEASURES
    ]
    return ", ".join([*words, *(measure(part[name]) for name, measure in _MEASURES.items() if name in part)])


def _shape(lengths: Sequence[int]) -> str:
    return " x ".join(map(str, lengths)) or "scalar"


#: what is better told in a form of its own
_MEASURES: dict[str, Callable[[Any], str]] = {"shape": _shape, "size": size}
