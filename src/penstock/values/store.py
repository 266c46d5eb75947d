"""All families of values together: what workers and drivers use to put values away and to bring them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import Any, cast

from penstock.errors import NotFoundError, StoreError, UntrustedError
from penstock.fingerprint.framing import ATOMS, NotPlain, Unpacker, digest, frame, locate, unpack
from penstock.fingerprint.named import stands_for
from penstock.model.expression import has_entry, part_of
from penstock.model.value import Argument, Artifact, Collection, Description, Record, Selection
from penstock.ports import Blobs
from penstock.secrets import masking
from penstock.secrets.masking import Sieve
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values.arrays import Arrays, Scalars
from penstock.values.codec import Codec, Encoded, Spool, type_name
from penstock.values.data import Data, encode
from penstock.values.extensions import Extensions
from penstock.values.figures import Figures
from penstock.values.files import Files, References, manifest_of
from penstock.values.frames import Frames, is_pickled
from penstock.values.identity import identify, structure_of
from penstock.values.jsonable import NotJsonable, jsonable
from penstock.values.models import Estimators
from penstock.values.objects import Objects
from penstock.values.records import build, has_field
from penstock.values.torch import Torch
from penstock.values.tree import Leaf, Tree

#: types that are tried as plain data before anything else
_SIMPLE = ATOMS | {list, tuple, dict}
_REMEMBERED = 1000
#: codecs of which the bytes are always a pickle
_PICKLED = frozenset({"estimator", "figure", "pickle"})
_KINDS: dict[str, type] = {"list": list, "tuple": tuple}
#: the attribute of a class of records with a function that says in plain data what one of them is; it is given what says the
#: size of a file in it
SUMMARY = "__penstock_summary__"


class Values:
    """Stores values as artifacts and loads them again. For one thread at a time.

    `blobs` holds what takes more than `inline_limit` bytes; files that tasks returned are made again under
    `workspace`; the hashes of large files are remembered in the folder `hashes`, which with `looking` is only read.
    With `pickle` false, a value that no family knows is refused instead of being pickled, and so is one to be loaded that
    was pickled. `trust` says which pickles are loaded at all, and signs those that are stored.
    """

    def __init__(
        self,
        blobs: Blobs,
        *,
        workspace: Path,
        hashes: Path | None = None,
        inline_limit: int = 4096,
        pickle: bool = True,
        looking: bool = False,
        trust: Trust = NO_KEYS,
    ) -> None:
        self._blobs = blobs
        #: which pickles are loaded
        self.trust = trust
        self._unpack = Unpacker(trust).unpack if trust.checks else unpack
        self._limit = inline_limit
        self._notices: list[str] = []
        #: digest of a value, stored here, that is not the same in every process -> the type of what it is about
        self.unhashed: dict[bytes, str] = {}
        #: the type of something in the value at hand that has no digest of its own
        self._odd: str | None = None
        #: types of which the user was told that they have none
        self._told: set[str] = set()
        #: artifacts in blobs that were stored or loaded lately, by digest
        self._recent: dict[bytes, Artifact] = {}
        #: looks for secrets in what is being put away, where there are any to look for
        self._sieve: Sieve | None = None
        self._data = Data(trust)
        self._tree = Tree(self._store_leaf, self.load, trust)
        self._files = Files(blobs, workspace, self._look_at)
        self._references = References(hashes, looking=looking)
        self._families: list[Codec] = [
            Scalars(),
            Arrays(),
            Frames(identify, trust),
            Estimators(trust),
            Torch(structure_of, trust),
            Figures(trust),
        ]
        self._extensions = Extensions(self._notices.append)
        self._objects = Objects(allowed=pickle, notice=self._notices.append, trust=trust)
        known: list[Any] = [*self._families, self._data, self._tree, self._files, self._references, self._objects]
        self._codecs: dict[str, Codec] = {codec.name: codec for codec in known}

    def store(
        self, value: Any, *, output: bool = False, refuse: Callable[[str], Exception] | None = None
    ) -> tuple[Artifact, Description | None]:
        """Put a value away. Returns its artifact, and what can be shown of it if it is kept as a blob.

        With `output`, every `Path` in it is one that a task returned, and is captured by its content; without, a path
        is only a reference. Raises OutputError if the value cannot be stored, StoreError if it cannot be written, and
        SecretError for an output with a secret in it that this process has read, unless that is allowed. With `refuse`,
        no value may have one in it, and what that makes of the reference of the secret is raised.
        """
        if refuse is not None and masking.active():
            return self._store_sifted(value, Sieve(refuse), output=output)
        if output and masking.active() and self._sieve is None and not masking.allowed.get():
            return self._store_sifted(value, Sieve(), output=True)
        kind = cast(Any, type(value))
        if kind in _SIMPLE:
            # The way of nearly all small values: one look at the type, one pass over the bytes.
            try:
                payload, known, classes = encode(value, self.trust)
            except NotPlain:
                return self._store_other(value, output)
            if len(payload) <= self._limit:
                if self._sieve is not None:
                    self._look_at(payload)
                return Artifact("data", kind.__name__, known, len(payload), payload, None, classes), None
            return self._put(self._data, Encoded([payload], digest=known, classes=classes), value)
        return self._store_other(value, output)

    def _store_sifted(self, value: Any, sieve: Sieve, *, output: bool) -> tuple[Artifact, Description | None]:
        self._sieve = sieve
        try:
            return self.store(value, output=output)
        finally:
            self._sieve = None

    def _look_at(self, data: Any, *, begins: bool = True) -> None:
        """Look for secrets in bytes that are about to be stored; with `begins`, they are the first of a value."""
        if self._sieve is not None:
            if begins:
                self._sieve.begin_another()
            self._sieve.feed(data)

    def load(self, argument: Argument) -> Any:
        """The value of an artifact, of a collection or record of several, or of a part of one.

        Raises ArtifactMissingError, ArtifactDamagedError, StoreError, NotFoundError for a class that is gone, and
        LookupError or AttributeError for a part that is not there.
        """
        if type(argument) is Artifact:
            if argument.codec == "data" and argument.payload is not None:
                return self._unpack(argument.payload)
            if argument.blob is not None:
                self._remember(argument)
            return self._codec(argument).decode(self._bytes(argument))
        return self._load_composed(argument)

    def digest(self, argument: Argument) -> bytes:
        """The digest, 32 bytes, of the value of an argument, without loading more than has to be."""
        if type(argument) is Artifact:
            return argument.digest
        if isinstance(argument, Collection):
            return self._digest_collection(argument)
        if isinstance(argument, Record):
            parts = [self.digest(item) for item in argument.items]
            return digest("record", frame((argument.type, argument.names)), *parts)
        return self._digest_part(cast(Selection, argument))

    def classes(self, argument: Argument) -> set[str]:
        """The names of the user's own classes and functions in the value of an argument, without loading more than has
        to be (see `Artifact.classes`). The class of a record is among them, whosever it is."""
        if isinstance(argument, Artifact):
            return set(argument.classes)
        if isinstance(argument, Selection):
            return self._classes_of_part(argument)
        plain = {item.classes for item in argument.items if type(item) is Artifact}
        found = {name for names in plain for name in names}
        found.update(*[self.classes(item) for item in argument.items if type(item) is not Artifact])
        if isinstance(argument, Record):
            found.add(stands_for(argument.type))
        return found

    def content(self, path: Path) -> bytes:
        """The digest, 32 bytes, of what is in a file, or in a folder without what is hidden or compiled there. Raises
        OSError for one that cannot be read."""
        return self._references.content(path)

    def unhashable(self, argument: Argument) -> str | None:
        """The type of what keeps an argument that was stored here from having a digest that is the same in every
        process; None where nothing does."""
        if isinstance(argument, Artifact):
            return self.unhashed.get(argument.digest)
        if isinstance(argument, Selection):
            return self.unhashable(argument.of)
        return next(filter(None, map(self.unhashable, argument.items)), None)

    def preview(self, artifact: Artifact) -> dict[str, Any]:
        """What can be shown of an artifact: JSON-able, for people. Loads it if it is in a blob."""
        codec = self._codec(artifact)
        data = self._bytes(artifact)
        if codec is self._tree:
            return self._tree.preview(self._tree.peek(data))
        if codec is self._files:
            return self._files.preview(manifest_of(data))
        return codec.preview(codec.decode(data))

    def export(self, artifact: Artifact, path: Path) -> Path:
        """Write an artifact to a file, or a new one in a folder, in a form of use to a person. Returns its path.

        The suffix decides the format; without one, the family's own is taken. Raises OutputError for a suffix that
        the family does not know, and StoreError if the file cannot be written.
        """
        try:
            target = path / self._file_name(artifact) if path.is_dir() else path
            target.parent.mkdir(parents=True, exist_ok=True)
            codec = self._codec(artifact)
            if codec is self._tree:
                return self._tree.export_parts(self._tree.peek(self._bytes(artifact)), target, self.export)
            return codec.export(self.load(artifact), target)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}") from error

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was writing when it died."""
        self._blobs.discard(process)
        self._files.discard(process)

    def split(self, argument: Argument) -> list[Argument] | None:
        """The elements of a list or tuple that are stored apart; None if it has to be loaded to get at them."""
        if isinstance(argument, Collection):
            return list(argument.items) if argument.kind in _KINDS else None
        peeked = self._peek(argument)
        if type(peeked) is Leaf:
            return None if peeked.argument == argument else self.split(peeked.argument)
        if type(peeked) not in (list, tuple) or not any(type(part) is Leaf for part in peeked):
            return None
        return [self._stored(part) for part in peeked]

    def plain(self, artifact: Artifact) -> tuple[bool, Any]:
        """Whether an artifact is small JSON-able data, and if so, its value as JSON has it."""
        if artifact.payload is None or artifact.codec not in ("data", "tree", "scalar", "path"):
            return False, None
        try:
            value = self._tree.peek(artifact.payload) if artifact.codec == "tree" else self.load(artifact)
            if (summary := getattr(cast(Any, type(value)), SUMMARY, None)) is not None:
                value = summary(value, self._taken)
            return True, jsonable(value.item() if artifact.codec == "scalar" else value)
        except (NotJsonable, NotFoundError):
            # the class of a part may not be importable where somebody only looks
            return False, None

    def _taken(self, part: Any) -> int | None:
        """How many bytes there are in a file or folder that stands in a peeked tree; None for anything else."""
        artifact = part.argument if type(part) is Leaf else None
        if not isinstance(artifact, Artifact) or artifact.codec != "file":
            return None
        return manifest_of(self._bytes(artifact)).size

    def addresses(self, artifact: Artifact) -> Iterator[bytes]:
        """The addresses of all blobs that an artifact needs, those of its parts included."""
        if artifact.blob is not None:
            yield artifact.blob
        if artifact.codec == "tree":
            for leaf in self._tree.leaves(self._bytes(artifact)):
                yield from self.addresses(leaf)
        elif artifact.codec == "file":
            entries = manifest_of(self._bytes(artifact)).entries
            yield from (entry.address for entry in entries if entry.address is not None)

    def sound_among(self, artifacts: Iterable[Artifact]) -> set[bytes]:
        """The blobs of artifacts that are there as they were written; of their parts nothing is said."""
        blobs = {artifact.blob for artifact in artifacts if artifact.blob is not None}
        return self._blobs.sound_among(blobs) if blobs else blobs

    def available(self, artifact: Artifact, sound: Set[bytes] = frozenset()) -> bool:
        """Whether all the bytes of an artifact, those of its parts included, are there as they were written. Of the blobs
        in `sound` that is known."""
        if artifact.blob is None:
            if artifact.codec == "data":
                return True
        elif artifact.blob not in sound and not self._blobs.sound(artifact.blob):
            return False
        try:
            return all(address == artifact.blob or self._blobs.sound(address) for address in self.addresses(artifact))
        except StoreError:
            # that of a part which says what it consists of
            return False

    def pickled(self, artifact: Artifact) -> Artifact | None:
        """The part of an artifact, itself included, that is stored by pickle; None where there is none."""
        if artifact.codec == "tree":
            parts = (self.pickled(leaf) for leaf in self._tree.leaves(self._bytes(artifact)))
            return next((part for part in parts if part is not None), None)
        if artifact.codec == "frame":
            return artifact if is_pickled(self._bytes(artifact)) else None
        return artifact if artifact.codec in _PICKLED else None

    def sealed(self, pickled: bytes) -> bytes | None:
        """A pickle of something else than a value, signed; None where there is no key to sign it with."""
        try:
            return self.trust.seal(pickled)
        except UntrustedError:
            return None

    def note(self, text: str) -> None:
        """Add to what the user should be told."""
        self._notices.append(text)

    def take_notices(self) -> list[str]:
        """What the user should be told, once, since this was last asked."""
        if not self._notices:
            return []
        taken = list(self._notices)
        self._notices.clear()
        return taken

    def _store_other(self, value: Any, output: bool) -> tuple[Artifact, Description | None]:
        if type(value) is Leaf and isinstance(value.argument, Artifact):
            return value.argument, None
        codec = self._family(value, output)
        around, self._odd = self._odd, None
        try:
            encoded = self._tree.encode(value, output=output) if codec is self._tree else codec.encode(value)
        except NotPlain:
            # A tree that contains itself.
            codec = self._objects
            encoded = codec.encode(value)
        artifact, description = self._put(codec, encoded, value)
        if encoded.digest is None and codec.name in self._codecs:
            self._odd = type_name(type(value))
        if self._odd is not None:
            self._note_unhashed(self._odd, artifact, output)
        self._odd = self._odd or around
        return artifact, description

    def _note_unhashed(self, kind: str, artifact: Artifact, output: bool) -> None:
        if not output:
            self.unhashed[artifact.digest] = kind
        elif kind not in self._told:
            self._told.add(kind)
            self._notices.append(
                f"values of type {kind} have no digest that stays the same, so that what takes this result runs again "
                "whenever this task does: return plain data, or an object of a class that can be imported"
            )

    def _store_leaf(self, value: Any, output: bool) -> Artifact:
        return self.store(value, output=output)[0]

    def _family(self, value: Any, output: bool) -> Codec:
        if isinstance(value, Path):
            return self._files if output else self._references
        for codec in self._families:
            if codec.accepts(value):
                return codec
        if self._data.accepts(value):
            return self._data
        if self._tree.accepts(value):
            return self._tree
        return self._extensions.accepting(value) or self._objects

    def _put(self, codec: Codec, encoded: Encoded, value: Any) -> tuple[Artifact, Description | None]:
        artifact = self._at_hand(encoded) or self._written(codec, encoded, value)
        if artifact.blob is None:
            return artifact, None
        self._remember(artifact)
        return artifact, Description(artifact.digest, masking.masked(encoded.preview or codec.preview(value)))

    def _written(self, codec: Codec, encoded: Encoded, value: Any) -> Artifact:
        look = None if self._sieve is None else self._look_at
        with Spool(self._blobs, self._limit, look) as spool:
            if callable(encoded.content):
                encoded.content(spool)
            else:
                for piece in encoded.content:
                    spool.write(piece)
            payload, blob, content = spool.finish()
        known = encoded.digest or digest(codec.name, content)
        size = spool.size + encoded.apart
        return Artifact(codec.name, type_name(type(value)), known, size, payload, blob, encoded.classes)

    def _at_hand(self, encoded: Encoded) -> Artifact | None:
        """The artifact of an equal value that passed through here: a frame handed on is not written again."""
        artifact = self._recent.get(encoded.digest) if encoded.digest is not None else None
        if artifact is None or artifact.classes != encoded.classes:
            # an older penstock did not tell the classes
            return None
        return artifact if self._blobs.sound(cast(bytes, artifact.blob)) else None

    def _remember(self, artifact: Artifact) -> None:
        self._recent[artifact.digest] = artifact
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _codec(self, artifact: Artifact) -> Codec:
        codec = self._codecs.get(artifact.codec) or self._extensions.named(artifact.codec)
        if codec is None:
            raise StoreError(
                f"there is no codec {artifact.codec} here to read a value of type {artifact.type}",
                remedy="Install the package that stored it (one with an entry point in the group penstock.values).",
            )
        return codec

    def _bytes(self, artifact: Artifact) -> memoryview:
        if artifact.payload is not None:
            return memoryview(bytearray(artifact.payload))
        return self._blobs.read(cast(bytes, artifact.blob))

    def _load_composed(self, argument: Argument) -> Any:
        if isinstance(argument, Collection):
            items = [self.load(item) for item in argument.items]
            return (
                dict(zip(argument.keys, items, strict=True))
                if argument.kind == "dict"
                else _KINDS[argument.kind](items)
            )
        if isinstance(argument, Record):
            items = [self.load(item) for item in argument.items]
            return build(locate(argument.type), dict(zip(argument.names, items, strict=True)))
        peeked = self._peek(argument)
        if type(peeked) is not Leaf:
            return self._tree.complete(peeked)
        found: Argument = peeked.argument
        if isinstance(found, Selection):
            whole = self.load(found.of)
            return part_of(whole, found.key, found.attribute)
        return self.load(found)

    def _digest_collection(self, collection: Collection) -> bytes:
        parts = [self.digest(item) for item in collection.items]
        if collection.kind != "dict":
            return digest(collection.kind, *parts)
        return digest(
            "dict",
            *[
                part
                for key, value in sorted(zip(collection.keys, parts, strict=True))
                for part in (key.encode(), value)
            ],
        )

    def _digest_part(self, selection: Selection) -> bytes:
        peeked = self._peek(selection)
        if type(peeked) is not Leaf:
            return self._tree.digest(peeked)
        found: Argument = peeked.argument
        if isinstance(found, Selection):
            return digest("part", self.digest(found.of), frame([found.key, found.attribute]))
        return self.digest(found)

    def _classes_of_part(self, selection: Selection) -> set[str]:
        peeked = self._peek(selection)
        if type(peeked) is not Leaf:
            return self._tree.classes(peeked)
        found: Argument = peeked.argument
        return self.classes(found.of if isinstance(found, Selection) else found)

    def _peek(self, argument: Argument) -> Any:
        """The value with what is stored apart left there; a leaf if nothing of it can be seen without loading it."""
        if isinstance(argument, Artifact):
            if argument.codec == "tree":
                return self._tree.peek(self._bytes(argument))
            return self._unpack(self._bytes(argument)) if argument.codec == "data" else Leaf(argument)
        if isinstance(argument, Collection):
            leaves = [Leaf(item) for item in argument.items]
            return (
                dict(zip(argument.keys, leaves, strict=True))
                if argument.kind == "dict"
                else _KINDS[argument.kind](leaves)
            )
        if isinstance(argument, Record):
            return Leaf(argument)
        return self._peek_part(argument)

    def _peek_part(self, selection: Selection) -> Any:
        if isinstance(selection.of, Record):
            return self._peek_field(selection.of, selection)
        whole: Any = self._peek(selection.of)
        if isinstance(whole, Leaf):
            inner = whole.argument
            return (
                Leaf(selection)
                if inner == selection.of
                else self._peek_part(Selection(inner, selection.key, selection.attribute))
            )
        if not selection.attribute or has_entry(whole, selection.key):
            return whole[selection.key]
        # What is computed by a property needs the whole value.
        return getattr(whole, str(selection.key)) if has_field(whole, str(selection.key)) else Leaf(selection)

    def _peek_field(self, record: Record, selection: Selection) -> Any:
        if isinstance(selection.key, int):
            return Leaf(record.items[selection.key])
        if selection.key in record.names:
            return Leaf(record.items[record.names.index(selection.key)])
        return Leaf(selection)

    def _stored(self, part: Any) -> Argument:
        return part.argument if type(part) is Leaf else self.store(part)[0]

    def _file_name(self, artifact: Artifact) -> str:
        if artifact.codec == "file":
            return manifest_of(self._bytes(artifact)).name
        if artifact.codec == "path":
            return cast(Path, self.load(artifact)).name
        return artifact.type.rpartition(".")[2].lower()


__all__ = ["Values"]
