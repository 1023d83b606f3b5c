"""Signatures and retry times of webhooks, as in Standard Webhooks 1.0.0.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from pipeline.config import webhook_key

TIMEOUT_SECONDS = 15.0
"""Time limit for one whole attempt; the specification advises 15 to 30 s."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 10 * 3600.0
_PAUSE_FACTOR = 6.0


def signed_headers(secret: str, webhook_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Sign one attempt, sent at the Unix time `sent_at`.

    `webhook_id` stays the same in every attempt, so that receivers can deduplicate.
    """
    signed = f"{webhook_id}.{sent_at}.".encode() + body
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def pause_seconds(attempt: int) -> float:
    """Return the pause after an attempt, counted from 1: 5 s, 30 s, 3 min, 18 min, 1.8 h, then 10 h each."""
    return min(_FIRST_PAUSE_SECONDS * _PAUSE_FACTOR ** (attempt - 1), _LONGEST_PAUSE_SECONDS)
