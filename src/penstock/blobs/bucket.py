"""Objects in S3, Google Cloud Storage or Azure, under one URL: the only place that knows the library they are reached by.

What fails on the way is tried again with growing pauses, by the library. What fails for good is told as a StoreError, in
words of our own: those of the library hold addresses of requests, and these may hold signatures.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from penstock.blobs.urls import check_url, without_query, without_user
from penstock.errors import DefinitionError, StoreError

#: objects with more bytes than this are sent and fetched in pieces of this many
PIECE = 8 << 20
#: how many pieces are under way at once
_PIECES = 8
#: how many pieces an upload may have at most (S3 allows 10,000)
_MOST_PIECES = 9_000
#: how often an upload in pieces is begun anew: the server may have lost those that it had
_UPLOADS = 3
#: where the credentials of each are looked for, in words
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE, with boto3 installed), or a role of the "
    "machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, those that `gcloud auth application-default login` leaves, or an account of "
    "the machine",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, a service principal, or an identity of the machine",
}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName")


class Meta(NamedTuple):
    """What is known of an object without its bytes."""

    size: int
    #: seconds since the epoch, by the clock of the server; whole ones with most
    changed_at: float
    #: what changes whenever the object does
    version: str


class Bucket:
    """The objects under a URL: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.

    Nothing is asked of the server before the first method is called, so that this can be made before a process forks.
    Credentials come from the environment, and for S3 from profiles; AWS_ENDPOINT_URL names a server that speaks its
    protocol. Raises DefinitionError for a URL that is none of these, and where the library is not installed. All
    methods raise StoreError.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        _library()
        self.url = url.rstrip("/")
        self._scheme = urlsplit(url).scheme
        #: whether it gives up soon -> the library's store
        self._stores: dict[bool, Any] = {}
        self._process: int | None = None

    def check(self, key: str, note: bytes) -> None:
        """Write an object, unless it is there, and list it, to see within seconds whether that is possible."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._told("write to"), suppress(AlreadyExistsError):
            obstore.put(self._store(hasty=True), key, note, mode="create")
        with self._told("list"):
            next(iter(cast("Any", obstore).list(self._store(hasty=True), key)), None)

    def get(self, key: str) -> bytes | None:
        """The bytes of a small object; None if it is not there."""
        import obstore

        try:
            with self._told("read from"):
                return bytes(obstore.get(self._store(), key).bytes())
        except FileNotFoundError:
            return None

    def head(self, key: str) -> Meta | None:
        """What is known of an object; None if it is not there."""
        import obstore

        try:
            with self._told("read from"):
                return _meta(obstore.head(self._store(), key))
        except FileNotFoundError:
            return None

    def put(self, key: str, data: Any, *, hasty: bool = False) -> None:
        """Write a small object, in the place of one that is there. With `hasty`, it is done or given up within 20
        seconds."""
        import obstore

        with self._told("write to"):
            obstore.put(self._store(hasty=hasty), key, data, use_multipart=False)

    def upload(self, key: str, source: Path | memoryview, size: int, *, create: bool) -> str | None:
        """Write an object from a buffer or from a file, of any size, in memory that is bounded. Returns its version, or
        None where, with `create`, one was found to be there meanwhile."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        if size <= PIECE:
            data = source.read_bytes() if isinstance(source, Path) else source
            if create:
                # When the answer is lost, it is open whether the object was written. It is then written without a
                # condition, which may be tried as often as it takes: the bytes are the same.
                try:
                    return _version(obstore.put(self._store(), key, data, mode="create"))
                except AlreadyExistsError:
                    return None
                except (BaseError, OSError):
                    pass
            with self._told("write to"):
                return _version(obstore.put(self._store(), key, data, use_multipart=False))
        for last in range(_UPLOADS):
            try:
                with self._told("write to"):
                    return _version(
                        obstore.put(
                            self._store(),
                            key,
                            source,
                            use_multipart=True,
                            chunk_size=max(PIECE, size // _MOST_PIECES),
                            max_concurrency=_PIECES,
                        )
                    )
            except (StoreError, FileNotFoundError):
                if last == _UPLOADS - 1:
                    raise
        raise AssertionError

    def pieces(self, key: str) -> tuple[Meta, Iterator[Any]] | None:
        """An object, and its bytes, in order and in pieces of which several are fetched at once; None if it is not
        there. They are those of one version, or there is a StoreError."""
        import obstore

        try:
            with self._told("read from"):
                first = obstore.get(self._store(), key, options={"range": (0, PIECE)})
                meta, piece = _meta(first.meta), first.bytes()
        except FileNotFoundError:
            return None
        except StoreError:
            # of an empty object there is no range
            found = self.head(key)
            if found is None or found.size == 0:
                return found and (found, iter(()))
            raise
        return meta, self._from(key, meta, piece)

    def _from(self, key: str, meta: Meta, first: Any) -> Generator[Any]:
        yield first
        if meta.size <= PIECE:
            return
        starts = iter(range(PIECE, meta.size, PIECE))
        with ThreadPoolExecutor(_PIECES, thread_name_prefix="penstock-fetch") as pool:
            waiting: deque[Future[Any]] = deque()

            def ask() -> None:
                for start in starts:
                    waiting.append(pool.submit(self._piece, key, meta, start))
                    return

            for _ in range(_PIECES):
                ask()
            try:
                while waiting:
                    yield waiting.popleft().result()
                    ask()
            finally:
                for future in waiting:
                    future.cancel()

    def _piece(self, key: str, meta: Meta, start: int) -> Any:
        import obstore

        try:
            with self._told("read from"):
                got = obstore.get(self._store(), key, options={"range": (start, min(start + PIECE, meta.size))})
                if _meta(got.meta).version != meta.version:
                    raise FileNotFoundError
                return got.bytes()
        except FileNotFoundError:
            raise StoreError(f"{self.url}/{key} was removed or written anew while it was read") from None

    def below(self, folder: str) -> dict[str, Meta]:
        """The objects whose key begins with `folder/`, by the rest of it."""
        start = len(folder) + 1
        return {key[start:]: meta for key, meta in self.listed(folder)}

    def listed(self, folder: str | None = None, *, hasty: bool = False) -> Iterator[tuple[str, Meta]]:
        """All objects, or those whose key begins with `folder/`, in the order of their keys. With `hasty`, a server that does
        not answer is given up within 20 seconds."""
        import obstore

        with self._told("list"):
            for each in cast("Any", obstore).list(self._store(hasty=hasty), folder, chunk_size=1000):
                for found in each:
                    yield found["path"], _meta(found)

    def delete(self, keys: Sequence[str], *, hasty: bool = False) -> None:
        """Remove objects, those of them that are there. With `hasty`, it is done or given up within 20 seconds."""
        import obstore

        try:
            with self._told("delete from"):
                obstore.delete(self._store(hasty=hasty), list(keys))
        except FileNotFoundError:
            # some services say so, and may have left others alone
            for key in keys:
                with suppress(FileNotFoundError), self._told("delete from"):
                    obstore.delete(self._store(hasty=hasty), key)

    def _store(self, *, hasty: bool = False) -> Any:
        self._process = self._process or os.getpid()
        if self._process != os.getpid():
            # the threads of the library are gone here, and it would wait for them for ever
            raise StoreError(
                f"{self.url} is used in a process that was forked from one that has used it",
                remedy="Start processes of your own with multiprocessing's `spawn`.",
            )
        if hasty not in self._stores:
            self._stores[hasty] = self._opened(hasty)
        return self._stores[hasty]

    def _opened(self, hasty: bool) -> Any:
        from obstore.store import from_url

        options: dict[str, Any] = {}
        endpoint = _endpoint() if self._scheme == "s3" else None
        if endpoint is not None:
            options["endpoint"] = endpoint
        if self._scheme == "s3" and _has_profile():
            options["credential_provider"] = _profile(self.url)
        seconds, retries, wait = (10, 3, 5) if hasty else (120, 10, 180)
        with self._told("open"):
            return from_url(
                self.url,
                client_options={
                    "timeout": timedelta(seconds=seconds),
                    "connect_timeout": timedelta(seconds=5),
                    "allow_http": endpoint is not None and endpoint.startswith("http://"),
                },
                retry_config={
                    "max_retries": retries,
                    "retry_timeout": timedelta(seconds=wait),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=5),
                        "base": 2,
                    },
                },
                **options,
            )

    @contextmanager
    def _told(self, verb: str) -> Generator[None]:
        """Tell errors of the library as our own. That an object is not there stays a FileNotFoundError."""
        from obstore.exceptions import BaseError

        try:
            yield
        except FileNotFoundError as error:
            if _code(str(error)) in _NO_BUCKET:
                raise self._refused(verb, error) from None
            raise
        except (BaseError, ValueError) as error:
            raise self._refused(verb, error) from None

    def _refused(self, verb: str, error: Exception) -> StoreError:
        text = str(error).split("\n\nDebug source", 1)[0]
        code, where = _code(text), urlsplit(self.url).netloc
        kind = type(error).__name__
        if code in _NO_BUCKET:
            return StoreError(
                f"the bucket {where!r} of {self.url} does not exist",
                remedy="Create it, or name another one with the setting `blobs` or with PENSTOCK_BLOBS.",
            )
        if kind in ("PermissionDeniedError", "UnauthenticatedError") or re.search(r"status code: 40[13]\b", text):
            return StoreError(
                f"cannot {verb} {self.url}: access is denied{code and f' ({code})'}",
                remedy=f"Credentials are taken from {_CREDENTIALS[self._scheme]}. They need the right to list, read, "
                "write and delete objects there.",
            )
        if "169.254.169.254" in text or "metadata.google" in text or "Account must be specified" in text:
            return StoreError(
                f"there are no credentials for {self.url}",
                remedy=f"They are taken from {_CREDENTIALS[self._scheme]}.",
            )
        if "Received redirect without LOCATION" in text:
            return StoreError(f"the bucket {where!r} is in another region", remedy="Name it with AWS_REGION.")
        if "HTTP error" in text:
            endpoint = _endpoint() if self._scheme == "s3" else None
            at = f" at {without_user(endpoint)}" if endpoint else ""
            reason = text.rpartition("HTTP error: ")[2].splitlines()[0]
            return StoreError(
                f"cannot {verb} {self.url}{at}: it cannot be reached ({without_query(reason)})",
                remedy="Check the network" + (", and AWS_ENDPOINT_URL." if endpoint else "."),
            )
        told = code or without_query(text.splitlines()[0] if text else kind)
        return StoreError(f"cannot {verb} {self.url}: {told}")


def _library() -> None:
    try:
        import obstore  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise DefinitionError(
            "blobs in an object store need the package obstore, which is not installed",
            remedy="Install it: pip install 'penstock[objects]'",
        ) from None


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _has_profile() -> bool:
    if os.environ.get("AWS_PROFILE"):
        return True
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return False
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return Path(file).expanduser().is_file()


def _profile(url: str) -> Any:
    """What asks boto3 for credentials, as only that knows all that a profile may say."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise StoreError(
            f"the credentials for {url} are in a profile, and boto3, which reads these, is not installed",
            remedy="Install it (pip install boto3), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from None
    try:
        return Boto3CredentialProvider()
    except Exception as error:
        raise StoreError(f"the credentials for {url} cannot be read: {type(error).__name__}: {error}") from None


def _meta(found: Any) -> Meta:
    changed_at = found["last_modified"].timestamp()
    return Meta(found["size"], changed_at, _version(found) or f"{changed_at}-{found['size']}")


def _version(found: Any) -> str:
    # quoted in some answers of a service and not in others
    return (found["e_tag"] or "").removeprefix("W/").strip('"')


def _code(text: str) -> str:
    found = re.search(r"<Code>(\w+)</Code>", text)
    return found[1] if found else ""


def keys_of(metas: Iterable[tuple[str, Meta]], name: str) -> Iterator[str]:
    """The folders of the objects with a name."""
    ending = f"/{name}"
    return (key.removesuffix(ending) for key, _ in metas if key.endswith(ending))


__all__ = ["PIECE", "Bucket", "Meta", "keys_of"]
