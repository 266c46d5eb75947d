"""Mappers: from the key of a run that made an asset to the keys of the runs that it is for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, cast

from penstock.dialects.airflow.partitions.waiting import WaitForAll, WaitPolicy
from penstock.dialects.airflow.partitions.windows import Window


class PartitionMapper:
    """From a key to the keys that it is for. Subclasses, which users may write, write `to_downstream(key)`."""

    #: whether a run waits for several keys
    is_rollup: ClassVar[bool] = False
    #: the type of what `decode_downstream` gives
    expected_decoded_type: ClassVar[type] = str
    #: how many keys one may be for; None for what the configuration says
    max_downstream_keys: int | None = None

    def __init__(self, *, max_downstream_keys: int | None = None) -> None:
        limit = cast(Any, max_downstream_keys)
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise ValueError(f"max_downstream_keys must be a positive integer or None, got {limit!r}")
        self.max_downstream_keys = max_downstream_keys

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        decodes = cls.decode_downstream is not PartitionMapper.decode_downstream
        encodes = cls.encode_upstream is not PartitionMapper.encode_upstream
        if decodes != encodes:
            raise TypeError(
                f"{cls.__qualname__} overrides only one side of the decode/encode pair. Both 'decode_downstream' and "
                "'encode_upstream' must be overridden together or not at all."
            )

    def to_downstream(self, key: str) -> str | Iterable[str]:
        """The key, or the keys, that a key is for. Raises ValueError for one that it does not take."""
        raise NotImplementedError

    def decode_downstream(self, downstream_key: str) -> Any:
        """The period that a key stands for, as windows take it."""
        return downstream_key

    def encode_upstream(self, decoded: Any) -> str:
        """The key of an item of a period."""
        return decoded

    def to_partition_date(self, downstream_key: str) -> datetime | None:
        """When the period of a key begins; None for a key that is about no time."""
        return None

    def carry_partition_date(self, source_partition_date: datetime | None) -> datetime | None:
        """Of the date of the run that made the asset, the one that is handed on."""
        return None

    def serialize(self) -> dict[str, Any]:
        """What it says, as data."""
        return {} if self.max_downstream_keys is None else {"max_downstream_keys": self.max_downstream_keys}


class IdentityMapper(PartitionMapper):
    """The same key."""

    def to_downstream(self, key: str) -> str:
        return key

    def carry_partition_date(self, source_partition_date: datetime | None) -> datetime | None:
        return source_partition_date


class AllowedKeyMapper(PartitionMapper):
    """The same key, if it is one of those that are allowed."""

    def __init__(self, allowed_keys: list[str], *, max_downstream_keys: int | None = None) -> None:
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.allowed_keys = allowed_keys

    def to_downstream(self, key: str) -> str:
        if key not in self.allowed_keys:
            raise ValueError(f"Key {key!r} not in allowed keys {self.allowed_keys}")
        return key

    def serialize(self) -> dict[str, Any]:
        return {"allowed_keys": list(self.allowed_keys), **super().serialize()}


class FixedKeyMapper(PartitionMapper):
    """One key, whichever came."""

    def __init__(self, downstream_key: str, *, max_downstream_keys: int | None = None) -> None:
        if not downstream_key or not isinstance(cast(Any, downstream_key), str):
            raise ValueError(f"FixedKeyMapper downstream_key must be a non-empty str; got {downstream_key!r}.")
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.downstream_key = downstream_key

    def to_downstream(self, key: str) -> str:
        return self.downstream_key

    def serialize(self) -> dict[str, Any]:
        return {"downstream_key": self.downstream_key, **super().serialize()}


class ProductMapper(PartitionMapper):
    """A mapper for each segment of a key: `us|2026-03-01T05:00:00`."""

    def __init__(
        self,
        mapper0: PartitionMapper,
        mapper1: PartitionMapper,
        /,
        *mappers: PartitionMapper,
        delimiter: str = "|",
        max_downstream_keys: int | None = None,
    ) -> None:
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.mappers = [mapper0, mapper1, *mappers]
        self.delimiter = delimiter

    def to_downstream(self, key: str) -> str:
        segments = key.split(self.delimiter)
        if len(segments) != len(self.mappers):
            raise ValueError(f"Expected {len(self.mappers)} segments in key, got {len(segments)}")
        found: list[str] = []
        for mapper, segment in zip(self.mappers, segments, strict=True):
            result = mapper.to_downstream(segment)
            if not isinstance(result, str):
                raise TypeError(
                    f"ProductMapper child mappers must return a single key, but {type(mapper).__name__} returned multiple "
                    "keys"
                )
            found.append(result)
        return self.delimiter.join(found)

    def to_partition_date(self, downstream_key: str) -> datetime | None:
        segments = downstream_key.split(self.delimiter)
        if len(segments) != len(self.mappers):
            return None
        dates = [mapper.to_partition_date(each) for mapper, each in zip(self.mappers, segments, strict=True)]
        known = [each for each in dates if each is not None]
        return known[0] if len(known) == 1 else None

    def serialize(self) -> dict[str, Any]:
        return {
            "delimiter": self.delimiter,
            "mappers": [described(each) for each in self.mappers],
            **super().serialize(),
        }


class ChainMapper(PartitionMapper):
    """One mapper after the other."""

    def __init__(
        self,
        mapper0: PartitionMapper,
        mapper1: PartitionMapper,
        /,
        *mappers: PartitionMapper,
        max_downstream_keys: int | None = None,
    ) -> None:
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.mappers = [mapper0, mapper1, *mappers]

    def to_downstream(self, key: str) -> str | Iterable[str]:
        keys = [key]
        for mapper in self.mappers:
            keys = [each for before in keys for each in keys_of(mapper, before)]
        return keys[0] if len(keys) == 1 else keys

    def to_partition_date(self, downstream_key: str) -> datetime | None:
        return self.mappers[-1].to_partition_date(downstream_key)

    def serialize(self) -> dict[str, Any]:
        return {"mappers": [described(each) for each in self.mappers], **super().serialize()}


class RollupMapper(PartitionMapper):
    """Many keys for one, whose run waits for them. Raises TypeError for a window that does not take what the mapper gives."""

    is_rollup: ClassVar[bool] = True

    def __init__(
        self,
        *,
        upstream_mapper: PartitionMapper,
        window: Window,
        wait_policy: WaitPolicy | None = None,
        max_downstream_keys: int | None = None,
    ) -> None:
        if upstream_mapper.expected_decoded_type is not window.expected_decoded_type:
            raise TypeError(
                f"{type(window).__name__} expects decoded values of type {window.expected_decoded_type.__name__!r}, but "
                f"{type(upstream_mapper).__name__} decodes to {upstream_mapper.expected_decoded_type.__name__!r}. Pair a "
                "window and an upstream mapper whose 'expected_decoded_type' match."
            )
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.upstream_mapper = upstream_mapper
        self.window = window
        self.wait_policy = WaitForAll() if wait_policy is None else wait_policy

    def to_downstream(self, key: str) -> str | Iterable[str]:
        return self.upstream_mapper.to_downstream(key)

    def to_upstream(self, downstream_key: str) -> frozenset[str]:
        """The keys that the run of a key waits for."""
        period = self.upstream_mapper.decode_downstream(downstream_key)
        return frozenset(self.upstream_mapper.encode_upstream(each) for each in self.window.to_upstream(period))

    def to_partition_date(self, downstream_key: str) -> datetime | None:
        return self.upstream_mapper.to_partition_date(downstream_key)

    def serialize(self) -> dict[str, Any]:
        return {
            "upstream_mapper": described(self.upstream_mapper),
            "window": described(self.window),
            "wait_policy": described(self.wait_policy),
            **super().serialize(),
        }


def keys_of(mapper: PartitionMapper, key: str) -> list[str]:
    """The keys that a key is for, as a list. Raises what the mapper raises, and TypeError for what are no keys."""
    found: Any = mapper.to_downstream(key)
    if not isinstance(found, Iterable):
        raise TypeError(f"{type(mapper).__name__} gave {found!r}, which is no key")
    keys = [found] if isinstance(found, str) else list(cast("Iterable[Any]", found))
    wrong = next((each for each in keys if not isinstance(each, str)), None)
    if wrong is not None:
        raise TypeError(f"{type(mapper).__name__} gave {wrong!r}, which is no key")
    return cast("list[str]", keys)


def described(thing: Any) -> dict[str, Any]:
    """What a mapper, a window or a policy says, as data with its class; of one that cannot tell, its class alone."""
    try:
        said = thing.serialize()
    except Exception:  # those of the users' own may be written for Airflow's serialization alone
        said = {}
    return {"type": f"{type(thing).__module__}.{type(thing).__qualname__}", **said}


def is_rollup(mapper: PartitionMapper) -> bool:
    """Whether a run by a mapper waits for several keys."""
    return mapper.is_rollup


__all__ = [
    "AllowedKeyMapper",
    "ChainMapper",
    "FixedKeyMapper",
    "IdentityMapper",
    "PartitionMapper",
    "ProductMapper",
    "RollupMapper",
    "described",
    "is_rollup",
    "keys_of",
]
