"""What fingerprints are made of, and how they are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from penstock.authoring.options.caching import CacheKey
from penstock.errors import DefinitionError, OutputError
from penstock.fingerprint.framing import digest, frame
from penstock.kernel.state import NodeProgress
from penstock.model.action import Environment
from penstock.model.graph import Graph, Node
from penstock.model.policy import Caching, Policy
from penstock.model.value import Argument
from penstock.runtime.driving.contents import CodeOf, Contents
from penstock.runtime.inputs.resolve import Resolver
from penstock.values import Values

#: how many bytes of a fingerprint are its task's
_PLACE = 4


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that makes two computations the same."""

    #: digest of the task's `TaskIdentity`
    identity: bytes
    #: the Python environment that the task declares
    environment: Environment | None = None
    #: a text of the author's
    version: str = ""
    #: file or folder that the task declares -> digest of its content. What they are called does not count, their order
    #: does
    files: dict[str, bytes] = {}
    #: input -> digest of its value, and of the code in it, of those that count
    inputs: dict[str, bytes] = {}
    #: digest of what the author's function makes of the inputs, which counts in their place
    keyed: bytes | None = None

    def fingerprint(self) -> bytes:
        """The 32 bytes that stand for all of it."""
        if self.keyed is not None:
            return _placed(self.base(None), self.keyed)
        names = sorted(self.inputs)
        return _placed(self.base(names), *[self.inputs[name] for name in names])

    def base(self, names: Iterable[str] | None) -> bytes:
        """The digest of all but the values of the inputs; of these, of the sorted names (None where a function of the
        author's takes their place)."""
        environment = None if self.environment is None else msgspec.msgpack.encode(self.environment)
        listed = None if names is None else list(names)
        return digest("task", frame([self.identity, environment, self.version, list(self.files.values()), listed]))


def _placed(base: bytes, *inputs: bytes) -> bytes:
    """The fingerprint of an attempt, from what its task and its inputs come to.

    It begins as that of the task does. So what is made together lies together in the cache, and a fan-out touches as many
    pages of it as it fills, however much there is besides.
    """
    return base[:_PLACE] + digest("attempt", base, *inputs)[:-_PLACE]


def counted(caching: Caching, inputs: Iterable[str]) -> list[str]:
    """The names of the inputs that count, sorted."""
    if caching.keyed:
        return []
    return sorted(set(inputs).difference(caching.ignored) if caching.ignored else inputs)


def versioned(policy: Policy) -> str:
    """The author's version, and where the secrets come from that are in the task's environment; not what they are."""
    if not policy.secrets:
        return policy.caching.version
    return msgspec.json.encode([policy.caching.version, sorted(policy.secrets.items())]).decode()


def check_files(graph: Graph) -> None:
    """Raise DefinitionError for a declared file that is not there, though nothing runs before the node that reads it."""
    for node in graph.nodes:
        caching = node.policy.caching
        if not (caching.reads and node.policy.cache) or node.guard is not None or node.upstream():
            continue
        missing = next((file for file in caching.reads if not Path(file).exists()), None)
        if missing is not None:
            raise DefinitionError(
                f"{node.id} reads {missing}, and there is no such file or folder",
                where=str(node.location),
                remedy="Put it there, or name another one in reads=.",
            )


class Recipe:
    """How the fingerprints of all instances and items of a node are made."""

    __slots__ = ("_base", "_count", "_digest_of", "_order", "_whole", "bases", "composition", "fixed", "node", "plain")

    def __init__(
        self,
        node: Node,
        composition: Composition,
        fixed: Mapping[str, bytes],
        varying: Iterable[str],
        digest_of: Callable[[Argument], bytes],
        bases: dict[tuple[str, ...], bytes],
    ) -> None:
        self.node = node
        #: without inputs and files
        self.composition = composition
        #: digests of the inputs that are the same everywhere
        self.fixed = fixed
        #: names of the inputs -> what all that have these inputs have in common
        self.bases = bases
        caching = node.policy.caching
        #: whether nothing but the inputs varies
        self.plain = not (caching.keyed or caching.reads or caching.ignored)
        self._digest_of = digest_of
        varying = tuple(varying)
        names = tuple(sorted((*fixed, *varying)))
        self._count = len(varying)
        self._base = self._base_of(names) if self.plain else b""
        self._order = [fixed.get(name, name) for name in names]
        self._whole = None if varying or not self.plain else _placed(self._base, *[fixed[name] for name in names])

    def fingerprint(self, inputs: Mapping[str, Argument]) -> bytes:
        """That of an attempt, from its inputs that vary; of a plain recipe."""
        if len(inputs) != self._count:
            return self._spread(inputs)
        if self._whole is not None:
            return self._whole
        of = self._digest_of
        parts = [of(inputs[part]) if type(part) is str else part for part in self._order]
        return _placed(self._base, *parts)  # pyright: ignore[reportArgumentType]

    def _spread(self, inputs: Mapping[str, Argument]) -> bytes:
        """That of an item whose element is spread over inputs."""
        digests = {**self.fixed, **{name: self._digest_of(argument) for name, argument in inputs.items()}}
        names = tuple(sorted(digests))
        return _placed(self._base_of(names), *[digests[name] for name in names])

    def _base_of(self, names: tuple[str, ...]) -> bytes:
        known = self.bases.get(names)
        if known is None:
            known = self.bases[names] = self.composition.base(names)
        return known


class Fingerprints:
    """Makes the fingerprints of a run. `key_of` gives the cache key of a node, `code_of` the code of classes in values."""

    def __init__(
        self, values: Values, resolver: Resolver, key_of: Callable[[NodeProgress], CacheKey], code_of: CodeOf
    ) -> None:
        self._values = values
        self._resolver = resolver
        self._key_of = key_of
        self.contents = Contents(values, code_of)
        #: by task: names of inputs -> what plain recipes with these have in common
        self._bases: dict[str, dict[tuple[str, ...], bytes]] = {}
        #: the digests of declared files, by the node, or the instance of it, that was reached
        self._files: dict[str, dict[str, bytes]] = {}
        #: declared files with their digests, since they were last taken
        self.read: dict[str, bytes] = {}
        #: nodes and inputs that were told of
        self._told: set[tuple[str, str]] = set()

    def recipe(
        self,
        node: Node,
        identity: bytes,
        environment: Environment | None,
        fixed: Mapping[str, Argument],
        varying: Iterable[str],
    ) -> Recipe:
        """How the fingerprints of a node are made."""
        version = versioned(node.policy)
        composition = Composition(identity=identity, environment=environment, version=version)
        bases = {} if version else self._bases.setdefault(node.task, {})
        of = self.contents.digest
        return Recipe(node, composition, {name: of(value) for name, value in fixed.items()}, varying, of, bases)

    def of(
        self, progress: NodeProgress, recipe: Recipe, fixed: Mapping[str, Argument], inputs: Mapping[str, Argument]
    ) -> bytes | None:
        """The fingerprint of an attempt, with its inputs that are the same everywhere and those that vary; None where
        one that counts cannot be hashed. Raises what the author's key function raises, and OutputError for a declared
        file that is not there."""
        caching = recipe.node.policy.caching
        given = {**fixed, **inputs}
        names = counted(caching, given)
        if self._values.unhashed and not self._hashable(progress, given, names):
            return None
        return self._composition(progress, recipe, given, names).fingerprint()

    def _composition(
        self, progress: NodeProgress, recipe: Recipe, given: Mapping[str, Argument], names: Iterable[str]
    ) -> Composition:
        caching = recipe.node.policy.caching
        return msgspec.structs.replace(
            recipe.composition,
            files=self._files_of(progress, caching),
            inputs={name: self.contents.digest(given[name]) for name in names},
            keyed=self._keyed(progress, given) if caching.keyed else None,
        )

    def take_read(self) -> dict[str, bytes]:
        """The declared files that were read, with their digests, since this was last asked."""
        taken, self.read = self.read, {}
        return taken

    def _keyed(self, progress: NodeProgress, given: Mapping[str, Argument]) -> bytes:
        key = self._key_of(progress)
        found = key({name: self._resolver.load(given[name]) for name in key.wanted(given)})
        try:
            return self._values.digest(self._resolver.stored(found))
        except OutputError as error:
            raise OutputError(
                f"what the cache_key of {progress.id} returned cannot be hashed: {error.what}",
                where=str(progress.node.location),
                remedy="Return plain data: numbers, texts, and lists, tuples and dicts of them.",
            ) from None

    def _files_of(self, progress: NodeProgress, caching: Caching) -> dict[str, bytes]:
        """The digests of the files that a node declares, as they are when an instance of it is first reached."""
        if not caching.reads:
            return {}
        known = self._files.get(progress.id)
        if known is None:
            known = {file: self._content(progress, file) for file in caching.reads}
            self._files[progress.id] = known
            self.read.update(known)
        return known

    def _content(self, progress: NodeProgress, file: str) -> bytes:
        try:
            return self._values.content(Path(file))
        except OSError as error:
            raise OutputError(
                f"{progress.id} reads {file}, which cannot be read: {error.strerror or error}",
                where=str(progress.node.location),
                remedy="Put it there, or name another file in reads=.",
            ) from None

    def _hashable(self, progress: NodeProgress, given: Mapping[str, Argument], names: Iterable[str]) -> bool:
        """Whether all inputs that count have a digest that is the same in every run; says so where one has none."""
        for name in names:
            kind = self._values.unhashable(given[name])
            if kind is None:
                continue
            if (progress.node.id, name) not in self._told:
                self._told.add((progress.node.id, name))
                self._values.note(
                    f"{progress.node.id} runs uncached: its input {name!r}, with a {kind} in it, cannot be hashed. Pass "
                    f"plain data instead, say what counts (cache_key=), or leave it out (cache_ignore=[{name!r}])"
                )
            return False
        return True
