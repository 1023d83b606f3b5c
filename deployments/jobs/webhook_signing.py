"""Webhooks as Standard Webhooks 1.0.0 has them: what is signed and how, and when it is tried again.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from pipeline.config import webhook_key

TIMEOUT_SECONDS = 15.0
"""For all of one attempt, within the 15 to 30 s that the specification advises."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 10 * 3600.0
_PAUSE_FACTOR = 6.0


def signed_headers(secret: str, webhook_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """`webhook_id` stays the same in every attempt, by which receivers know what they have had; `sent_at` is Unix time
    in seconds, of this attempt.
    """
    signed = f"{webhook_id}.{sent_at}.".encode() + body
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def pause_seconds(attempt: int) -> float:
    """After that attempt, the first being 1: 5 s, 30 s, 3 min, 18 min, 1.8 h, and then 10 h."""
    return min(_FIRST_PAUSE_SECONDS * _PAUSE_FACTOR ** (attempt - 1), _LONGEST_PAUSE_SECONDS)
