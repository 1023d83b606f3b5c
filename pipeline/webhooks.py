"""Webhooks: a signed POST that an analysis has ended, to an address that the server's own network is kept from."""

from __future__ import annotations

import base64
import hashlib
import hmac

import httpcore

from pipeline.config import SourceSettings, StoreSettings, webhook_key
from pipeline.errors import InvalidRequest, LongtakeError
from pipeline.sources.attempts import Deadline, TransientFailure
from pipeline.sources.public_addresses import GuardedNetwork, Resolver, resolve_host
from pipeline.sources.urls import public_name, split_http_url

PARAM = "webhook"
TIMEOUT_SECONDS = 15.0
"""For all of one attempt, as Standard Webhooks advises."""
MAX_URL_BYTES = 2048
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 10 * 3600.0
_PAUSE_FACTOR = 6.0
"""5 s, 30 s, 3 min, 18 min, 1.8 h, 10 h, 10 h: like the schedule that Standard Webhooks gives."""


def checked_webhook_url(url: str, settings: StoreSettings) -> str:
    """Raises InvalidRequest for what is no plain http or https URL, and where no secret is there to sign with."""
    if settings.webhook_secret is None:
        raise InvalidRequest(
            "Webhooks are off: they are signed, and the operator has set no store.webhook_secret. Leave webhook out, "
            "and ask for the analysis or listen to its events.",
            param=PARAM,
        )
    if len(url.encode()) > MAX_URL_BYTES:
        raise InvalidRequest(f"The webhook's URL has more than {MAX_URL_BYTES} bytes; send a shorter one.", param=PARAM)
    try:
        split_http_url(url)
    except InvalidRequest as error:
        raise InvalidRequest(f"webhook.url: {error.message}", param=PARAM) from None
    return url


def signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of Standard Webhooks 1.0.0."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def pause_seconds(attempt: int) -> float:
    """Before the attempt after this one, the first being 1."""
    return min(_FIRST_PAUSE_SECONDS * _PAUSE_FACTOR ** (attempt - 1), _LONGEST_PAUSE_SECONDS)


def post_webhook(
    url: str,
    body: bytes,
    *,
    webhook_id: str,
    timestamp: int,
    secret: str,
    settings: SourceSettings,
    resolve: Resolver = resolve_host,
) -> int:
    """Sends it, follows no redirect, and gives the status of the answer, whose body is not read.

    Raises SourceForbidden for an address that is not public where the settings ask for that, and WebhookFailed.
    """
    target = split_http_url(url)
    name = public_name(url)
    network = GuardedNetwork(
        name, allow_private=settings.allow_private_addresses, resolve=resolve, deadline=Deadline(TIMEOUT_SECONDS)
    )
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_SECONDS)
    headers = [
        ("Host", target.authority),
        ("User-Agent", "longtake"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", signature(secret, webhook_id, timestamp, body)),
    ]
    at = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path_and_query)
    try:
        with (
            httpcore.ConnectionPool(network_backend=network) as connections,
            connections.stream("POST", at, headers=headers, content=body, extensions={"timeout": timeouts}) as response,
        ):
            return response.status
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TransientFailure) as error:
        raise WebhookFailed(f"{name} could not be reached ({type(error).__name__}).") from error


class WebhookFailed(LongtakeError):
    """The next attempt may arrive."""
