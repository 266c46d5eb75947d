"""Every exception that penstock raises.

    PenstockError
    ├── DefinitionError          the pipeline is wrong; nothing has run
    │   ├── ParameterError       the values given to a pipeline are wrong
    │   └── TargetError          what was named cannot be loaded as a pipeline
    ├── NotFoundError            no such run, node or artifact
    ├── RunFailedError           a run ended in failure and no task's own exception can be raised
    │   ├── WorkerLostError      the process of an attempt died
    │   └── OutputError          a task returned what it did not declare
    ├── CancelledError           the run was stopped before its end
    └── StoreError               what is recorded cannot be read or written
        ├── ArtifactMissingError an artifact's bytes are gone
        ├── ArtifactDamagedError an artifact's bytes are not what was written
        └── SchemaError          the store was written by a newer penstock

A subclass exists only where a caller would act differently.
"""

from __future__ import annotations


class PenstockError(Exception):
    """The root of all of penstock's own exceptions.

    `what` says what happened, `where` is the place in the user's code (`file:line`), `remedy` what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(kind: type[PenstockError], what: str, where: str | None, remedy: str | None) -> PenstockError:
    return kind(what, where=where, remedy=remedy)


class DefinitionError(PenstockError):
    """The pipeline is wrong as written; raised before anything runs."""


class ParameterError(DefinitionError):
    """Parameters are unknown, missing or of the wrong type; one message names everything that is wrong."""


class TargetError(DefinitionError):
    """A target (file, module, name) does not exist, does not load, or does not name one pipeline."""


class NotFoundError(PenstockError):
    """No run, node or artifact goes by the name that was given."""


class RunFailedError(PenstockError):
    """A run failed; raised where no task's own exception can be raised instead."""


class WorkerLostError(RunFailedError):
    """The process that ran an attempt died before it could report."""


class OutputError(RunFailedError):
    """A task returned a value that does not match its declared outputs."""


class CancelledError(PenstockError):
    """The run was cancelled or interrupted before its end."""


class StoreError(PenstockError):
    """The store or the blobs cannot be read or written."""


class ArtifactMissingError(StoreError):
    """The bytes of an artifact are no longer there."""


class ArtifactDamagedError(StoreError):
    """The bytes of an artifact do not have the digest under which they were stored."""


class SchemaError(StoreError):
    """The store has a newer schema than this penstock knows; it was left untouched."""
