"""Downloads of a completed analysis: `GET /v1/analyses/{id}/export`, rendered by the client's own code."""

import asyncio
import json
import re
import unicodedata
from enum import StrEnum
from urllib.parse import quote, unquote

from fastapi import APIRouter
from fastapi.responses import Response

from deployments.api.service import Service, ServiceDependency
from deployments.api.stored_analyses import get_analysis
from deployments.wire.stored_bodies import AnalysisObjectBody
from longtake.parsing import parsed
from longtake.results import Answer
from pipeline.errors import AnalysisNotCompleted, ServiceError, SourceError

MAX_STEM_CHARACTERS = 80
DEFAULT_STEM = "answer"

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,4}$")
_UNSAFE_IN_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f"*/:<>?\\|]+')

router = APIRouter(tags=["analyses"])


class ExportFormat(StrEnum):
    """The format of a download, which is also the suffix of its file."""

    JSON = "json"
    MARKDOWN = "md"
    SRT = "srt"
    VTT = "vtt"
    CSV = "csv"


MEDIA_TYPES = {
    ExportFormat.JSON: "application/json",
    ExportFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ExportFormat.SRT: "application/x-subrip; charset=utf-8",
    ExportFormat.VTT: "text/vtt; charset=utf-8",
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",
}


@router.get(
    "/v1/analyses/{analysis_id}/export",
    response_class=Response,
    responses={200: {"description": "The file.", "content": {MEDIA_TYPES[kind]: {} for kind in ExportFormat}}},
)
async def export_analysis(analysis_id: str, format: ExportFormat, service: ServiceDependency) -> Response:
    """Download the answer of a completed analysis. `json` contains its `result`, and `md` a readable text; `srt`, `vtt`
    and `csv` contain its `timed_results`.
    """
    analysis = await get_analysis(analysis_id, service)
    if analysis.result is None:
        raise AnalysisNotCompleted(
            f"The analysis is {analysis.status}, and only a completed one has an answer to export. "
            f"GET /v1/analyses/{analysis_id} returns its results so far."
        )
    content = _rendered(analysis.result.model_dump(mode="json"), format, title=analysis.prompt)
    headers = {
        "Content-Disposition": _attachment(await _video_name(analysis, service), suffix=format),
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, headers=headers, media_type=MEDIA_TYPES[format])


async def _video_name(analysis: AnalysisObjectBody, service: Service) -> str:
    """Return the client's name for an upload if the upload still exists, else the name that the analysis shows."""
    if analysis.file_id is None:
        return analysis.video
    try:
        return (await asyncio.to_thread(service.uploads.get, analysis.file_id)).file_name
    except (SourceError, ServiceError):
        return analysis.video


def _rendered(result: dict[str, object], format: ExportFormat, *, title: str) -> str:
    if format == ExportFormat.JSON:
        return json.dumps(result, ensure_ascii=False, indent=2) + "\n"
    answer = parsed(Answer, result)
    match format:
        case ExportFormat.MARKDOWN:
            return answer.to_markdown(title, level=1)
        case ExportFormat.SRT:
            return answer.to_srt()
        case ExportFormat.VTT:
            return answer.to_vtt()
        case ExportFormat.CSV:
            return answer.to_csv()


def _attachment(video: str, *, suffix: str) -> str:
    """Name the file after the video: in ASCII, and in UTF-8 for clients that support RFC 6266."""
    stem = _stem(video)
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    ascii_stem = _stem(f"{ascii_stem}.{suffix}")  # normalizing makes plain quotes and slashes of full-width ones
    return f"attachment; filename=\"{ascii_stem}.{suffix}\"; filename*=UTF-8''{quote(stem, safe='')}.{suffix}"


def _stem(video: str) -> str:
    """Return the video's file name without its suffix. `video` is a file's name or id, a path, a URL, or words."""
    name = unquote(video) if "://" in video else video
    name = re.split(r"[/\\]", name.rstrip("/"))[-1]
    words = _UNSAFE_IN_FILE_NAMES.sub(" ", _SUFFIX.sub("", name)).split()
    return " ".join(words)[:MAX_STEM_CHARACTERS].strip(" .") or DEFAULT_STEM
