"""`EmailOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.inputs import Reads


class EmailOperator(BaseOperator):
    """Sends an e-mail by SMTP."""

    template_fields: ClassVar[Sequence[str]] = ("to", "subject", "html_content", "files", "cc", "bcc")
    template_ext: Sequence[str] = (".html",)
    ui_color = "#e6faf9"
    cached = False

    def __init__(
        self,
        *,
        to: Any,
        subject: str = "",
        html_content: str = "",
        files: list[Any] | None = None,
        cc: Any = None,
        bcc: Any = None,
        from_email: str | None = None,
        mime_subtype: str = "mixed",
        mime_charset: str = "utf-8",
        conn_id: str | None = None,
        smtp_conn_id: str | None = None,
        custom_headers: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.subject = subject
        self.html_content = html_content
        self.files = files or []
        self.cc = cc
        self.bcc = bcc
        self.from_email = from_email
        self.mime_subtype = mime_subtype
        self.mime_charset = mime_charset
        self.conn_id = conn_id or smtp_conn_id
        self.custom_headers = custom_headers

    def reads(self) -> Reads:
        return Reads()

    def execute(self, context: Any) -> None:
        from penstock.dialects.airflow.mail import send_email

        send_email(
            self.to,
            self.subject,
            self.html_content,
            files=self.files,
            cc=self.cc,
            bcc=self.bcc,
            from_email=self.from_email,
            mime_subtype=self.mime_subtype,
            mime_charset=self.mime_charset,
            conn_id=self.conn_id,
            custom_headers=self.custom_headers,
        )


__all__ = ["EmailOperator"]
