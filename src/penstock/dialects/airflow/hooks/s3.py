"""`S3Hook`: objects in buckets, by the library boto3."""

from __future__ import annotations

import functools
import gzip
import inspect
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from penstock.dialects.airflow.connections import Connection
from penstock.dialects.airflow.exceptions import AirflowException, AirflowNotFoundException
from penstock.dialects.airflow.extras import needed
from penstock.dialects.airflow.hooks import BaseHook

F = TypeVar("F", bound=Callable[..., Any])

_ABSENT: Final = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")


def unify_bucket_name_and_key(func: F) -> F:
    """Let a method take a key that is a whole address (`s3://bucket/key`), and the bucket of the connection where none is
    given."""
    shape = inspect.signature(func)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = shape.bind(*args, **kwargs)
        given = bound.arguments
        name = next((each for each in ("wildcard_key", "key") if each in shape.parameters), "")
        if given.get("bucket_name") is None and not str(given.get(name, "")).startswith("s3://"):
            given["bucket_name"] = given["self"].bucket_of_connection
        if name in given and str(given[name]).startswith("s3://"):
            given["bucket_name"], given[name] = S3Hook.get_s3_bucket_key(
                given.get("bucket_name"), given[name], "bucket_name", name
            )
        return func(*bound.args, **bound.kwargs)

    return cast("F", wrapper)


class S3Hook(BaseHook):
    """Objects in buckets. The connection's login and password are the keys; its `extra` may have `region_name`,
    `endpoint_url`, `aws_session_token` and `service_config`. Without the default connection, boto3 looks for its own."""

    conn_type = "aws"

    def __init__(
        self,
        aws_conn_id: str | None = "aws_default",
        *args: Any,
        verify: str | bool | None = None,
        region_name: str | None = None,
        config: Any = None,
        transfer_config_args: Mapping[str, Any] | None = None,
        extra_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.region_name = region_name
        self.config = config
        self.extra_args = dict(extra_args or {})
        self.transfer_config_args = dict(transfer_config_args or {})

    # The library.

    @functools.cached_property
    def connection(self) -> Connection | None:
        """The connection; None where boto3 looks for its own."""
        if not self.aws_conn_id:
            return None
        try:
            return self.get_connection(self.aws_conn_id)
        except AirflowNotFoundException:
            if self.aws_conn_id != "aws_default":
                raise
            return None

    def _arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        connection = self.connection
        if connection is not None:
            extra = connection.extra_dejson
            service = extra.get("service_config", {}).get("s3", {})
            found = {
                "aws_access_key_id": connection.login or extra.get("aws_access_key_id"),
                "aws_secret_access_key": connection.password or extra.get("aws_secret_access_key"),
                "aws_session_token": extra.get("aws_session_token"),
                "region_name": extra.get("region_name"),
                "endpoint_url": service.get("endpoint_url") or extra.get("endpoint_url") or extra.get("host"),
                "verify": extra.get("verify"),
            }
        found |= {"region_name": self.region_name or found.get("region_name"), "config": self.config}
        if self.verify is not None:
            found["verify"] = self.verify
        return {name: value for name, value in found.items() if value is not None}

    @functools.cached_property
    def conn(self) -> Any:
        """The client of boto3."""
        return needed("boto3", "objects by S3Hook", "").client("s3", **self._arguments())

    def get_conn(self) -> Any:
        """The client of boto3."""
        return self.conn

    @functools.cached_property
    def resource(self) -> Any:
        """The resource of boto3."""
        return needed("boto3", "objects by S3Hook", "").resource("s3", **self._arguments())

    @property
    def bucket_of_connection(self) -> str | None:
        """The bucket that the connection names."""
        connection = self.connection
        if connection is None:
            return None
        extra = connection.extra_dejson
        return extra.get("service_config", {}).get("s3", {}).get("bucket_name") or connection.schema or None

    # Names.

    @staticmethod
    def parse_s3_url(s3url: str) -> tuple[str, str]:
        """The bucket and the key of an address. Raises AirflowException for what is none."""
        parts = urlsplit(s3url)
        if parts.scheme.lower() not in ("s3", "s3n", "s3a") or not parts.netloc:
            raise AirflowException(f'Please provide a bucket name using a valid format: "{s3url}"')
        return parts.netloc, parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")

    @staticmethod
    def get_s3_bucket_key(bucket: str | None, key: str, bucket_param_name: str, key_param_name: str) -> tuple[str, str]:
        """The bucket and the key, of both or of a whole address. Raises TypeError where they say it twice."""
        if bucket is None:
            return S3Hook.parse_s3_url(key)
        if urlsplit(key).scheme or urlsplit(key).netloc:
            raise TypeError(
                f"If `{bucket_param_name}` is provided, {key_param_name} should be a relative path from root level, "
                "rather than a full s3:// url"
            )
        return bucket, key

    # Buckets.

    def check_for_bucket(self, bucket_name: str | None = None) -> bool:
        """Whether there is a bucket."""
        return self._head(self.conn.head_bucket, Bucket=bucket_name or self.bucket_of_connection) is not None

    def create_bucket(self, bucket_name: str | None = None, region_name: str | None = None) -> None:
        """Make a bucket."""
        region = region_name or self.conn.meta.region_name
        place = {} if region in (None, "us-east-1", "aws-global") else {"LocationConstraint": region}
        options = {"CreateBucketConfiguration": place} if place else {}
        self.conn.create_bucket(Bucket=bucket_name or self.bucket_of_connection, **options)

    def delete_bucket(self, bucket_name: str, force_delete: bool = False) -> None:
        """Remove a bucket, with all that is in it if that is wanted."""
        if force_delete:
            keys = self.list_keys(bucket_name)
            if keys:
                self.delete_objects(bucket_name, keys)
        self.conn.delete_bucket(Bucket=bucket_name)

    def get_bucket(self, bucket_name: str | None = None) -> Any:
        """The bucket as boto3 has it."""
        return self.resource.Bucket(bucket_name or self.bucket_of_connection)

    # What is in them.

    def _pages(
        self, bucket: str | None, prefix: str | None, delimiter: str | None = None, **more: Any
    ) -> Iterator[Any]:
        pages = self.conn.get_paginator("list_objects_v2")
        options = {
            "Bucket": bucket or self.bucket_of_connection,
            "Prefix": prefix or "",
            "Delimiter": delimiter or "",
            **more,
        }
        yield from pages.paginate(**options)

    def get_file_metadata(
        self, prefix: str, bucket_name: str | None = None, page_size: int | None = None, max_items: int | None = None
    ) -> list[dict[str, Any]]:
        """What is known of the objects whose keys begin so."""
        found = [each for page in self._pages(bucket_name, prefix) for each in page.get("Contents", ())]
        return found[:max_items]

    def list_keys(
        self,
        bucket_name: str | None = None,
        prefix: str | None = None,
        delimiter: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
        start_after_key: str | None = None,
        from_datetime: Any = None,
        to_datetime: Any = None,
        object_filter: Callable[..., Any] | None = None,
        apply_wildcard: bool = False,
    ) -> list[str]:
        """The keys that begin so, or, with `apply_wildcard`, that fit a pattern; of objects that were changed in a stretch."""
        begin = prefix or ""
        if apply_wildcard and "*" in begin:
            begin = begin.partition("*")[0]
        more = {"StartAfter": start_after_key} if start_after_key else {}
        objects = [
            each for page in self._pages(bucket_name, begin, delimiter, **more) for each in page.get("Contents", ())
        ]
        if apply_wildcard and prefix:
            objects = [each for each in objects if fnmatch(each["Key"], prefix)]
        if object_filter is not None:
            return object_filter(objects, from_datetime, to_datetime)[:max_items]
        return [
            each["Key"]
            for each in objects
            if (from_datetime is None or each["LastModified"] >= from_datetime)
            and (to_datetime is None or each["LastModified"] < to_datetime)
        ][:max_items]

    def list_prefixes(
        self,
        bucket_name: str | None = None,
        prefix: str | None = None,
        delimiter: str | None = "/",
        page_size: int | None = None,
        max_items: int | None = None,
    ) -> list[str]:
        """The folders under a prefix."""
        pages = self._pages(bucket_name, prefix, delimiter)
        return [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())][:max_items]

    def check_for_prefix(self, prefix: str, delimiter: str, bucket_name: str | None = None) -> bool:
        """Whether there is a folder."""
        whole = prefix if prefix.endswith(delimiter) else prefix + delimiter
        return whole in self.list_prefixes(bucket_name, whole.rstrip(delimiter), delimiter)

    # Objects.

    @unify_bucket_name_and_key
    def head_object(self, key: str, bucket_name: str | None = None) -> dict[str, Any] | None:
        """What is known of an object; None where there is none."""
        return self._head(self.conn.head_object, Bucket=bucket_name, Key=key)

    @unify_bucket_name_and_key
    def check_for_key(self, key: str, bucket_name: str | None = None) -> bool:
        """Whether there is an object."""
        return self._head(self.conn.head_object, Bucket=bucket_name, Key=key) is not None

    @unify_bucket_name_and_key
    def get_key(self, key: str, bucket_name: str | None = None) -> Any:
        """An object as boto3 has it."""
        found = self.resource.Object(bucket_name, key)
        found.load()
        return found

    @unify_bucket_name_and_key
    def read_key(self, key: str, bucket_name: str | None = None) -> str:
        """The content of an object, as text."""
        return self.get_key(key, bucket_name).get()["Body"].read().decode("utf-8")

    @unify_bucket_name_and_key
    def check_for_wildcard_key(self, wildcard_key: str, bucket_name: str | None = None, delimiter: str = "") -> bool:
        """Whether there is an object whose key fits a pattern."""
        return self.get_wildcard_key(wildcard_key, bucket_name, delimiter) is not None

    @unify_bucket_name_and_key
    def get_wildcard_key(self, wildcard_key: str, bucket_name: str | None = None, delimiter: str = "") -> Any:
        """The first object whose key fits a pattern; None where there is none."""
        keys = self.list_keys(bucket_name, wildcard_key, delimiter, apply_wildcard=True)
        return self.get_key(keys[0], bucket_name) if keys else None

    @unify_bucket_name_and_key
    def load_file(
        self,
        filename: Path | str,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        gzip: bool = False,
        acl_policy: str | None = None,
    ) -> None:
        """Write a file as an object. Raises ValueError for a key that is there already, unless it is to be replaced."""
        self._store(Path(filename).read_bytes(), key, bucket_name, (replace, encrypt, gzip, acl_policy))

    @unify_bucket_name_and_key
    def load_string(
        self,
        string_data: str,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        encoding: str | None = None,
        acl_policy: str | None = None,
        compression: str | None = None,
    ) -> None:
        """Write a text as an object; else like `load_file`. Raises NotImplementedError for a compression other than gzip."""
        if compression not in (None, "gzip"):
            raise NotImplementedError(
                f"Received {compression} compression type. String can currently be compressed in gzip"
            )
        how = (replace, encrypt, compression == "gzip", acl_policy)
        self._store(string_data.encode(encoding or "utf-8"), key, bucket_name, how)

    @unify_bucket_name_and_key
    def load_bytes(
        self,
        bytes_data: bytes,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        acl_policy: str | None = None,
    ) -> None:
        """Write bytes as an object; else like `load_file`."""
        self._store(bytes_data, key, bucket_name, (replace, encrypt, False, acl_policy))

    @unify_bucket_name_and_key
    def load_file_obj(
        self,
        file_obj: Any,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        acl_policy: str | None = None,
    ) -> None:
        """Write what is read of something as an object; else like `load_file`."""
        self._store(file_obj.read(), key, bucket_name, (replace, encrypt, False, acl_policy))

    def _store(self, data: bytes, key: str, bucket: str | None, how: tuple[bool, bool, bool, str | None]) -> None:
        replace, encrypt, zipped, acl_policy = how
        if not replace and self.check_for_key(key, bucket):
            raise ValueError(f"The key {key} already exists.")
        options: dict[str, Any] = dict(self.extra_args)
        if encrypt:
            options["ServerSideEncryption"] = "AES256"
        if acl_policy:
            options["ACL"] = acl_policy
        content = gzip.compress(data) if zipped else data
        self.conn.upload_fileobj(BytesIO(content), bucket, key, ExtraArgs=options or None)

    def copy_object(
        self,
        source_bucket_key: str,
        dest_bucket_key: str,
        source_bucket_name: str | None = None,
        dest_bucket_name: str | None = None,
        source_version_id: str | None = None,
        acl_policy: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Copy an object."""
        bucket, key = self.get_s3_bucket_key(dest_bucket_name, dest_bucket_key, "dest_bucket_name", "dest_bucket_key")
        origin, source = self.get_s3_bucket_key(
            source_bucket_name, source_bucket_key, "source_bucket_name", "source_bucket_key"
        )
        place = {"Bucket": origin, "Key": source, **({"VersionId": source_version_id} if source_version_id else {})}
        more = {"ACL": acl_policy} if acl_policy else {}
        return self.conn.copy_object(Bucket=bucket, Key=key, CopySource=place, **more, **kwargs)

    def delete_objects(self, bucket: str, keys: str | list[str]) -> None:
        """Remove objects. Raises AirflowException for those that cannot be."""
        listed = [keys] if isinstance(keys, str) else keys
        for start in range(0, len(listed), 1000):
            part = [{"Key": each} for each in listed[start : start + 1000]]
            answer = self.conn.delete_objects(Bucket=bucket, Delete={"Objects": part})
            if answer.get("Errors"):
                raise AirflowException(f"Errors when deleting: {[each['Key'] for each in answer['Errors']]}")

    @unify_bucket_name_and_key
    def download_file(
        self,
        key: str,
        bucket_name: str | None = None,
        local_path: str | None = None,
        preserve_file_name: bool = False,
        use_autogenerated_subdir: bool = True,
    ) -> str:
        """Read an object into a file. Returns its path."""
        if preserve_file_name:
            import tempfile

            folder = Path(local_path) if local_path else Path(tempfile.gettempdir())
            folder = Path(tempfile.mkdtemp(dir=folder, prefix="airflow_tmp_")) if use_autogenerated_subdir else folder
            file = folder / key.rsplit("/", 1)[-1]
        else:
            with NamedTemporaryFile(dir=local_path, prefix="airflow_tmp_", delete=False) as handle:
                file = Path(handle.name)
        self.conn.download_file(bucket_name, key, str(file))
        return str(file)

    def generate_presigned_url(
        self,
        client_method: str,
        params: Mapping[str, Any] | None = None,
        expires_in: int = 3600,
        http_method: str | None = None,
    ) -> str | None:
        """An address that may be used without keys, for so many seconds."""
        return self.conn.generate_presigned_url(
            ClientMethod=client_method, Params=params, ExpiresIn=expires_in, HttpMethod=http_method
        )

    def get_bucket_tagging(self, bucket_name: str | None = None) -> list[dict[str, str]] | None:
        """The tags of a bucket; None where there are none."""
        found = self._head(self.conn.get_bucket_tagging, Bucket=bucket_name or self.bucket_of_connection)
        return None if found is None else found["TagSet"]

    @staticmethod
    def _head(call: Callable[..., Any], **arguments: Any) -> dict[str, Any] | None:
        errors = needed("botocore.exceptions", "objects by S3Hook", "")
        try:
            return call(**arguments)
        except errors.ClientError as error:
            if error.response["Error"]["Code"] in (*_ABSENT, "NoSuchTagSet"):
                return None
            raise


__all__ = ["S3Hook", "unify_bucket_name_and_key"]
