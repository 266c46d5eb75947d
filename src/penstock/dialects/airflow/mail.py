"""E-mail as Airflow sends it: by the connection `smtp_default`, or the `[smtp]` options of its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

from penstock.dialects.airflow.configuration import conf
from penstock.dialects.airflow.connections import get_connection
from penstock.dialects.airflow.exceptions import AirflowException, AirflowNotFoundException

#: seconds
_TIMEOUT = 30.0


def get_email_address_list(addresses: str | Iterable[str]) -> list[str]:
    """Addresses, of a list, or of a text in which they are divided by commas or semicolons."""
    listed = [addresses] if isinstance(addresses, str) else list(addresses)
    return [part for each in listed for part in re.split(r"\s*[,;]\s*", each.strip()) if part]


def send_email(
    to: str | Iterable[str],
    subject: str,
    html_content: str,
    files: Iterable[str] | None = None,
    dryrun: bool = False,
    cc: str | Iterable[str] | None = None,
    bcc: str | Iterable[str] | None = None,
    mime_subtype: str = "mixed",
    mime_charset: str = "utf-8",
    conn_id: str | None = None,
    from_email: str | None = None,
    custom_headers: dict[str, Any] | None = None,
    **_: Any,
) -> None:
    """Send an e-mail. Raises what the server, and the way to it, raise."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = from_email or conf.get("email", "from_email", fallback=None) or conf.get("smtp", "smtp_mail_from")
    receivers = get_email_address_list(to)
    message["To"] = ", ".join(receivers)
    message["Date"] = formatdate(localtime=True)
    if cc:
        message["CC"] = ", ".join(get_email_address_list(cc))
        receivers += get_email_address_list(cc)
    receivers += get_email_address_list(bcc) if bcc else []
    for name, value in (custom_headers or {}).items():
        message[name] = value
    message.set_content(html_content, subtype="html", charset=mime_charset)
    for each in files or ():
        file = Path(each)
        message.add_attachment(file.read_bytes(), maintype="application", subtype="octet-stream", filename=file.name)
    if not dryrun:
        _send(message, receivers, conn_id)


def _send(message: EmailMessage, receivers: list[str], conn_id: str | None) -> None:
    import smtplib

    host, port, login, password, secure, start = _server(conn_id)
    kind = smtplib.SMTP_SSL if secure else smtplib.SMTP
    try:
        found = kind(host, port, timeout=_TIMEOUT)
    except OSError as error:
        raise AirflowException(
            f"there is no mail server at {host}:{port} ({error}): name one by AIRFLOW__SMTP__SMTP_HOST, or by the connection "
            f"{conn_id or conf.get('email', 'email_conn_id')}"
        ) from None
    with found as server:
        if start and not secure:
            server.starttls()
        if login and password:
            server.login(login, password)
        server.send_message(message, to_addrs=receivers)


def _server(conn_id: str | None) -> tuple[str, int, str | None, str | None, bool, bool]:
    secure, start = conf.getboolean("smtp", "smtp_ssl"), conf.getboolean("smtp", "smtp_starttls")
    try:
        found = get_connection(conn_id or str(conf.get("email", "email_conn_id")))
    except AirflowNotFoundException:
        if conn_id is not None:
            raise
        return conf.get("smtp", "smtp_host"), conf.getint("smtp", "smtp_port"), None, None, secure, start
    extra = found.extra_dejson
    secure = not extra.get("disable_ssl", not secure)
    start = not extra.get("disable_tls", not start)
    return found.host or "localhost", found.port or (465 if secure else 25), found.login, found.password, secure, start


__all__ = ["get_email_address_list", "send_email"]
