"""Parse the `Range` header of RFC 9110, limited to what players send: one range of bytes."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_ONE_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII)


@dataclass(frozen=True)
class ByteRange:
    start: int
    stop: int

    @property
    def is_satisfiable(self) -> bool:
        return self.start < self.stop


def requested_range(headers: Headers, size_bytes: int, *, etag: str, max_open_bytes: int) -> ByteRange | None:
    """Return the part `[start, stop)` to send; `None` sends the whole file, also if the header is not understood.

    A range without an end is cut to `max_open_bytes`; `Content-Range` says so.
    """
    found = _ONE_RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if first and last:
        return None if int(last) < int(first) else ByteRange(int(first), min(int(last) + 1, size_bytes))
    if first:
        return ByteRange(int(first), min(size_bytes, int(first) + max_open_bytes))
    if last:
        return ByteRange(max(0, size_bytes - int(last)), size_bytes)
    return None
