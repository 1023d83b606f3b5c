"""Settings of the stages: a mistake is an error at startup."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from pipeline.config import DecodingSettings, Settings, SourceSettings, StoreSettings, VideoLimits, webhook_key

KEY = bytes(range(24))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.mark.parametrize("settings", [SourceSettings, VideoLimits, DecodingSettings, StoreSettings])
def test_misspelt_keys_are_refused_and_values_never_change(settings: type[Settings]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings.model_validate({"max_dration_seconds": 60})
    field = next(iter(settings.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings(), field, None)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (SourceSettings, {"max_stored_bytes": 0}),
        (SourceSettings, {"keep_uploads_seconds": 59}),
        (SourceSettings, {"max_redirects": -1}),
        (VideoLimits, {"max_duration_seconds": 0}),
        (DecodingSettings, {"backend_order": ()}),
        (DecodingSettings, {"backend_order": ("planned", "gstreamer")}),
        (StoreSettings, {"lease_seconds": 0.5}),
        (StoreSettings, {"max_running": 0}),
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(settings: type[Settings], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        settings(**values)


def test_no_server_path_is_readable_by_default() -> None:
    assert SourceSettings().media_roots == ()
    assert not SourceSettings().allow_private_addresses


@pytest.mark.parametrize("url", ["postgresql://user:password@host/name", "postgres://host/name"])
def test_a_store_is_postgresql_or_sqlite(url: str) -> None:
    assert StoreSettings().url is None
    settings = StoreSettings.model_validate({"url": url})
    assert settings.url is not None and settings.url.get_secret_value() == url
    assert "password" not in repr(settings)
    for wrong in ("mysql://host/name", "sqlite:///file", "host/name"):
        with pytest.raises(ValidationError, match=r"must be a postgresql:// URL; leave it out for SQLite"):
            StoreSettings.model_validate({"url": wrong})


def test_a_webhook_secret_is_a_key_in_base64() -> None:
    settings = StoreSettings.model_validate({"webhook_secret": SECRET})
    assert settings.webhook_secret is not None
    assert webhook_key(settings.webhook_secret.get_secret_value()) == KEY
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("num_bytes", [24, 64])
def test_a_webhook_key_has_24_to_64_bytes(num_bytes: int) -> None:
    assert len(webhook_key(f"whsec_{base64.b64encode(bytes(num_bytes)).decode()}")) == num_bytes


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        "whsec_not base64!",
        f"whsec_{base64.b64encode(bytes(23)).decode()}",
        f"whsec_{base64.b64encode(bytes(65)).decode()}",
    ],
)
def test_anything_else_is_no_webhook_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64 bytes in base64"):
        webhook_key(secret)
    with pytest.raises(ValidationError, match="whsec_ and 24 to 64 bytes in base64"):
        StoreSettings.model_validate({"webhook_secret": secret})
