"""Files and folders that tasks hand on as `Path`.

One that a task returns is captured by its content and comes back as a file of the same name, under the workspace. One
that is given to a task is a reference: the path is handed on as it is, and the content only decides whether anything
has changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from penstock.errors import ArtifactDamagedError, OutputError, StoreError
from penstock.fingerprint.framing import digest, frame
from penstock.model import hashing
from penstock.ports import Blobs
from penstock.secrets import private
from penstock.values.codec import Encoded
from penstock.values.hashes import FileState, Hashes
from penstock.values.jsonable import shown_text

_CHUNK = 1 << 22
#: the time given to files that are made from the store, so that one changed afterwards is noticed
_STAMP = 1_000_000_000
#: files that a preview lists, and bytes of a file that it looks at
_LISTED, _HEAD = 50, 2000


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file of a manifest, or a folder with nothing in it (then `address` is None)."""

    #: from the top of the folder, with `/`; empty for a single file
    path: str
    address: bytes | None
    size: int = 0
    executable: bool = False


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What a captured file or folder consists of."""

    name: str
    folder: bool
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


class Files:
    """The family of paths that are captured."""

    name = "file"

    def __init__(self, blobs: Blobs, workspace: Path, look: Callable[..., None] | None = None) -> None:
        self._blobs = blobs
        #: is shown what is captured, see `Spool`
        self._look = look
        self._workspace = workspace

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Path)

    def encode(self, value: Any) -> Encoded:
        """Raises OutputError if there is no such file, or it cannot be captured."""
        path = Path(value)
        if not path.exists():
            raise OutputError(
                f"the task returned the path {path}, but there is no such file or folder",
                remedy="Write it before returning, and return an absolute path or one from the working directory.",
            )
        manifest = self._capture(path)
        return Encoded([msgspec.msgpack.encode(manifest)], digest=_identity(manifest), apart=manifest.size)

    def decode(self, data: memoryview) -> Path:
        return self.materialise(manifest_of(data))

    def preview(self, value: Any) -> dict[str, Any]:
        """What can be shown of a path, or of the manifest of one."""
        if isinstance(value, Path):
            return preview_path(value)
        manifest: Manifest = value
        if manifest.folder:
            files = [{"path": entry.path, "size": entry.size} for entry in manifest.entries if entry.address]
            return {"kind": "folder", "name": manifest.name, "count": len(files), "files": files[:_LISTED]}
        (entry,) = manifest.entries
        start = self._blobs.read(entry.address or b"")[:_HEAD]
        return {"kind": "file", "name": manifest.name, "size": entry.size, **_text(bytes(start))}

    def export(self, value: Any, path: Path) -> Path:
        return export_path(value, path)

    def materialise(self, manifest: Manifest) -> Path:
        """The file or folder in the workspace; one that is there and untouched is used again."""
        home = self._workspace / _identity(manifest).hex()[:32]
        place = home / manifest.name
        if not (_intact(place, manifest) and note_use(home)):
            self._make(manifest, home, place)
        return place

    def _make(self, manifest: Manifest, home: Path, place: Path) -> None:
        draft = self._workspace / f".{home.name}-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            private.make_folder(draft / manifest.name if manifest.folder else draft)
            for entry in manifest.entries:
                self._make_entry(entry, draft / manifest.name / entry.path if entry.path else draft / manifest.name)
            self._move(draft, home, place, manifest)
        except OSError as error:
            raise StoreError(f"cannot write {place}: {error.strerror or error}") from error
        finally:
            _remove(draft)

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was making in the workspace when it died."""
        for draft in self._workspace.glob(f".*-{process}-*"):
            _remove(draft)

    def _make_entry(self, entry: Entry, path: Path) -> None:
        if entry.address is None:
            private.make_folder(path)
            return
        private.make_folder(path.parent)
        self._blobs.copy_to(entry.address, path)
        path.chmod(0o500 if entry.executable else 0o400)
        os.utime(path, (_STAMP, _STAMP))

    def _move(self, draft: Path, home: Path, place: Path, manifest: Manifest) -> None:
        for _ in range(3):
            try:
                draft.rename(home)
            except OSError:
                # Another process was faster, or what is there was changed since.
                if _intact(place, manifest):
                    return
                old = draft.with_name(f"{draft.name}-old")
                home.rename(old)
                _remove(old)
            else:
                return
        raise StoreError(f"cannot write {place}: it is changed all the time")

    def _capture(self, path: Path) -> Manifest:
        name = path.name or path.resolve().name
        if not path.is_dir():
            return Manifest(name, False, (self._entry("", path),))
        found = [self._entry(relative, file) for relative, file in scan(path, contained=True)]
        return Manifest(name, True, tuple(found))

    def _entry(self, relative: str, file: Path) -> Entry:
        if file.is_dir():
            return Entry(relative, None)
        if not file.is_file():
            raise OutputError(f"{file} is neither a file nor a folder", remedy="Return only files and folders.")
        size = 0
        with file.open("rb", buffering=0) as source, self._blobs.writer() as writer:
            while chunk := source.read(_CHUNK):
                if self._look is not None:
                    self._look(chunk, begins=size == 0)
                size += writer.write(chunk)
            address = writer.commit()
        return Entry(relative, address, size, os.access(file, os.X_OK))


class References:
    """The family of paths that are only referred to: known by the content that they lead to."""

    name = "path"

    def __init__(self, hashes: Path | None = None, *, looking: bool = False) -> None:
        self._hashes = Hashes(hashes, looking=looking)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Path)

    def encode(self, value: Any) -> Encoded:
        return Encoded([str(value).encode("utf-8", "surrogateescape")], digest=self.digest(Path(value)))

    def decode(self, data: memoryview) -> Path:
        return Path(bytes(data).decode("utf-8", "surrogateescape"))

    def preview(self, value: Any) -> dict[str, Any]:
        return preview_path(value) if value.exists() else {"kind": "path", "path": str(value), "exists": False}

    def export(self, value: Any, path: Path) -> Path:
        return export_path(value, path)

    def digest(self, path: Path) -> bytes:
        """The digest of the content of a file or folder, or of the text of a path that leads to none."""
        if path.is_file():
            return digest("reference", b"file", self._hash(path))
        if path.is_dir():
            entries = [(relative, b"" if file.is_dir() else self._hash(file)) for relative, file in scan(path)]
            return digest("reference", b"folder", frame(entries))
        return digest("reference", b"text", str(path).encode("utf-8", "surrogateescape"))

    def content(self, path: Path) -> bytes:
        """The digest of the content of a file, or of a folder without what is hidden or compiled there. Raises OSError
        for one that cannot be read."""
        if not path.is_dir():
            return digest("reads", b"file", self._hash(path))
        entries = [(name, self._hash(file)) for name, file in scan(path) if not file.is_dir() and _is_source(name)]
        return digest("reads", b"folder", frame(entries))

    def _hash(self, file: Path) -> bytes:
        path, state = os.fsencode(file.absolute()), FileState.of(file)
        found = self._hashes.find(path, state)
        if found is None:
            found = hash_file(file)
            # what changed meanwhile is hashed again next time
            if FileState.of(file) == state:
                self._hashes.add(path, state, found)
        return found


def _is_source(name: str) -> bool:
    return not any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))


def hash_file(file: Path) -> bytes:
    """The BLAKE3 digest of a file's bytes."""
    return blake3(max_threads=hashing.threads()).update_mmap(file).digest()


def manifest_of(data: Any) -> Manifest:
    """The manifest that a captured path is stored as. Raises ArtifactDamagedError for one that leads out of its folder."""
    manifest = msgspec.msgpack.decode(data, type=Manifest)
    paths = [entry.path for entry in manifest.entries] if manifest.folder else []
    single = manifest.folder or [entry.path for entry in manifest.entries] == [""]
    if not (single and "/" not in manifest.name and all(map(_is_inside, [manifest.name, *paths]))):
        raise ArtifactDamagedError(
            f"what is stored of the file or folder {manifest.name!r} leads out of its place",
            remedy="penstock has not written this; somebody else has. Nothing of it was laid out.",
        )
    return manifest


def _is_inside(path: str) -> bool:
    """Whether a path stays in the folder that it starts from, however it is read."""
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def scan(folder: Path, *, contained: bool = False) -> list[tuple[str, Path]]:
    """The files in a folder, and the folders in it with nothing in them, by their path from its top, in order.

    Links are followed. With `contained`, raises OutputError for one that leads out of the folder; raises OutputError
    in any case for one that leads nowhere or in a circle.
    """
    root = folder.resolve()
    return sorted(_scan(folder, "", root if contained else None, (root,)))


def _scan(folder: Path, prefix: str, root: Path | None, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    children = sorted(folder.iterdir())
    if not children and prefix:
        yield prefix.rstrip("/"), folder
    for child in children:
        real = _followed(child, root) if child.is_symlink() else child
        if not child.is_dir():
            yield prefix + child.name, child
        elif real.resolve() in above:
            raise OutputError(f"the link {child} leads in a circle", remedy="Remove the link from the folder.")
        else:
            yield from _scan(child, f"{prefix}{child.name}/", root, (*above, real.resolve()))


def _followed(link: Path, root: Path | None) -> Path:
    try:
        real = link.resolve(strict=True)
    except OSError as error:
        raise OutputError(f"the link {link} leads nowhere", remedy="Remove the link from the folder.") from error
    if root is not None and not real.is_relative_to(root):
        raise OutputError(
            f"the link {link} leads out of the folder that was returned, to {real}",
            remedy="Copy what it leads to into the folder.",
        )
    return real


def export_path(source: Path, target: Path) -> Path:
    """Copy a file or folder to where a person wants it, for them to change. Raises OutputError if it is not there."""
    if not source.exists():
        raise OutputError(f"there is no file or folder {source}")
    if source.is_dir():
        import shutil

        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=_copy)
    else:
        _copy(source, target)
    return target


def _remove(folder: Path) -> None:
    # it brings modules for archives along, which take longer to load than a run that has no files takes in all
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Any, target: Any) -> None:
    import shutil

    shutil.copyfile(source, target)
    if os.access(source, os.X_OK):
        Path(target).chmod(0o755)


def preview_path(path: Path) -> dict[str, Any]:
    """What can be shown of a file or folder."""
    if path.is_dir():
        files = [(name, file) for name, file in scan(path) if file.is_file()]
        listed = [{"path": name, "size": file.stat().st_size} for name, file in files[:_LISTED]]
        return {"kind": "folder", "name": path.name, "count": len(files), "files": listed}
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_HEAD)
    return {"kind": "file", "name": path.name, "size": size, **_text(start)}


def _text(start: bytes) -> dict[str, Any]:
    if b"\0" in start:
        return {}
    text = start.decode("utf-8", "replace")
    return {"head": shown_text(text, 1000)} if "�" not in text[:-4] else {}


def _identity(manifest: Manifest) -> bytes:
    entries = [(entry.path, entry.address, entry.executable) for entry in manifest.entries]
    return digest("captured", frame([manifest.name, manifest.folder, entries]))


def _intact(place: Path, manifest: Manifest) -> bool:
    return all(_untouched(place / entry.path if entry.path else place, entry) for entry in manifest.entries) and (
        place.is_dir() if manifest.folder else place.is_file()
    )


def note_use(folder: Path) -> bool:
    """Note that what was laid out in a folder is in use, so that no collection removes it; whether it is still there."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _untouched(path: Path, entry: Entry) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return entry.address is None or (status.st_size == entry.size and int(status.st_mtime) == _STAMP)
