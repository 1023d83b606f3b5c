"""The HTTP API as values: for each operation its request, and how to read the response. No I/O.

`Connection` and `AsyncConnection` carry these out, so that both clients share everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from longtake.errors import ServerError
from longtake.parsing import parsed
from longtake.plans import Estimate
from longtake.requests import Request, Upload, UploadProgress
from longtake.results import AnalysisState, Answer, File, Status
from longtake.videos import Video, is_local_file, video_fields

Result = TypeVar("Result")

Order = Literal["asc", "desc"]
Purpose = Literal["vision", "user_data"]
ExportFormat = Literal["json", "md", "srt", "vtt", "csv"]


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A request, and how to read the JSON of its response."""

    request: Request
    read: Callable[[Any], Result]
    """Raises ServerError if the JSON is not what a Longtake server sends."""


@dataclass(frozen=True)
class Page(Generic[Result]):
    """A part of a list, and the call that reads the next part."""

    items: tuple[Result, ...]
    following: Call[Page[Result]] | None


def analyze(video: Video, fields: Mapping[str, Any], on_upload: UploadProgress | None) -> Call[Answer]:
    return Call(_about_video("/v1/analyses", video, fields, on_upload), lambda body: parsed(Answer, body))


def stream(video: Video, fields: Mapping[str, Any], on_upload: UploadProgress | None) -> Request:
    return _about_video("/v1/analyses", video, {**fields, "stream": True}, on_upload)


def estimate(video: Video, fields: Mapping[str, Any], on_upload: UploadProgress | None) -> Call[Estimate]:
    return Call(_about_video("/v1/estimate", video, fields, on_upload), lambda body: parsed(Estimate, body))


def submit(
    video: Video, fields: Mapping[str, Any], on_upload: UploadProgress | None, idempotency_key: str | None
) -> Call[str]:
    """Reads the id of the stored analysis."""
    params, headers = {"wait": "false"}, {"Idempotency-Key": idempotency_key or None}
    return Call(_about_video("/v1/analyses", video, fields, on_upload, params, headers), _submitted_id)


def get_analysis(analysis_id: str) -> Call[AnalysisState]:
    return Call(Request("GET", f"/v1/analyses/{analysis_id}"), lambda body: parsed(AnalysisState, body))


def analysis_events(analysis_id: str, after: str | None) -> Request:
    return Request("GET", f"/v1/analyses/{analysis_id}/events", headers={"Last-Event-ID": after})


def export_analysis(analysis_id: str, export_format: ExportFormat) -> Request:
    """Its response is a text."""
    return Request("GET", f"/v1/analyses/{analysis_id}/export", params={"format": export_format})


def cancel_analysis(state: AnalysisState) -> Call[AnalysisState]:
    """Raises ServerError if the analysis has ended: the same request would delete it."""
    if state.is_finished:
        raise ServerError(
            f"The analysis {state.id} is {state.status} already; `delete` removes it.",
            status=409,
            type="already_finished",
        )
    return Call(_delete(f"/v1/analyses/{state.id}"), lambda body: parsed(AnalysisState, body))


def delete_analysis(analysis_id: str) -> Call[None]:
    return Call(_delete(f"/v1/analyses/{analysis_id}"), lambda body: None)


def list_analyses(status: Status | None, page_size: int, after: str | None = None) -> Call[Page[AnalysisState]]:
    params = {"limit": page_size, "after": after, "status": status}
    return _listing(
        AnalysisState, "/v1/analyses", params, lambda last_id: list_analyses(status, page_size, after=last_id)
    )


def upload_file(
    file: str | Path, on_upload: UploadProgress | None, purpose: Purpose | None, expires_after_seconds: int | None
) -> Call[File]:
    fields = {"purpose": purpose, "expires_after[seconds]": expires_after_seconds}
    request = Request("POST", "/v1/files", fields=fields, upload=Upload("file", Path(file), on_upload))
    return Call(request, lambda body: parsed(File, body))


def get_file(file_id: str) -> Call[File]:
    return Call(Request("GET", f"/v1/files/{file_id}"), lambda body: parsed(File, body))


def delete_file(file_id: str) -> Call[None]:
    return Call(_delete(f"/v1/files/{file_id}"), lambda body: None)


def list_files(
    order: Order | None, purpose: Purpose | None, page_size: int, after: str | None = None
) -> Call[Page[File]]:
    params = {"limit": page_size, "after": after, "order": order, "purpose": purpose}
    return _listing(File, "/v1/files", params, lambda last_id: list_files(order, purpose, page_size, after=last_id))


def list_models() -> Call[tuple[str, ...]]:
    return Call(Request("GET", "/v1/models"), lambda body: tuple(str(model["id"]) for model in body["data"]))


def check_ready() -> Call[str]:
    """Reads the name of the model that is ready."""
    return Call(Request("GET", "/health/ready"), lambda body: str(body["model"]))


def _about_video(
    path: str,
    video: Video,
    fields: Mapping[str, Any],
    on_upload: UploadProgress | None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> Request:
    """JSON for a video that the server can reach, a form for a local file."""
    upload = None
    if is_local_file(video):
        upload = Upload("video", Path(video), on_upload)
    else:
        fields = {**fields, **video_fields(video)}
    return Request("POST", path, params or {}, headers or {}, fields, upload)


def _delete(path: str) -> Request:
    return Request("DELETE", path)


def _listing(
    kind: type[Result], path: str, params: Mapping[str, Any], following: Callable[[str], Call[Page[Result]]]
) -> Call[Page[Result]]:
    def read(body: Any) -> Page[Result]:
        items = tuple(parsed(kind, item) for item in body["data"])
        return Page(items, following(body["last_id"]) if body.get("has_more") else None)

    return Call(Request("GET", path, params=params), read)


def _submitted_id(body: Mapping[str, Any]) -> str:
    if body.get("object") != "analysis":
        raise ServerError("This server does not store analyses; use `analyze` or `stream`.", type="not_found")
    return str(body["id"])
