"""Videos behind http and https URLs."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import httpcore

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceForbidden, SourceNotFound, SourceUnavailable
from pipeline.sources.remote.public_addresses import GuardedNetwork, Resolver, resolve_host
from pipeline.sources.remote.retries import (
    Deadline,
    RetryBudgets,
    TransientFailure,
    is_transient,
    retry,
    retry_after_seconds,
)
from pipeline.sources.remote.transfers import Body, RemoteVersion, changed_in_transfer
from pipeline.types import HttpUrl

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PARTIAL_CONTENT = 206


class HttpOrigin:
    """An `Origin` for the object behind one URL."""

    def __init__(
        self, url: HttpUrl, settings: SourceSettings, budgets: RetryBudgets, *, resolve: Resolver = resolve_host
    ) -> None:
        self.name = url.public_name
        self.location = str(url)
        self.retry_budget = budgets.of(url.authority)
        self._url = url
        self._settings = settings
        self._resolve = resolve

    def version(self, deadline: Deadline) -> RemoteVersion:
        """Send a GET and disconnect after the headers: a URL presigned for GET does not allow HEAD."""
        return retry(lambda: self._ask_version(deadline), name=self.name, deadline=deadline, budget=self.retry_budget)

    @contextmanager
    def body(
        self, version: RemoteVersion, offset: int, deadline: Deadline, *, stop: int | None = None
    ) -> Iterator[Body]:
        headers = _resuming_headers(version, offset) if stop is None else _range_headers(version, offset, stop)
        with self._response(headers, deadline) as response:
            start = self._start(response, offset)
            if not _offered_version(response, start).agrees_with(version):
                raise changed_in_transfer(self.name)
            yield Body(start, response.iter_stream())

    def _ask_version(self, deadline: Deadline) -> RemoteVersion:
        with self._response([], deadline) as response:
            offered = _offered_version(response, start=0)
            if offered.validator or offered.size_bytes is not None:
                return offered
            return RemoteVersion("", self._measure(response, deadline))

    def _measure(self, response: httpcore.Response, deadline: Deadline) -> int:
        """Measure a body without a Content-Length; stops above the allowed size."""
        size_bytes = 0
        for block in response.iter_stream():
            size_bytes += len(block)
            deadline.check(self.name)
            if size_bytes > self._settings.max_video_bytes:
                break
        return size_bytes

    @contextmanager
    def _response(self, headers: list[tuple[str, str]], deadline: Deadline) -> Iterator[httpcore.Response]:
        """The successful response at the end of the redirects."""
        with _translated_errors(self.name), self._connections(deadline) as connections:
            target = self._url
            for _ in range(self._settings.max_redirects + 1):
                with connections.stream(
                    "GET",
                    _httpcore_url(target),
                    headers=_base_headers(target) + headers,
                    extensions={"timeout": self._timeouts()},
                ) as response:
                    if response.status not in _REDIRECTS:
                        self._check_status(response, resuming=bool(headers))
                        yield response
                        return
                    target = self._redirect_target(target, _header(response, "Location"))
        raise SourceUnavailable(
            f"{self.name} redirects more than the {self._settings.max_redirects} times that are allowed. "
            "Send the URL at the end."
        )

    def _connections(self, deadline: Deadline) -> httpcore.ConnectionPool:
        network = GuardedNetwork(
            self.name,
            allow_private=self._settings.allow_private_addresses,
            resolve=self._resolve,
            deadline=deadline,
        )
        return httpcore.ConnectionPool(network_backend=network)

    def _timeouts(self) -> dict[str, float]:
        read = self._settings.read_timeout_seconds
        return {"connect": self._settings.connect_timeout_seconds, "read": read, "write": read, "pool": read}

    def _redirect_target(self, current: HttpUrl, location: str) -> HttpUrl:
        try:
            return HttpUrl.parse(urljoin(str(current), location))
        except (InvalidRequest, ValueError) as error:  # ValueError: urljoin's, for a malformed host
            raise SourceForbidden(
                f"{self.name} redirects to something that is not a plain http or https URL. Send another URL."
            ) from error

    def _check_status(self, response: httpcore.Response, *, resuming: bool) -> None:
        status = response.status
        if status == 200 or (status == _PARTIAL_CONTENT and resuming):
            return
        if status in (404, 410):
            raise SourceNotFound(f"{self.name} does not exist: its server answered {status}. Check the URL.")
        if status in (401, 403):
            raise SourceForbidden(
                f"{self.name} may not be read: its server answered {status}. Send a URL that needs no login, "
                "such as a presigned one that has not expired."
            )
        if is_transient(status):
            pause_seconds = retry_after_seconds(_header(response, "Retry-After"))
            raise TransientFailure(f"was refused with status {status}", retry_after_seconds=pause_seconds)
        raise SourceUnavailable(f"{self.name} was refused: its server answered {status}. Send another URL.")

    def _start(self, response: httpcore.Response, offset: int) -> int:
        if response.status != _PARTIAL_CONTENT:
            return 0
        if not _header(response, "Content-Range").startswith(f"bytes {offset}-"):
            raise SourceUnavailable(f"{self.name} was sent with a wrong byte range. Send another URL.")
        return offset


@contextmanager
def _translated_errors(name: str) -> Iterator[None]:
    """The one place that translates errors of httpcore."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise TransientFailure("did not answer in time") from error
    except httpcore.ConnectError as error:
        if _has_bad_certificate(error):
            raise SourceUnavailable(
                f"{name} has a TLS certificate that cannot be verified. Send a URL with a valid one."
            ) from error
        raise TransientFailure("could not be connected to") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise TransientFailure("broke the connection or the protocol") from error


def _has_bad_certificate(error: httpcore.ConnectError) -> bool:
    # Only in the arguments: httpcore's pool clears the cause.
    return any(isinstance(argument, ssl.SSLCertVerificationError) for argument in error.args)


def _httpcore_url(target: HttpUrl) -> httpcore.URL:
    return httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path_and_query)


def _base_headers(target: HttpUrl) -> list[tuple[str, str]]:
    return [
        ("Host", target.authority),
        ("User-Agent", "longtake"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    ]


def _resuming_headers(version: RemoteVersion, offset: int) -> list[tuple[str, str]]:
    # A weak ETag does not promise equal bytes, so If-Range does not allow it (RFC 9110, 13.1.5).
    is_strong = version.validator.isascii() and not version.validator.startswith(("W/", "w/"))
    if offset == 0 or not version.validator or not is_strong:
        return []
    return [("Range", f"bytes={offset}-"), ("If-Range", version.validator)]


def _range_headers(version: RemoteVersion, start: int, stop: int) -> list[tuple[str, str]]:
    """For a part. A response of another version is rejected on arrival if no header makes the origin reject it."""
    resuming = _resuming_headers(version, start or 1)  # from the very first byte, too
    return [("Range", f"bytes={start}-{stop - 1}"), *[(name, value) for name, value in resuming if name == "If-Range"]]


def _offered_version(response: httpcore.Response, start: int) -> RemoteVersion:
    validator = _header(response, "ETag") or _header(response, "Last-Modified")
    accepts_ranges = _header(response, "Accept-Ranges").lower() == "bytes"
    total = re.fullmatch(r"bytes \d+-\d+/(\d+)", _header(response, "Content-Range"))
    if response.status == _PARTIAL_CONTENT and total:
        return RemoteVersion(validator, int(total[1]), accepts_ranges)
    length = _header(response, "Content-Length")
    return RemoteVersion(validator, start + int(length) if length else None, accepts_ranges)


def _header(response: httpcore.Response, name: str) -> str:
    """The value of a header; empty if it is missing."""
    key = name.lower().encode()
    values = [value for found, value in response.headers if found.lower() == key]
    return values[0].decode("latin-1") if values else ""
