"""The characters that not every process, database and file system can hold: NUL and lone surrogates."""

from __future__ import annotations

import re
from typing import Any

UNSAFE = re.compile("[\x00\ud800-\udfff]")
"""NUL, which paths and PostgreSQL reject, and halves of characters, which no UTF-8 can hold."""


def unsafe_character(text: str) -> str | None:
    """Return the first character of `text` that is NUL or a lone surrogate."""
    if text.isascii():  # known at once, where a search takes 5 ms for a megabyte
        return "\x00" if "\x00" in text else None
    found = UNSAFE.search(text)
    return found.group() if found else None


def encodable(text: str) -> str:
    """Return `text` with its lone surrogates as escapes, such as `\\udcff`, so that it encodes as UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def printable(text: str) -> str:
    """Return `text` with NUL and lone surrogates as escapes."""
    return encodable(text).replace("\x00", "\\x00")


def encodable_json(value: Any) -> Any:
    """Return a parsed JSON value with every string in it `encodable`, keys included."""
    match value:
        case str():
            return encodable(value)
        case list():
            return [encodable_json(item) for item in value]
        case dict():
            return {encodable(key): encodable_json(item) for key, item in value.items()}
    return value
