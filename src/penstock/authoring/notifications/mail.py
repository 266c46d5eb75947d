"""Messages that go out by e-mail."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from penstock.authoring.notifications.message import check_text, filled, revealed, summary, told
from penstock.authoring.notifications.web import Undelivered
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from smtplib import SMTP

#: names the server where a message does not: `smtp://user:password@host:587`
VARIABLE = "PENSTOCK_SMTP"
_SCHEMES = ("smtp", "smtps")
#: hosts to which a password may go in clear
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Sends an e-mail by an SMTP server."""

    to: tuple[str, ...]
    sender: str = ""
    subject: str = ""
    text: str = ""
    #: `smtp://user:password@host:587` (with STARTTLS where the server has it, and to another machine with a password only
    #: so) or `smtps://`, or a reference to a secret with it; empty: what the variable PENSTOCK_SMTP says, or the server of this machine
    server: str = ""
    timeout: float = 30.0
    __name__ = "email"

    def __call__(self, context: Any) -> None:
        from email.message import EmailMessage

        message = EmailMessage()
        message["To"] = ", ".join(self.to)
        message["From"] = self.sender or f"penstock@{_host_name()}"
        message["Subject"] = " ".join((filled(self.subject, context) if self.subject else summary(context)).split())
        message.set_content(filled(self.text, context) if self.text else _text(context))
        _deliver(message, revealed(self.server or os.environ.get(VARIABLE, "smtp://localhost")), self.timeout)


def email(
    to: str | Iterable[str],
    *,
    sender: str = "",
    subject: str = "",
    text: str = "",
    server: str = "",
    timeout: float = 30.0,
) -> Mail:
    """An e-mail to one address or several. `subject` and `text` have places such as `{summary}`, `{pipeline}`. Raises
    DefinitionError for what is no address."""
    receivers = tuple(each.strip() for each in ([to] if isinstance(to, str) else to))
    wrong = next((each for each in (*receivers, *filter(None, [sender])) if "@" not in each or "\n" in each), None)
    if wrong is not None or not receivers:
        raise DefinitionError(f"{wrong!r} is no e-mail address" if receivers else "an e-mail needs somebody to go to")
    check_text(subject, "subject")
    check_text(text, "text")
    if "://" in server and urlsplit(server).scheme not in _SCHEMES:
        raise DefinitionError(f"an e-mail goes out by smtp:// or smtps://, not {urlsplit(server).scheme}://")
    return Mail(to=receivers, sender=sender, subject=subject, text=text, server=server, timeout=timeout)


def _host_name() -> str:
    import socket

    return socket.getfqdn() or "localhost"


def _text(context: Any) -> str:
    lines = [
        f"{name}: {value}"
        for name, value in told(context).items()
        if value not in (None, "", 0, 0.0) and name != "summary"
    ]
    return "\n".join([summary(context), "", *lines, ""])


def _deliver(message: Any, server: str, timeout: float) -> None:
    import smtplib
    import ssl

    url = urlsplit(server if "://" in server else f"smtp://{server}")
    host = url.hostname or "localhost"
    try:
        with _connected(url, host, timeout) as client:
            if url.username:
                client.login(unquote(url.username), unquote(url.password or ""))
            client.send_message(message)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise Undelivered(f"the e-mail server {host} did not take the message: {error.smtp_code} {text}") from None
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(
            f"the certificate of the e-mail server {host} is not trusted: {error.verify_message}. Name the file with the "
            "certificate of who signed it in the variable SSL_CERT_FILE"
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise Undelivered(f"the e-mail server {host} did not take the message: {error}") from None


@contextmanager
def _connected(url: SplitResult, host: str, timeout: float) -> Generator[SMTP]:
    """A connection to a server, encrypted where it is to be, or can be."""
    import smtplib
    import ssl

    # smtplib by itself takes any certificate for the server's
    trusted = ssl.create_default_context()
    if url.scheme == "smtps":
        with smtplib.SMTP_SSL(host, url.port or 465, timeout=timeout, context=trusted) as client:
            yield client
        return
    with smtplib.SMTP(host, url.port or (587 if url.username else 25), timeout=timeout) as client:
        client.ehlo_or_helo_if_needed()
        if client.has_extn("starttls"):
            client.starttls(context=trusted)
        elif url.username and host not in _LOCAL:
            raise Undelivered(
                f"the e-mail server {host} has no STARTTLS, and a password does not go out in clear: use smtps://, or a "
                "server that needs none"
            )
        yield client


__all__ = ["VARIABLE", "Mail", "email"]
