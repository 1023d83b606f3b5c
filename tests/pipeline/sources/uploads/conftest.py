"""Settings for both kinds of upload store."""

from __future__ import annotations

import pytest

from pipeline.config import SourceSettings


@pytest.fixture(params=["folder", "s3"])
def upload_settings(request: pytest.FixtureRequest, settings: SourceSettings) -> SourceSettings:
    """Settings of both kinds of upload store."""
    if request.param == "folder":
        return settings
    request.getfixturevalue("s3")
    return s3_upload_settings(request.getfixturevalue("s3_settings"))


@pytest.fixture
def s3_uploads_settings(s3_settings: SourceSettings, s3: object) -> SourceSettings:
    return s3_upload_settings(s3_settings)


def s3_upload_settings(settings: SourceSettings) -> SourceSettings:
    return settings.model_copy(update={"upload_store": "s3://videos/uploads/"})
