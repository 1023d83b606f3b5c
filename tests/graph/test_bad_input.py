"""Whatever is wrong with a request gets a 4xx that says what was got, what is allowed and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.graph.ffmpeg import ffmpeg

PROMPT = {"prompt": "What happens?"}


@pytest.fixture(scope="module", autouse=True)
def bad_files(media: Path) -> None:
    (media / "empty.mp4").write_bytes(b"")
    (media / "text.mp4").write_text("This is no video.\n" * 100)
    (media / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")
    (media / "folder.mp4").mkdir(exist_ok=True)
    (media / "link.mp4").unlink(missing_ok=True)
    (media / "link.mp4").symlink_to("/etc/passwd")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", media / "audio.mp4")
    content = (media / "short.mp4").read_bytes()
    ffmpeg("-i", media / "short.mp4", "-c", "copy", "-movflags", "+faststart", media / "moov_first.mp4")
    (media / "cut_without_index.mp4").write_bytes(content[: len(content) // 2])
    first = (media / "moov_first.mp4").read_bytes()
    (media / "cut_with_index.mp4").write_bytes(first[: len(first) // 2])
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=1", "-c:v", "ffv1", media / "ffv1.mkv")
    shutil.copy(media / "short.mp4", media.parent / "outside.mp4")


VIDEOS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"video_path": "nothing_here.mp4"}, 404, "source_not_found", "nothing_here.mp4"),
    ({"video_path": "/etc/passwd"}, 403, "source_forbidden", "media_roots"),
    ({"video_path": "../outside.mp4"}, 403, "source_forbidden", "media_roots"),
    ({"video_path": "link.mp4"}, 403, "source_forbidden", "media_roots"),
    ({"video_path": "folder.mp4"}, 403, "source_forbidden", "regular file"),
    ({"video_path": "empty.mp4"}, 422, "unreadable_video", "empty"),
    ({"video_path": "text.mp4"}, 415, "unsupported_media", "MP4"),
    ({"video_path": "playlist.mp4"}, 415, "unsupported_media", "MP4"),
    ({"video_path": "audio.mp4"}, 415, "unsupported_media", "audio"),
    ({"video_path": "ffv1.mkv"}, 415, "unsupported_media", "ffv1"),
    ({"video_path": "cut_without_index.mp4"}, 422, "unreadable_video", "cut off"),
    ({"video_path": "cut_with_index.mp4"}, 422, "unreadable_video", "132"),
    ({"video_url": "ftp://example.org/a.mp4"}, 400, "invalid_request", "s3"),
    ({"video_url": "file:///etc/passwd"}, 400, "invalid_request", "video_path"),
    ({"video_url": "nonsense"}, 400, "invalid_request", "http"),
    ({"video_url": "data:video/mp4;base64,????"}, 400, "invalid_request", "base64"),
    ({"video_url": "data:video/mp4;base64," + "A" * 6_000_000}, 413, "source_too_large", "4194304"),
    ({"video_url": "http://127.0.0.1:9/a.mp4"}, 424, "source_unavailable", "127.0.0.1"),
    ({"video_url": "s3://films/nothing.mp4"}, 404, "source_not_found", "nothing.mp4"),
    ({"file_id": "file-000000000000000000000000"}, 404, "source_not_found", "upload"),
    ({"file_id": "../../etc/passwd"}, 404, "source_not_found", "upload"),
    ({}, 400, "invalid_request", "video_url"),
    ({"video_path": "short.mp4", "file_id": "file-0"}, 400, "invalid_request", "one of"),
]


@pytest.mark.parametrize(("fields", "status", "kind", "words"), VIDEOS, ids=lambda value: str(value)[:60])
def test_a_bad_video(
    client: httpx.Client, media: Path, fields: dict[str, Any], status: int, kind: str, words: str
) -> None:
    error = refused(client.post("/v1/analyses", json=PROMPT | fields), status, media)
    assert error["type"] == kind
    assert words in error["message"]


PARAMETERS: list[tuple[dict[str, Any], str, str]] = [
    ({"fps": 0}, "fps", "greater than 0"),
    ({"fps": 100_000}, "fps", "60"),
    ({"fps": "fast"}, "fps", "number"),
    ({"fps": 1, "nframes": 8}, "fps", "nframes"),
    ({"nframes": 1}, "nframes", "greater than or equal to 2"),
    ({"chunk_duration": 0}, "chunk_duration", "greater than or equal to 1"),
    ({"chunk_duration": 1e9}, "chunk_duration", "3600"),
    ({"chunk_overlap": -1}, "chunk_overlap", "greater than or equal to 0"),
    ({"chunk_duration": 10, "chunk_overlap": 10}, "chunk_overlap", "shorter"),
    ({"max_frames_per_chunk": 0}, "max_frames_per_chunk", "greater than or equal to 2"),
    ({"video_start": 4, "video_end": 2}, "video_end", "after video_start"),
    ({"video_start": -1}, "video_start", "greater than or equal to 0"),
    ({"video_start": 500}, "video_start", "ends at 5.280 s"),
    ({"min_pixels": 400_000, "max_pixels": 200_000}, "max_pixels", "min_pixels"),
    ({"max_pixels": 10**9}, "max_pixels", "786432"),
    ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
    ({"max_tokens": 10**6}, "max_tokens", "16384"),
    ({"temperature": -0.1}, "temperature", "greater than or equal to 0"),
    ({"top_p": 0}, "top_p", "greater than 0"),
    ({"top_k": -5}, "top_k", "greater than or equal to -1"),
    ({"seed": -1}, "seed", "greater than or equal to 0"),
    ({"chunk_size": 60}, "chunk_size", "chunk_duration"),
    ({"prompt": ""}, "prompt", "empty"),
    ({"prompt": "<|im_end|>"}, "prompt", "<|im_end|>"),
    ({"aggregation_prompt": " "}, "aggregation_prompt", "empty"),
]


@pytest.mark.parametrize(("fields", "param", "words"), PARAMETERS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_bad_parameter(
    client: httpx.Client, media: Path, fields: dict[str, Any], param: str, words: str, stream: bool
) -> None:
    body = PROMPT | {"video_path": "short.mp4", "stream": stream} | fields
    error = refused(client.post("/v1/analyses", json=body), 400, media)
    assert error["param"] == param
    assert words in error["message"]


def test_a_body_that_is_no_json_object(client: httpx.Client, media: Path) -> None:
    refused(client.post("/v1/analyses", content=b"{", headers={"content-type": "application/json"}), 400, media)
    refused(client.post("/v1/analyses", json=[1]), 400, media)


def test_an_unknown_route(client: httpx.Client, media: Path) -> None:
    refused(client.get("/v2/analyses"), 404, media)


def refused(response: httpx.Response, status: int, media: Path) -> dict[str, Any]:
    """The error, which has the one shape and gives nothing away."""
    assert response.status_code == status, response.text
    (error,) = response.json().values()
    assert set(error) == {"type", "message", "param"}
    for secret in (str(media), "Traceback", "0x7f", "ray::", "site-packages"):
        assert secret not in response.text
    assert response.headers["x-request-id"]
    return dict(error)
