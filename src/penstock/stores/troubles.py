"""What goes wrong with a PostgreSQL server, as a StoreError with a remedy. No message has a password in it."""

from __future__ import annotations

import zlib

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from penstock.errors import StoreError, StoreGoneError
from penstock.stores.sessions import LOCKED

_FORM = "It is written postgresql://USER@HOST:5432/DATABASE; in a password, / is %2F, @ is %40 and % is %25."
_DENIED = (
    "Let an administrator of the database say: GRANT CREATE ON DATABASE {database} TO {user}; where the schema is there"
    " already: GRANT ALL ON SCHEMA penstock, GRANT ALL ON ALL TABLES IN SCHEMA penstock TO {user}."
)
_GONE = "Start the server, or mend the way to it, and go on: penstock resume RUN."
_REMEDIES = {
    "42501": _DENIED,
    "53100": "Free some space on the disk of the server, and go on: penstock resume RUN.",
    "55P03": "End that process, or try again.",
    "25006": "Name the server that can be written: that a store is in cannot be a copy of it.",
}
#: what a server says that does not let us in -> what to do
_REFUSALS = {
    "password": "Give the right password: in the address, with PGPASSWORD, or in ~/.pgpass.",
    "pg_hba.conf": "Let an administrator of the server allow it in its pg_hba.conf.",
    "role ": "Name another user in the address, or make that one: createuser {user}.",
    "database ": "Name another database in the address, or make that one: createdb {database}.",
    "connection slots": "Let others end, or raise max_connections of the server: each run takes two connections.",
    "too many clients": "Let others end, or raise max_connections of the server: each run takes two connections.",
}


def place_of(address: str) -> str:
    """What messages call the database at an address: without user and password. Raises StoreError for an address that is
    none."""
    unreadable = StoreError("the address of the store cannot be read", remedy=_FORM)
    try:
        parts = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        # its own words have the whole address in them
        raise unreadable from None
    host, port = parts.get("host") or parts.get("hostaddr") or "", str(parts.get("port") or "")
    if not port.replace(",", "").isdigit() and port:
        # a password with a slash in it
        raise unreadable
    service = f"?service={parts['service']}" if "service" in parts else ""
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname') or ''}{service}"


class Troubles:
    """Within, what goes wrong with the database at an address is raised as a StoreError that says what could not be
    done."""

    __slots__ = ("_address", "_patience", "_place", "_verb")

    def __init__(self, address: str, place: str, verb: str, patience: float) -> None:
        self._address = address
        self._place = place
        self._verb = verb
        self._patience = patience

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        failed = f"cannot {self._verb} {self._place}"
        if isinstance(error, psycopg.Error):
            reason, remedy = self._explained(error)
            raised = StoreGoneError if remedy == _GONE else StoreError
            raise raised(f"{failed}: {reason}", remedy=remedy and self._named(remedy)) from error
        if isinstance(error, (msgspec.MsgspecError, zlib.error, ValueError, TypeError, OverflowError)):
            raise StoreError(f"{failed}: {error}") from error

    def _explained(self, error: psycopg.Error) -> tuple[str, str | None]:
        said = error.diag.message_primary or str(error).strip()
        if error.sqlstate == "55P03":
            return f"another process has it locked for {LOCKED:g} s", _REMEDIES["55P03"]
        if error.sqlstate in _REMEDIES:
            return said, _REMEDIES[error.sqlstate]
        if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            for words, remedy in _REFUSALS.items():
                if words in said.partition("FATAL:")[2]:
                    return said, remedy
            waited = f"there was no connection for {self._patience:g} s: " if self._patience else ""
            return f"{waited}{said}", _GONE if self._patience else f"Is the server up, and the address right? {_FORM}"
        return said, None

    def _named(self, remedy: str) -> str:
        parts = conninfo_to_dict(self._address)
        user = parts.get("user") or "USER"
        return remedy.format(user=user, database=parts.get("dbname") or user)


__all__ = ["Troubles", "place_of"]
