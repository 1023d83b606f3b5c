"""The rule for every text of a request: valid Unicode, without NUL and without lone surrogates.

Such characters break what comes later, in other processes: paths, databases, and the errors that quote them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from fastapi import Request

from pipeline.errors import InvalidRequest
from pipeline.unicode import printable, unsafe_character

MAX_SHOWN_CHARACTERS = 80
HEADERS = ("Idempotency-Key", "Last-Event-ID", "Upload-Metadata")
"""Headers whose text is used; of others only values in a fixed format count."""
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True)
class UnsafeText:
    """A character in a request that is refused."""

    path: tuple[str, ...]
    """The names and indices that lead to the text."""
    character: str
    is_in_name: bool
    """Whether the last name of the path holds it."""

    @property
    def param(self) -> str | None:
        return ".".join(printable(part)[:MAX_SHOWN_CHARACTERS] for part in self.path) or None

    @property
    def description(self) -> str:
        kind = "NUL" if self.character == "\x00" else "half of a character, a lone surrogate"
        return f"it holds {kind} (U+{ord(self.character):04X}){' in its name' if self.is_in_name else ''}"


def may_hold_unsafe(json_text: str) -> bool:
    """Whether a JSON text may hold an unsafe character, as itself or as an escape: `find_unsafe` is slower."""
    return unsafe_character(json_text) is not None or ("\\u" in json_text and bool(_ESCAPED.search(json_text)))


def find_unsafe(value: Any) -> UnsafeText | None:
    """Return the first unsafe character in a parsed JSON value, names of fields included."""
    return next(_unsafe_in(value), None)


def check_texts(value: Any) -> None:
    """Raise InvalidRequest, which names the field, if a text in a parsed JSON value is unsafe."""
    if fault := find_unsafe(value):
        what = "The request" if fault.param is None else fault.param
        raise InvalidRequest(f"{what} is not usable: {fault.description}; leave it out.", param=fault.param)


async def check_request_line(request: Request) -> None:
    """Raise InvalidRequest if the path, the query or a header that is read is unsafe or not UTF-8. A dependency."""
    scope = request.scope
    raw_path = scope.get("raw_path") or scope["path"].encode(errors="surrogatepass")
    if find_unsafe(unquote(raw_path.decode("latin-1"), errors="surrogateescape")):
        # The server has put U+FFFD for bytes that are not UTF-8.
        marked = (name for name, text in request.path_params.items() if unsafe_character(text) or "\ufffd" in text)
        raise InvalidRequest("The path is not valid UTF-8, or holds NUL; leave that out.", param=next(marked, None))
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    for name, text in query:
        check_texts({name: text})
    for name in HEADERS:
        for value in request.headers.getlist(name):
            check_texts({name: value.encode("latin-1").decode(errors="surrogateescape")})


def _unsafe_in(value: Any) -> Iterator[UnsafeText]:
    """Walk without recursion, since a client decides how deep a value is nested."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while pending:
        path, value = pending.pop()
        match value:
            case str():
                if found := unsafe_character(value):
                    yield UnsafeText(path, found, is_in_name=False)
            case dict():
                for name in value:
                    if found := unsafe_character(name):
                        yield UnsafeText((*path, name), found, is_in_name=True)
                pending += [((*path, name), item) for name, item in reversed(value.items())]
            case list():
                pending += [((*path, str(index)), item) for index, item in reversed(list(enumerate(value)))]
