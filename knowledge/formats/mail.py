"""The text of an e-mail, by the standard library: who, when, about what, and the body."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from ..decoding import decode
from ..html import html_to_text
from ..unreadable import Unreadable

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def mail_text(data: bytes) -> tuple[str, str]:
    """The subject, and the text: the usual headers, the body as plain text, the names of attachments.

    Any bytes give some text: what is broken in a mail is left out.
    """
    message = message_from_bytes(data, policy=default)
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    attached = [f"Attachment: {name}" for name in _attachments(message)]
    text = "\n\n".join(filter(None, ["\n".join([*headers, *attached]), _body(message).strip()]))
    return _header(message, "Subject"), text.replace("\r\n", "\n").replace("\r", "\n") + "\n"


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except Exception:  # the parser of structured headers raises what it meets: IndexError, ValueError, its own
        return ""


def _body(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    text = _text(data, part.get_content_charset())
    return html_to_text(text)[1] if part.get_content_subtype() == "html" else text


def _text(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        pass
    try:
        return decode("", data)
    except Unreadable:
        return ""


def _attachments(message: EmailMessage) -> Iterator[str]:
    try:
        parts = list(message.iter_attachments())
    except (AttributeError, KeyError):  # a multipart mail whose parts are not there
        return
    for part in parts:
        if name := part.get_filename():
            yield " ".join(name.split())
