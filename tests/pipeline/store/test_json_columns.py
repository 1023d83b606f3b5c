"""What is stored comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.analysis import AnalysisJob
from pipeline.store import StoredJob
from pipeline.store.json_columns import CHUNK_ANSWERS, JOBS
from pipeline.types import ChunkFailure, HttpUrl, HttpVideo, LocalVideo, S3Video, StoredVideo, VideoSource
from tests.pipeline.store.samples import ANSWER, job


@pytest.mark.parametrize(
    "source",
    [
        LocalVideo("a/b.mp4"),
        HttpVideo(HttpUrl.parse("https://h/a.mp4?s=1")),
        S3Video("bucket", "a key"),
        StoredVideo("file-1", True),
    ],
)
def test_a_job_comes_back(source: VideoSource) -> None:
    stored = StoredJob(job(source), include_video_metadata=True)
    assert JOBS.load(JOBS.dump(stored)) == stored


@pytest.mark.parametrize("answer", [ANSWER, replace(ANSWER, text=None, failure=ChunkFailure("decode_failed", "No."))])
def test_a_chunk_answer_comes_back(answer: object) -> None:
    text = CHUNK_ANSWERS.dump(answer)  # type: ignore[arg-type]
    assert "\0" not in text
    assert CHUNK_ANSWERS.load(text) == answer


def test_what_an_earlier_release_wrote_is_read() -> None:
    """Fields with a default may be missing."""
    text = json.loads(JOBS.dump(StoredJob(job())))
    del text["job"]["cache_salt"], text["job"]["token_sampling"]["adapter"]
    text["job"]["run"] = None  # the lease's former name
    loaded = JOBS.load(json.dumps(text)).job
    assert isinstance(loaded, AnalysisJob)
    assert (loaded.cache_salt, loaded.token_sampling.adapter, loaded.lease) == (None, None, None)


def test_a_url_is_stored_as_an_earlier_release_wrote_it() -> None:
    """As a string: it is parsed when it is loaded, and documents of both releases read alike."""
    url = "https://host:8443/a%20b.mp4?X-Amz-Signature=s"
    stored = StoredJob(job(HttpVideo(HttpUrl.parse(url))))
    text = JOBS.dump(stored)
    assert json.loads(text)["job"]["source"] == {"url": url}
    older = text.replace(url, "HTTPS://HOST:8443/a%20b.mp4?X-Amz-Signature=s#part")
    assert JOBS.load(older) == stored
