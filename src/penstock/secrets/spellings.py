"""The ways in which a text can stand in another one: encoded, quoted, escaped, taken apart into lines."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

#: characters of a line of a longer secret from which on it is one to be masked by itself
_LINE = 8


def spellings(value: str) -> set[str]:
    """The texts that give a secret away, itself included."""
    whole = {value, value.strip()}
    found: set[str] = set()
    for text in whole:
        found |= _escaped(text) | encoded(text)
    # what is logged is cut into lines
    lines = [line for line in value.splitlines() if len(line.strip()) >= _LINE]
    for line in lines if len(lines) > 1 or "\n" in value else ():
        found |= _escaped(line.strip())
    return found


def encoded(text: str) -> set[str]:
    """The text in base64 (also as a part of something longer), hexadecimal and as a part of a URL."""
    data = text.encode("utf-8", "surrogatepass")
    found = {data.hex(), data.hex().upper(), data.hex(" "), data.hex(":")}
    for offset in range(3):
        found |= {_core(base64.b64encode, data, offset), _core(base64.urlsafe_b64encode, data, offset)}
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        urls = {quote(text), quote(text, safe=""), quote_plus(text)}
        found |= urls | {_lowered(url) for url in urls}
    return found


def _core(encode: Callable[[bytes], bytes], data: bytes, offset: int) -> str:
    """What stays the same of data in base64 with `offset` bytes (modulo 3) and anything else before it, and anything
    behind."""
    text = encode(bytes(offset) + data).decode()
    return text[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]


def _lowered(url: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), url)


def _escaped(text: str) -> set[str]:
    """The text as JSON, Python, HTML and shells write it."""
    found = {text, repr(text)[1:-1], ascii(text)[1:-1], repr(text.encode("utf-8", "surrogatepass"))[2:-1]}
    for once in {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}:
        found |= {once, once.replace("/", "\\/"), repr(once)[1:-1]}
        found |= {json.dumps(once)[1:-1], json.dumps(once, ensure_ascii=False)[1:-1]}
    found |= {html.escape(text), html.escape(text, quote=False), html.escape(text).replace("&#x27;", "&#39;")}
    found.add(text.replace("'", "'\"'\"'"))
    return found


__all__ = ["encoded", "spellings"]
