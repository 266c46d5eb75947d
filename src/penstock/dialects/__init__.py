"""Other systems' ways of writing a pipeline: each dialect reads files into penstock's own form, and writes it out again.

A dialect is a `Dialect`, found by the entry point group `penstock.dialects`, so that other packages can add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.authoring.options.settings import Settings
    from penstock.authoring.pipeline import Composition, Definition
    from penstock.authoring.triggers.trigger import Trigger
    from penstock.model.graph import Graph, Ignored
    from penstock.model.trigger import Trigger as TriggerNoun

#: module of the other system -> name in it -> what stands for it here, as `module:name`
Vocabulary = Mapping[str, Mapping[str, str]]


class Maker(Protocol):
    """Makes a pipeline that can be run of a function that composes tasks."""

    def __call__(
        self,
        function: Callable[..., Any],
        name: str,
        settings: Settings | None = None,
        ignored: tuple[Ignored, ...] = (),
    ) -> Composition[..., Any]: ...


class Reading(NamedTuple):
    """What a file in a dialect defines, by the names under which `FILE:NAME` finds it."""

    pipelines: Mapping[str, Composition[..., Any]]
    #: what starts them, by the time or by events
    triggers: Mapping[str, Trigger] = {}
    #: the one of several pipelines that is meant where none is named; empty where that is not to be told
    main: str = ""
    #: what to do about a file that defines none, where it can be told
    remedy: str = ""


class Export(NamedTuple):
    """What is to be written."""

    definition: Definition
    #: what starts it
    triggers: tuple[TriggerNoun, ...] = ()
    #: the stem of the file that it is written to; empty for none
    stem: str = ""
    #: whether what cannot be written is left for a person to finish, graded `opaque`, rather than being an error. Only
    #: penstock's own dialect does so
    draft: bool = False

    def whole(self) -> Graph:
        """The graph. Raises DefinitionError, with the line, for one of which a part appears only while it runs."""
        graph = self.definition.graph
        if graph.dynamic_at is not None:
            raise DefinitionError(
                f"what {graph.name} does from here on depends on the value of something that has yet to run, so that no "
                "file could hold it",
                where=str(graph.dynamic_at),
                remedy="Keep the choice in the graph: when(...) for an if, .map(...) for a loop over what a task returns.",
            )
        return graph


#: how well a node is written: it says the same; another construct does the same; it does not quite do the same; it is
#: carried along as it stands, and only the system that it came from can run it
Grade = Literal["exact", "equivalent", "changed", "opaque"]


class Account(NamedTuple):
    """How a node, or something that belongs to the whole pipeline (then without one), was written."""

    node: str
    grade: Grade
    #: which construct it became, or what is different
    how: str = ""


class Written(NamedTuple):
    """A pipeline in a dialect."""

    text: str
    accounts: tuple[Account, ...]
    #: files that belong beside it, by their names
    files: Mapping[str, str] = {}
    #: it has the text of the body, with all that the body decides by its parameters, rather than a graph
    verbatim: bool = False


class Dialect(NamedTuple):
    """A way of writing pipelines."""

    #: what options call it
    name: str
    #: what people call the system: `Apache Airflow`
    title: str
    #: the system's top-level modules: a Python file that imports one of them is in this dialect
    roots: tuple[str, ...] = ()
    #: what stands for the names in the system's modules while a file in the dialect is loaded
    vocabulary: Callable[[], Vocabulary] = dict
    #: what stands for a name that `vocabulary` does not have, by its module and itself; None for an error
    missing: Callable[[str, str], Any] | None = None
    #: whether a file of data (not of Python) with this text is in the dialect
    claims: Callable[[str], bool] | None = None
    #: fills the module that stands for a file of data
    execute: Callable[[ModuleType], None] | None = None
    #: what a loaded file defines; None for a dialect that is only written
    read: Callable[[ModuleType, Maker], Reading] | None = None
    #: the function of a task that cannot be had from its module by its qualified name (see `Task.reference`)
    find: Callable[[ModuleType, str], Callable[..., Any]] | None = None
    #: None for a dialect that is only read
    write: Callable[[Export], Written] | None = None
    #: libraries that its files import, and that come with the extra of its name
    libraries: tuple[str, ...] = ()
    #: top-level modules that the system brings along: where they are not installed, `vocabulary` and `missing` are asked for
    #: their names as well
    companions: tuple[str, ...] = ()
    #: the folders in which a file finds modules besides its own
    folders: Callable[[Path], Iterable[Path]] | None = None


__all__ = ["Account", "Dialect", "Export", "Grade", "Maker", "Reading", "Vocabulary", "Written"]
