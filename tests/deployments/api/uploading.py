"""Uploads to the application, and its settings for them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.api.service import Service, current_service
from pipeline.sources import open_resumable_uploads, open_upload_store

MIB = 1024**2
FILM = os.urandom(2 * MIB + 11)


def settings_with(app: FastAPI, **sources: Any) -> None:
    """Lets the application have other settings of its sources."""
    service: Service = app.dependency_overrides[current_service]()
    changed = service.settings.sources.model_copy(update=sources)
    settings = service.settings.model_copy(update={"sources": changed})
    other = replace(
        service,
        settings=settings,
        uploads=open_upload_store(changed),
        resumable_uploads=open_resumable_uploads(changed),
    )
    app.dependency_overrides[current_service] = lambda: other


def upload(client: TestClient, content: bytes = b"video", name: str = "cat.mp4", **fields: str) -> dict[str, Any]:
    response = client.post("/v1/files", files={"file": (name, content)}, data=fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body
