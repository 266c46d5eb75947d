"""Arrow tables: as bytes of the Arrow file format, uncompressed, and the digest of a column by its values.

The digest does not depend on how the column is cut into chunks, what it is a slice of, or what happens to lie in the
places of missing values.
"""

from __future__ import annotations

from typing import Any

from penstock.fingerprint.framing import digest, frame
from penstock.values.arrays import hashed, raw
from penstock.values.codec import Sink, module

#: the first bytes of an Arrow file
MAGIC = b"ARROW1"
#: the key in a table's metadata under which ours is kept
_KEY = b"penstock"


def write(table: Any, header: bytes, sink: Sink) -> None:
    """Write a table, and what else has to be known to read it as what it was."""
    pa = module("pyarrow")

    # A file has room for one dictionary of each column.
    table = table.unify_dictionaries().replace_schema_metadata({**(table.schema.metadata or {}), _KEY: header})
    options = pa.ipc.IpcWriteOptions(compression=None)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)


def read(data: memoryview) -> tuple[Any, bytes]:
    """The table on top of the bytes, and what was written with it."""
    pa = module("pyarrow")

    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    metadata = dict(table.schema.metadata or {})
    header = metadata.pop(_KEY)
    return table.replace_schema_metadata(metadata or None), header


def single(column: Any) -> Any:
    """A column as one array instead of chunks."""
    if not hasattr(column, "chunks"):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    pa = module("pyarrow")

    joined = column.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined


def identify_table(table: Any) -> bytes:
    """The digest of a table: its schema and its columns."""
    schema = table.schema.to_string(show_field_metadata=True, truncate_metadata=False).encode()
    return digest("table", schema, frame(table.num_rows), *[identify(column) for column in table.columns])


def identify(column: Any) -> bytes:
    """The digest of a column, or of an array, by its values."""
    array = single(column)
    missing = b"" if array.null_count == 0 else hashed(raw(array.is_null().to_numpy(zero_copy_only=False)))
    present = array.drop_null() if array.null_count else array
    return digest("column", frame(len(array)), missing, _values(present))


def _values(array: Any) -> bytes:
    """The digest of an array without missing values."""
    pa = module("pyarrow")

    kind = array.type
    types = pa.types
    if types.is_dictionary(kind):
        return identify(array.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return digest("extension", str(kind).encode(), identify(array.storage))
    if types.is_null(kind):
        return b""
    if types.is_boolean(kind):
        return digest("bool", hashed(raw(array.to_numpy(zero_copy_only=False))))
    if _is_text(kind):
        return _text(array)
    if types.is_struct(kind):
        pairs = zip(kind, array.flatten(), strict=True)
        return digest("struct", *[part for field, child in pairs for part in (field.name.encode(), identify(child))])
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_map(kind):
        return _lists(array)
    if hasattr(kind, "bit_width") and _is_fixed(kind):
        return digest("fixed", str(kind).encode(), hashed(_fixed(array, kind.bit_width // 8)))
    return digest("other", str(kind).encode(), frame([repr(element) for element in array.to_pylist()]))


def _is_text(kind: Any) -> bool:
    pa = module("pyarrow")

    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view)
    binary = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in (*tests, *binary))


def _is_fixed(kind: Any) -> bool:
    pa = module("pyarrow")

    types = pa.types
    return types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind)


def _fixed(array: Any, width: int) -> memoryview:
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return memoryview(b"")
    return memoryview(buffer)[array.offset * width : (array.offset + len(array)) * width]


def _text(array: Any) -> bytes:
    np = module("numpy")
    pa = module("pyarrow")

    array = array.cast(pa.large_binary())
    if not len(array):
        return digest("text", b"", b"")
    _, offsets, content = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = memoryview(content or b"")[int(ends[0]) : int(ends[-1])]
    return digest("text", hashed(raw(np.diff(ends))), hashed(text))


def _lists(array: Any) -> bytes:
    pa = module("pyarrow")
    pc = module("pyarrow.compute")

    if pa.types.is_map(array.type):
        array = array.cast(pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])))
    lengths = pc.cast(pc.list_value_length(array), pa.int64())
    return digest("list", identify(lengths), identify(pc.list_flatten(array)))
