"""A POST to an address that a client named, past the same guard as downloads."""

from __future__ import annotations

from collections.abc import Mapping

import httpcore

from pipeline.config import SourceSettings
from pipeline.sources.remote.attempts import Deadline, TransientFailure
from pipeline.sources.remote.public_addresses import GuardedNetwork, Resolver, resolve_host
from pipeline.sources.urls import public_name, split_http_url


class PostFailed(Exception):
    """It did not arrive, or nobody said that it did; the next one may."""


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    settings: SourceSettings,
    *,
    timeout_seconds: float,
    resolve: Resolver = resolve_host,
) -> int:
    """Sends it and gives the status of the answer, whose body is not read; redirects are not followed.

    Raises SourceForbidden for an address that is not public where the settings ask for that, SourceNotFound for a host
    that does not exist, InvalidRequest for what is no http or https URL, and PostFailed.
    """
    target = split_http_url(url)
    network = GuardedNetwork(
        public_name(url),
        allow_private=settings.allow_private_addresses,
        resolve=resolve,
        deadline=Deadline(timeout_seconds),
    )
    all_headers = {
        "Host": target.authority,
        "User-Agent": "longtake",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    at = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path_and_query)
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
        raise PostFailed(f"{public_name(url)}: {type(error).__name__}") from error
