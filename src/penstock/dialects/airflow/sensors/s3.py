"""`S3KeySensor`: waits for objects in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Any, ClassVar, cast

from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.hooks.s3 import S3Hook


class S3KeySensor(BaseSensorOperator):
    """Waits until all of some keys are there: names, or patterns. `check_fn` is asked of what was found."""

    template_fields: ClassVar[Sequence[str]] = ("bucket_key", "bucket_name")

    def __init__(
        self,
        *,
        bucket_key: str | list[str],
        bucket_name: str | None = None,
        wildcard_match: bool = False,
        check_fn: Callable[..., bool] | None = None,
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        deferrable: bool = False,
        use_regex: bool = False,
        region_name: str | None = None,
        metadata_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket_key = bucket_key
        self.bucket_name = bucket_name
        self.wildcard_match = wildcard_match
        self.use_regex = use_regex
        self.check_fn = check_fn
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.deferrable = deferrable
        self.region_name = region_name
        self.metadata_keys = metadata_keys or ["Size", "Key"]

    @property
    def hook(self) -> S3Hook:
        return S3Hook(aws_conn_id=self.aws_conn_id, verify=self.verify, region_name=self.region_name)

    def poke(self, context: Any) -> bool:
        keys = [self.bucket_key] if isinstance(self.bucket_key, str) else self.bucket_key
        return all(self._is_there(key, context) for key in keys)

    def _is_there(self, key: str, context: Any) -> bool:
        bucket, name = S3Hook.get_s3_bucket_key(self.bucket_name, key, "bucket_name", "bucket_key")
        if self.wildcard_match or self.use_regex:
            found = self._matching(bucket, name)
        else:
            head = self.hook.head_object(name, bucket)
            found = [] if head is None else [{"Size": head["ContentLength"], "Key": name}]
        if not found:
            return False
        return True if self.check_fn is None else bool(self._check(found, context))

    def _matching(self, bucket: str, pattern: str) -> list[dict[str, Any]]:
        import re

        prefix = re.split(r"[\[*?.(\\]", pattern, maxsplit=1)[0]
        listed = self.hook.get_file_metadata(prefix, bucket)
        if self.use_regex:
            return [each for each in listed if re.match(pattern, each["Key"])]
        return [each for each in listed if fnmatch(each["Key"], pattern)]

    def _check(self, found: list[dict[str, Any]], context: Any) -> Any:
        import inspect

        check = cast("Callable[..., Any]", self.check_fn)
        told = [{name: each[name] for name in self.metadata_keys if name in each} for each in found]
        takes = [each for each in inspect.signature(check).parameters.values() if each.kind is each.VAR_KEYWORD]
        return check(told, **context) if takes else check(told)


__all__ = ["S3KeySensor"]
