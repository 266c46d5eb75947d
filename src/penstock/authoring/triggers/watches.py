"""What penstock itself looks at again and again for triggers: files, objects in a bucket, rows of a table."""

from __future__ import annotations

import re
from os import PathLike, fspath
from typing import Any

from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.options.reading import Refused, duration, one_of_two, option
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.trigger import WatchSource

#: how often rows and objects are looked at by default; a server is asked each time
_REMOTE = 30.0


def files(
    pattern: str | PathLike[str],
    *,
    settle: Seconds | str = 2.0,
    every: Seconds | str = 5.0,
    together: bool = False,
    existing: bool = False,
) -> WatchSource:
    """Files that arrive or change: a glob pattern such as `"incoming/*.csv"` or `"incoming/**/*.parquet"`. A relative one
    starts from the project's folder.

    A file counts once it has stayed as it is for `settle`; `every` is how often is looked where changes are not told. What
    is there when a daemon looks for the first time does not count, unless `existing` is set. The data of the event: `path`, `name`, `folder`, `size`,
    `modified`. With `together`, all that is found in one look starts one run; the data then is `paths` and `files`, a list of
    these. Raises DefinitionError.
    """
    place = fspath(pattern) if isinstance(pattern, (str, PathLike)) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    if not place or place.endswith("/"):
        raise _refused("files", 'a glob pattern such as "incoming/*.csv"', pattern)
    return WatchSource(
        "files",
        place,
        option("every", duration, every),
        0.0 if settle == 0 else option("settle", duration, settle),
        together=option("together", one_of_two, together),
        existing=option("existing", one_of_two, existing),
    )


def objects(url: str, *, every: Seconds | str = _REMOTE, together: bool = False, existing: bool = False) -> WatchSource:
    """Objects that arrive or change in a bucket: `"s3://bucket/incoming/*.csv"`, or `gs://`, `az://`. Those that are there
    when a daemon looks for the first time do not count, unless `existing` is set.

    The data of the event: `url`, `bucket`, `key`, `size`, `modified`, `etag`; with `together`, `urls` and `objects`, a list
    of these. Raises DefinitionError.
    """
    if not isinstance(url, str) or re.fullmatch(r"[a-z0-9+]+://[^/]+/.+", url) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("objects", 'a URL with a pattern, such as "s3://bucket/incoming/*.csv"', url)
    return WatchSource(
        "objects",
        url,
        option("every", duration, every),
        0.0,
        together=option("together", one_of_two, together),
        existing=option("existing", one_of_two, existing),
    )


def rows(
    database: str,
    query: str,
    column: str,
    *,
    every: Seconds | str = _REMOTE,
    together: bool = False,
    existing: bool = False,
) -> WatchSource:
    """Rows that appear in a database: `rows("sqlite:///shop.db", "select * from orders where id > :cursor order by id",
    "id")`.

    `:cursor` in the query is the value of `column` in the last row that was seen, so that each row is seen once. At first it
    is the greatest that is there, or, with `existing`, less than all. The data of the event is the row, by column; with `together`, `rows`, a list of them. An address may hold
    `env:NAME`, which is read when it is used. Raises DefinitionError.
    """
    text = option("database", _address, database)
    if not isinstance(query, str) or ":cursor" not in query:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(
            f"the query does not say where to go on: {shortened(repr(query))}",
            where=str(caller()),
            remedy="Write :cursor where the last value of the column belongs: select * from t where id > :cursor order by id.",
        )
    if not isinstance(column, str) or not column:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("column", "the name of the column that grows", column)
    return WatchSource(
        "rows",
        text,
        option("every", duration, every),
        0.0,
        query=query,
        column=column,
        together=option("together", one_of_two, together),
        existing=option("existing", one_of_two, existing),
    )


def _address(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Refused('the address of a database, such as "sqlite:///shop.db" or "postgresql://host/shop"')
    return value


def _refused(name: str, wanted: str, value: Any) -> DefinitionError:
    return DefinitionError(f"{name} must be {wanted}, not {shortened(repr(value))}", where=str(caller()))
