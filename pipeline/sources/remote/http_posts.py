"""A POST to an address that a client named, behind the same guard as downloads."""

from __future__ import annotations

from collections.abc import Mapping

import httpcore

from pipeline.config import SourceSettings
from pipeline.sources.remote.public_addresses import GuardedNetwork, Resolver, resolve_host
from pipeline.sources.remote.retries import Deadline, TransientFailure
from pipeline.types import HttpUrl


class PostFailed(Exception):
    """No answer came back. A later attempt may succeed."""


def post(
    url: HttpUrl,
    headers: Mapping[str, str],
    body: bytes,
    settings: SourceSettings,
    *,
    timeout_seconds: float,
    resolve: Resolver = resolve_host,
) -> int:
    """Send `body` and return the status of the response. Its body is not read, and redirects are not followed.

    Raises SourceForbidden for an address that is not public unless the settings allow it, SourceNotFound for a host
    that does not exist, and PostFailed.
    """
    network = GuardedNetwork(
        url.public_name,
        allow_private=settings.allow_private_addresses,
        resolve=resolve,
        deadline=Deadline(timeout_seconds),
    )
    all_headers = {
        "Host": url.authority,
        "User-Agent": "longtake",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    at = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path_and_query)
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)
    try:
        with (
            httpcore.ConnectionPool(network_backend=network) as connections,
            connections.stream(
                "POST", at, headers=list(all_headers.items()), content=body, extensions={"timeout": timeouts}
            ) as response,
        ):
            return response.status
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TransientFailure) as error:
        raise PostFailed(f"{url.public_name}: {type(error).__name__}") from error
