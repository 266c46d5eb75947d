"""Every exception that penstock raises.

    PenstockError
    ├── DefinitionError          the pipeline is wrong; nothing has run
    │   ├── ParameterError       the values given to a pipeline are wrong
    │   ├── TargetError          what was named cannot be loaded as a pipeline
    │   └── NotCoveredError      a file written for another system uses what has no counterpart here
    ├── NotFoundError            no such run, node or artifact
    ├── RunFailedError           a run ended in failure and no task's own exception can be raised
    │   ├── WorkerLostError      the process of an attempt died
    │   ├── TaskTimeoutError     an attempt, or a node in all, took longer than it may
    │   ├── OutOfMemoryError     an attempt needed more memory than it may have, or than there is
    │   ├── CommandError         a command ended with an exit code that means failure
    │   ├── OutputError          a task returned what it did not declare
    │   ├── SecretError          a secret is missing, or would get to where it must not
    │   └── SkippedError         the value of a task that was skipped is needed
    ├── NondeterministicError    the body of a pipeline did something else when it was replayed
    ├── CancelledError           the run was stopped before its end
    └── StoreError               what is recorded cannot be read or written
        ├── ArtifactMissingError an artifact's bytes are gone
        ├── ArtifactDamagedError an artifact's bytes are not what was written
        ├── LibraryMissingError  a library that a value needs is not installed here
        ├── UntrustedError       a pickle was not written by a trusted key, and is not loaded
        ├── SchemaError          the store was written by a newer penstock
        └── LeaseLostError       another process drives the run by now

A subclass exists only where a caller would act differently. Apart from these there are the signals that a task may
raise to say how its attempt is to be taken: Skip, Fail and Retry.
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


class NotCoveredError(DefinitionError, ImportError):
    """A file that is written for another system uses something of it that penstock has no counterpart of. It is an
    ImportError as well, so that a file may import such a thing where it is there, and do without elsewhere."""


class NotFoundError(PenstockError):
    """No run, node or artifact goes by the name that was given."""


class RunFailedError(PenstockError):
    """A run failed; raised where no task's own exception can be raised instead."""


class WorkerLostError(RunFailedError):
    """The process that ran an attempt died before it could report."""


class CommandError(RunFailedError):
    """A command could not be started, or ended with an exit code that means failure.

    `exit_code` is negative for the signal that ended it; 127 if there is no such program, 126 if it cannot be run.
    """

    def __init__(self, what: str, *, exit_code: int = 1, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_command, (self.what, self.exit_code, self.where, self.remedy))


def _rebuild_command(what: str, exit_code: int, where: str | None, remedy: str | None) -> CommandError:
    return CommandError(what, exit_code=exit_code, where=where, remedy=remedy)


class OutputError(RunFailedError):
    """A task returned a value that does not match its declared outputs."""


class TaskTimeoutError(RunFailedError):
    """An attempt, or all attempts of a node together, took longer than allowed."""


class OutOfMemoryError(RunFailedError):
    """An attempt needed more memory than it was allowed, or than the machine has."""


class SecretError(RunFailedError):
    """A secret cannot be read, or would get to where others can read it. Attempts that raise it are not repeated."""


class SkippedError(RunFailedError):
    """The value of a task that was skipped is needed in the body of a pipeline."""


class NondeterministicError(PenstockError):
    """The body of a pipeline, replayed, did not call the same tasks in the same order as it had before."""


class CancelledError(PenstockError):
    """The run was cancelled or interrupted before its end."""


class StoreError(PenstockError):
    """The store or the blobs cannot be read or written."""


class ArtifactMissingError(StoreError):
    """The bytes of an artifact are no longer there."""


class ArtifactDamagedError(StoreError):
    """The bytes of an artifact do not have the digest under which they were stored."""


class LibraryMissingError(StoreError, ImportError):
    """A library that a value needs is not installed where it is stored or loaded."""


class UntrustedError(StoreError):
    """A pickle was not signed with a trusted key, and was not loaded. Attempts that raise it are not repeated."""


class SchemaError(StoreError):
    """The store has a newer schema than this penstock knows; it was left untouched."""


class StoreGoneError(StoreError):
    """The server that the store is on could not be reached for as long as it is waited for."""


class LeaseLostError(StoreError):
    """Another process drives the run by now; what this one had to record was refused."""


class Signal(Exception):
    """The root of what a task raises to say how its attempt is to be taken."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


class Skip(Signal):
    """Raised by a task: there is nothing to do; skip it, and what depends on it by its join rule."""


class Fail(Signal):
    """Raised by a task: it has failed for good; do not repeat the attempt."""


class Retry(Signal):
    """Raised by a task: repeat the attempt, `after` seconds (None: as the policy says), within the retries that are
    allowed."""

    def __init__(self, why: str = "", *, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after

    def __reduce__(self) -> tuple[object, ...]:
        return (_retry, (self.why, self.after))


def _retry(why: str, after: float | None) -> Retry:
    return Retry(why, after=after)
