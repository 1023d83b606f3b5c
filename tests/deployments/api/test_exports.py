"""Downloads of stored analyses: their content, their file names, and analyses without an answer."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient

from deployments.api.exports import ExportFormat
from deployments.api.service import Service
from longtake import Answer
from longtake.parsing import parsed
from pipeline.analysis import PlanReady
from pipeline.errors import DecodeFailed
from tests.deployments.api.fakes import PLAN, done
from tests.deployments.api.storing import ROUTE, ask, claimed_from, journal_of
from tests.deployments.api.uploading import upload
from tests.deployments.api.wire import error_of

TIMED = done("[00:05] Ein Kätzchen --> da. 66.3 Regen.")
FULL_WIDTH = "a\uff02; filename=\uff02b\uff0f..\uff3cc"
"""Normalizes to quotes, a slash and a backslash."""
UNSUPPORTED = "⚠ no chunk's answer supports this time"


def completed(client: TestClient, service: Service, **fields: Any) -> str:
    """The id of a stored analysis that ended with the answer TIMED."""
    analysis_id = str(ask(client, **fields)["id"])
    journal = journal_of(service, claimed_from(service))

    async def run() -> None:
        await journal.record(PlanReady(PLAN))
        await journal.record(TIMED)

    asyncio.run(run())
    return analysis_id


def exported(client: TestClient, analysis_id: str, kind: str) -> str:
    response = client.get(f"{ROUTE}/{analysis_id}/export", params={"format": kind})
    assert response.status_code == 200, response.text
    return response.content.decode()


def test_json_is_the_result(client: TestClient, service: Service) -> None:
    analysis_id = completed(client, service)
    text = exported(client, analysis_id, "json")
    assert json.loads(text) == client.get(f"{ROUTE}/{analysis_id}").json()["result"]
    assert "Kätzchen" in text and text.startswith("{\n  ")


def test_subtitles(client: TestClient, service: Service) -> None:
    analysis_id = completed(client, service)
    assert exported(client, analysis_id, "srt") == (
        "1\n00:00:05,000 --> 00:01:06,300\nEin Kätzchen → da.\n\n"
        f"2\n00:01:06,300 --> 00:01:58,000\nRegen. ({UNSUPPORTED})\n"
    )
    assert exported(client, analysis_id, "vtt") == (
        "WEBVTT\n\n00:00:05.000 --> 00:01:06.300\nEin Kätzchen --&gt; da.\n\n"
        f"00:01:06.300 --> 00:01:58.000\nRegen. ({UNSUPPORTED})\n"
    )


def test_csv(client: TestClient, service: Service) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(client, completed(client, service), "csv"))))
    assert rows == [
        {"start": "5.000", "end": "66.300", "text": "Ein Kätzchen --> da.", "supported": "true", "chunk_index": "0"},
        {"start": "66.300", "end": "118.000", "text": "Regen.", "supported": "false", "chunk_index": ""},
    ]


def test_markdown(client: TestClient, service: Service) -> None:
    text = exported(client, completed(client, service, prompt="What\nhappens?"), "md")
    assert text.startswith("# What happens?\n\n- **[00:05]** Ein Kätzchen --> da.\n- **[01:06]** ⚠ Regen.\n\n")
    assert "**Not answered:** 00:58 – 01:58: No frame could be decoded." in text


def test_downloads_are_what_the_client_renders(client: TestClient, service: Service) -> None:
    analysis_id = completed(client, service)
    answer = parsed(Answer, client.get(f"{ROUTE}/{analysis_id}").json()["result"])
    assert exported(client, analysis_id, "srt") == answer.to_srt()
    assert exported(client, analysis_id, "vtt") == answer.to_vtt()
    assert exported(client, analysis_id, "csv") == answer.to_csv()
    assert exported(client, analysis_id, "md") == answer.to_markdown("What happens?", level=1)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("json", "application/json"),
        ("md", "text/markdown; charset=utf-8"),
        ("srt", "application/x-subrip; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8; header=present"),
    ],
)
def test_files_have_their_media_type_and_suffix(
    client: TestClient, service: Service, kind: str, media_type: str
) -> None:
    response = client.get(f"{ROUTE}/{completed(client, service)}/export", params={"format": kind})
    assert response.headers["content-type"] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (
        response.headers["content-disposition"] == f"attachment; filename=\"cat.{kind}\"; filename*=UTF-8''cat.{kind}"
    )


@pytest.mark.parametrize(
    ("video", "ascii_name", "name"),
    [
        ({"video_path": "films/Über uns.2024.mp4"}, "Uber uns.2024.srt", "Über uns.2024.srt"),
        ({"video_url": "https://example.com/a/caf%C3%A9%22.webm?signature=secret"}, "cafe.srt", "café.srt"),
        ({"video_url": "s3://films/猫/猫.mkv"}, "answer.srt", "猫.srt"),
        ({"video_url": "https://example.com/..%2F..%2F"}, "answer.srt", "answer.srt"),
        ({"video_path": f"{FULL_WIDTH}.mp4"}, "c.srt", f"{FULL_WIDTH}.srt"),
        ({"video_url": "data:video/mp4;base64,AAAA"}, "a data URL.srt", "a data URL.srt"),
        ({"video_path": f"{'x' * 300}.mp4"}, f"{'x' * 80}.srt", f"{'x' * 80}.srt"),
    ],
)
def test_files_are_called_as_the_video(
    client: TestClient, service: Service, video: dict[str, str], ascii_name: str, name: str
) -> None:
    analysis_id = completed(client, service, **{"video_url": None} | video)
    kind, quoted, encoded = disposition(client, analysis_id).split("; ")
    assert (kind, quoted) == ("attachment", f'filename="{ascii_name}"')
    assert unquote(encoded.removeprefix("filename*=UTF-8''")) == name


def test_a_file_about_an_upload_is_called_as_the_upload(client: TestClient, service: Service) -> None:
    file_id = upload(client, name="Über uns.mp4")["id"]
    analysis_id = completed(client, service, video_url=None, file_id=file_id)
    assert 'filename="Uber uns.srt"' in disposition(client, analysis_id)
    client.delete(f"/v1/files/{file_id}")
    assert f'filename="{file_id}.srt"' in disposition(client, analysis_id)


def disposition(client: TestClient, analysis_id: str) -> str:
    return client.get(f"{ROUTE}/{analysis_id}/export?format=srt").headers["content-disposition"]


def test_only_a_completed_analysis_has_an_answer(client: TestClient, service: Service) -> None:
    analysis_id = ask(client)["id"]
    error = error_of(client.get(f"{ROUTE}/{analysis_id}/export?format=srt"), 409)
    assert error["type"] == "analysis_not_completed" and "queued" in error["message"]
    journal = journal_of(service, claimed_from(service))
    asyncio.run(journal.fail(DecodeFailed("No frame.")))
    assert "failed" in error_of(client.get(f"{ROUTE}/{analysis_id}/export?format=srt"), 409)["message"]


def test_an_unknown_analysis(client: TestClient) -> None:
    assert error_of(client.get(f"{ROUTE}/analysis-0/export?format=srt"), 404)["type"] == "analysis_not_found"


def test_an_unknown_format_names_the_known_ones(client: TestClient, service: Service) -> None:
    route = f"{ROUTE}/{completed(client, service)}/export"
    error = error_of(client.get(route, params={"format": "docx"}), 400)
    assert (error["type"], error["param"]) == ("invalid_request", "format")
    assert all(f"'{kind}'" in error["message"] for kind in ExportFormat)
    assert error_of(client.get(route), 400)["param"] == "format"


def test_the_route_is_documented(client: TestClient) -> None:
    route = client.get("/openapi.json").json()["paths"]["/v1/analyses/{analysis_id}/export"]["get"]
    assert {"application/json", "application/x-subrip; charset=utf-8"} <= set(route["responses"]["200"]["content"])
    (parameter,) = [parameter for parameter in route["parameters"] if parameter["name"] == "format"]
    assert parameter["required"]
