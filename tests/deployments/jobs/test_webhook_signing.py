"""Signatures of Standard Webhooks, and when a webhook is tried again."""

from __future__ import annotations

import pytest

from deployments.jobs.webhook_signing import pause_seconds, signed_headers
from pipeline.config import StoreSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    """The example in the tests of Standard Webhooks' own libraries."""
    headers = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_pauses_grow_to_hours() -> None:
    pauses = [pause_seconds(attempt) for attempt in range(1, 9)]
    assert pauses == [5, 30, 180, 1080, 6480, 36000, 36000, 36000]


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_%%%", "whsec_"])
def test_what_is_no_secret_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook_secret must be whsec_"):
        StoreSettings(webhook_secret=secret)


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite:///file.db", "host"])
def test_what_is_no_postgresql_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as caught:
        StoreSettings(url=url)
    assert caught.value


def test_secrets_are_not_shown() -> None:
    settings = StoreSettings(webhook_secret=SECRET, url="postgresql://user:password@host/name")
    assert "password" not in repr(settings) and SECRET not in repr(settings)
