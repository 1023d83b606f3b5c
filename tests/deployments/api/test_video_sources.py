"""Parse the one video of a request."""

from __future__ import annotations

import io

import pytest

from deployments.api.video_sources import FormFile, FrameList, RequestedVideo, public_name, requested_video
from pipeline.errors import InvalidRequest
from pipeline.sources import DataUrl
from pipeline.types import HttpUrl, HttpVideo, LocalVideo, S3Video, StoredVideo
from pipeline.video.frame_lists import DEFAULT_SAMPLE_FPS
from tests.deployments.api.wire import frame_list

FILE = FormFile(io.BytesIO(b"film"), "cat.mp4")
LIST, VIDEO = DataUrl(frame_list(b"a", b"b")), DataUrl("data:video/mp4;base64,AAAA")


@pytest.mark.parametrize(
    ("given", "video", "name"),
    [
        ({"url": "https://h/a.mp4?s=1"}, HttpVideo(HttpUrl("https", "h", None, "/a.mp4", "s=1")), "https://h/a.mp4"),
        ({"url": "s3://bucket/a.mp4"}, S3Video("bucket", "a.mp4"), "s3://bucket/a.mp4"),
        ({"url": VIDEO.url}, VIDEO, "a data: URL"),
        ({"url": LIST.url}, FrameList(LIST, DEFAULT_SAMPLE_FPS), "a list of images"),
        ({"url": LIST.url, "sample_fps": 0.5}, FrameList(LIST, 0.5), "a list of images"),
        ({"path": "cats/1.mp4"}, LocalVideo("cats/1.mp4"), "cats/1.mp4"),
        ({"path": ""}, LocalVideo(""), ""),
        ({"file_id": "file-1"}, StoredVideo("file-1"), "file-1"),
        ({"upload": FILE}, FILE, "cat.mp4"),
    ],
)
def test_each_way_to_give_a_video_has_its_variant(given: dict[str, object], video: RequestedVideo, name: str) -> None:
    assert requested_video(**given) == video  # type: ignore[arg-type]
    assert public_name(video) == name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "No video is given"),
        ({"sample_fps": 2.0}, "No video is given"),
        ({"url": "https://h/a.mp4", "path": "a.mp4"}, "More than one video is given"),
        ({"url": "no url", "upload": FILE}, "More than one video is given"),
        ({"path": "", "file_id": "file-1"}, "More than one video is given"),
        ({"url": "no url"}, "The URL has no scheme"),
    ],
)
def test_one_video_is_needed(given: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        requested_video(**given)  # type: ignore[arg-type]
    assert caught.value.param == "video_url"


@pytest.mark.parametrize("given", [{"url": "https://h/a.mp4"}, {"url": VIDEO.url}, {"path": "a"}, {"upload": FILE}])
def test_a_rate_is_for_lists_of_images(given: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="fps and nframes say how many") as caught:
        requested_video(**given, sample_fps=2.0)  # type: ignore[arg-type]
    assert caught.value.param == "sample_fps"
