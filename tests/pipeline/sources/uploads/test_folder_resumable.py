"""Resumable uploads in a folder."""

from __future__ import annotations

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import UploadConflict
from pipeline.sources import open_resumable_uploads
from tests.pipeline.sources.uploads.film import ABOUT, FILM, send


def test_two_cannot_write_at_once(settings: SourceSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In S3 they can: they write the same."""
    monkeypatch.setattr("pipeline.sources.uploads.folder_resumable._LOCK_SECONDS", 0.1)
    uploads = open_resumable_uploads(settings)
    upload_id = uploads.create(10, **ABOUT).upload_id
    with uploads.append(upload_id, 0) as appender:
        appender.write(FILM[:4])
        with pytest.raises(UploadConflict, match="Another request is writing"):
            send(uploads, upload_id, 0, 10)
    send(uploads, upload_id, 4, 10)
    assert uploads.get(upload_id).file is not None
