"""An http or https URL, parsed and validated once."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from pydantic_core import CoreSchema, core_schema

from pipeline.errors import InvalidRequest


@dataclass(frozen=True)
class HttpUrl:
    """An http or https URL without user name, password or fragment. `parse` creates it. Nothing parses it again, so no
    second parser can interpret it differently.
    """

    scheme: str
    host: str
    """A name, or an IP address without brackets."""
    port: int | None
    path: str
    """Starts with a slash; ASCII, percent-encoded where the client's was not."""
    query: str = field(default="", repr=False)
    """Without the question mark. It may hold a signature: never show it."""

    @classmethod
    def parse(cls, text: str) -> HttpUrl:
        """Raise InvalidRequest for other schemes, malformed URLs and URLs with a user name or password."""
        if url_scheme(text) not in ("http", "https"):
            raise InvalidRequest("The URL is neither http nor https. Send one that is.")
        # urlsplit drops tabs and line breaks, and a backslash is a slash to some parsers only.
        if re.search(r"[\x00-\x20\x7f\\]", text):
            raise InvalidRequest("The URL contains a blank, a backslash or a control character. Percent-encode it.")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidRequest("The URL has a malformed host or port. Correct it.") from error
        if "@" in parts.netloc:
            raise InvalidRequest("The URL carries a user name or password, which is not allowed. Use a presigned URL.")
        return cls(parts.scheme, _checked_host(parts), port, _as_ascii(parts.path) or "/", _as_ascii(parts.query))

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def path_and_query(self) -> str:
        """The target of a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def public_name(self) -> str:
        """What messages may show: no query, which may hold a signature."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def __str__(self) -> str:
        """The whole URL, with any signature."""
        return f"{self.scheme}://{self.authority}{self.path_and_query}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """A string in documents, as before this class existed: parsed when it is loaded."""
        return core_schema.no_info_plain_validator_function(
            _loaded_url, serialization=core_schema.to_string_ser_schema(when_used="always")
        )


def _loaded_url(value: Any) -> HttpUrl:
    if isinstance(value, HttpUrl):
        return value
    if not isinstance(value, str):
        raise ValueError("a URL is stored as a string")
    return HttpUrl.parse(value)


def url_scheme(text: str) -> str:
    """The scheme in lower case; empty if there is none."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,31}(?=:)", text)
    return found[0].lower() if found else ""


def _checked_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        valid = "%" not in host and _is_ipv6(host)
    else:
        labels = host.removesuffix(".").split(".")
        valid = len(host) <= 253 and all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels)
    if not valid:
        raise InvalidRequest("The URL has no valid host. Use an ASCII host name (xn-- for others) or an IP address.")
    return host


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _as_ascii(text: str) -> str:
    """`text`, percent-encoded beyond ASCII. The rest keeps its spelling: a signature may depend on it."""
    return re.sub(r"[^\x21-\x7e]+", lambda found: quote(found[0], errors="replace"), text)
