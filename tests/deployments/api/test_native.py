"""`POST /v1/analyses`, and what all dialects share: errors, bodies, uploads."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from ray.exceptions import RayTaskError

from deployments.api.native import AnalysisRequest
from deployments.api.options import AnalysisOptions
from deployments.config import AppSettings
from deployments.model_choice import DEMO_DEFAULTS, choose_model
from pipeline import errors
from pipeline.analysis import PlanReady
from pipeline.answers.prompting import CITING_MERGE_INSTRUCTION, DEFAULT_MERGE_INSTRUCTION
from pipeline.planning.visual_tokens import DEFAULT_TOTAL_PIXELS
from pipeline.types import HttpVideo, JsonFormat, LocalVideo, Prompt, S3Video, StoredVideo
from tests.deployments.api.fakes import ANSWERED, FAILED, PLAN, WHOLE, FakeOrchestrator, done
from tests.deployments.api.wire import check_discreet, error_of, events_of, frame_list

ROUTE = "/v1/analyses"
ASKED = {"prompt": "What happens?", "video_url": "https://example.com/cat.mp4"}
VIDEO_BYTES = b"\0\0\0\x18ftypisom" + b"\0" * 2000

VIDEO_INFO = {
    "width": 1280,
    "height": 720,
    "fps": 25.0,
    "duration": 118.0,
    "total_frames": 2950,
    "codec": "h264",
}
CHUNK_RESULT = {
    "chunk_index": 0,
    "start_time": 0.0,
    "end_time": 60.0,
    "success": True,
    "response": "A cat sits.",
    "times": [],
    "processing_time": 5.0,
    "decode_seconds": 1.5,
    "inference_seconds": 2.5,
    "queue_seconds": 1.0,
    "num_frames": 3,
    "missing_frames": [1.5],
    "degraded": True,
    "decoder": "pyav",
    "attempts": 2,
    "decode_reused": False,
    "answer_reused": False,
    "prompt_tokens": 100,
    "cached_tokens": 0,
    "completion_tokens": 7,
    "finish_reason": "stop",
    "error": None,
    "video_metadata": None,
}
VIDEO_METADATA = {
    "fps": 25.0004,
    "frames_indices": [0, 2, 3],  # the one between could not be decoded
    "total_num_frames": 2950,
    "video_backend": "pyav",
    "frame_times": [0.0, 2.0, 3.0],
}
FAILED_RESULT = {
    "chunk_index": 1,
    "start_time": 58.0,
    "end_time": 118.0,
    "success": False,
    "response": None,
    "times": [],
    "processing_time": 3.0,
    "decode_seconds": 0.0,
    "inference_seconds": 0.0,
    "queue_seconds": 0.0,
    "num_frames": 0,
    "missing_frames": [],
    "degraded": False,
    "decoder": None,
    "attempts": 4,
    "decode_reused": False,
    "answer_reused": False,
    "prompt_tokens": 0,
    "cached_tokens": 0,
    "completion_tokens": 0,
    "finish_reason": None,
    "error": {"type": "decode_failed", "message": "No frame could be decoded."},
    "video_metadata": None,
}
ANALYSIS = {
    "success": True,
    "model": "longtake-demo",
    "video_info": VIDEO_INFO,
    "num_chunks": 2,
    "chunk_results": [CHUNK_RESULT, FAILED_RESULT],
    "aggregated_response": "A cat sits all day.",
    "citations": [
        {"text": "[00:05]", "time": 5.0, "start": 0, "stop": 7, "supported": True, "chunk_index": 0},
        {"text": "1.2", "time": 1.2, "start": 8, "stop": 11, "supported": False, "chunk_index": None},
    ],
    "timed_results": [
        {
            "start_time": 0.0,
            "end_time": 60.0,
            "text": "A cat sits.",
            "supported": True,
            "chunk_index": 0,
            "start": None,
            "stop": None,
        }
    ],
    "aggregation_error": None,
    "finish_reason": "stop",
    "logprobs": None,
    "merge_levels": 1,
    "merge_seconds": 0.5,
    "coverage": {
        "requested_fps": 2.0,
        "effective_fps": 0.05,
        "frames_used": 3,
        "uncovered": [[60.0, 118.0]],
        "failed_chunks": [1],
        "notices": ["A notice."],
    },
    "partial": True,
    "total_successful_chunks": 1,
    "total_processing_time": 6.0,
    "seed": 42,
    "usage": {
        "prompt_tokens": 150,
        "completion_tokens": 20,
        "total_tokens": 170,
        "prompt_tokens_details": {"cached_tokens": 0},
    },
}


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_answer_field_by_field(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42})
    assert response.status_code == 200
    body = response.json()
    assert "generated films" in body.pop("notice")  # the demo model's
    assert body == ANALYSIS


def test_video_metadata_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"include_video_metadata": True}
    whole = client.post(ROUTE, json=asked).json()
    events = events_of(client.post(ROUTE, json=asked | {"stream": True}).text)
    streamed = [data for name, data in events if name == "chunk"]
    for results in (whole["chunk_results"], streamed, events[-1][1]["chunk_results"]):
        assert [result["video_metadata"] for result in results] == [VIDEO_METADATA, None]


def test_nothing_was_answered(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(FAILED,)))
    body = client.post(ROUTE, json=ASKED).json()
    assert (body["success"], body["partial"], body["aggregated_response"]) == (False, True, None)


def test_a_failed_merge_keeps_the_chunks_answers(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(ANSWERED,), answer_error="No room."))
    body = client.post(ROUTE, json=ASKED).json()
    assert (body["success"], body["partial"], body["aggregation_error"]) == (True, True, "No room.")
    assert body["chunk_results"][0]["response"] == "A cat sits."


def test_stream_tells_things_as_they_happen(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42, "stream": True})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    answer = events[-1][1]
    answer.pop("notice")
    assert events == [
        (
            "plan",
            {
                "video_info": VIDEO_INFO,
                "num_chunks": 2,
                "chunk_duration": 60.0,
                "chunks": [
                    {
                        "chunk_index": 0,
                        "start_time": 0.0,
                        "end_time": 60.0,
                        "num_frames": 4,
                        "width": 1152,
                        "height": 640,
                    },
                    {
                        "chunk_index": 1,
                        "start_time": 58.0,
                        "end_time": 118.0,
                        "num_frames": 4,
                        "width": 1152,
                        "height": 640,
                    },
                ],
                "notices": ["A notice."],
            },
        ),
        ("chunk", CHUNK_RESULT),
        ("progress", {"stage": "chunks", "chunks_done": 1, "num_chunks": 2}),
        ("chunk", FAILED_RESULT),
        ("progress", {"stage": "chunks", "chunks_done": 2, "num_chunks": 2}),
        ("progress", {"stage": "merging", "chunks_done": 2, "num_chunks": 2}),
        ("delta", {"text": "A cat sits "}),
        ("delta", {"text": "all day."}),
        ("answer", ANALYSIS),
    ]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (errors.ReplicaLost("A replica was lost."), "replica_lost"),
        (RuntimeError("/secret/host_path"), "internal_error"),
        (RayTaskError("analyze", "Traceback", errors.EngineFailed("refused")).as_instanceof_cause(), "engine_failed"),
    ],
)
def test_a_stream_that_breaks_says_so(
    failure: Exception, kind: str, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = (*WHOLE[:2], failure)
    response = client.post(ROUTE, json=ASKED | {"stream": True})
    *_, (name, data) = events_of(response.text)
    assert name == "error"
    assert set(data) == {"error"}
    assert data["error"]["type"] == kind
    check_discreet(response.text)


def test_what_is_wrong_with_the_video_is_no_stream(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.UnreadableVideo("The video was cut off.", param="video_url"),)
    error = error_of(client.post(ROUTE, json=ASKED | {"stream": True}), 422)
    assert error == {"type": "unreadable_video", "message": "The video was cut off.", "param": "video_url"}


# --- What reaches the Orchestrator ------------------------------------------------------------------------------------


def test_defaults(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    assert client.post(ROUTE, json=ASKED).status_code == 200
    (job,) = orchestrator.jobs
    assert job.source == HttpVideo("https://example.com/cat.mp4")
    assert job.prompt == Prompt("What happens?")
    assert (job.aggregate, job.merge_instruction) == (True, DEFAULT_MERGE_INSTRUCTION)
    chunking, sampling = job.chunking, job.chunking.frame_sampling
    assert chunking.chunk_duration_seconds == DEMO_DEFAULTS.chunk_duration_seconds == 30.0
    assert chunking.chunk_overlap_seconds == 2.0
    assert (chunking.video_start_seconds, chunking.video_end_seconds) == (0.0, None)
    assert (sampling.fps, sampling.nframes, sampling.max_frames_per_chunk) == (2.0, None, 768)
    assert (sampling.min_pixels, sampling.max_pixels) == (DEMO_DEFAULTS.min_pixels, DEMO_DEFAULTS.max_pixels)
    assert sampling.total_pixels == DEFAULT_TOTAL_PIXELS
    assert (job.token_sampling.max_tokens, job.token_sampling.temperature) == (512, DEMO_DEFAULTS.temperature)


@pytest.mark.parametrize(
    ("model", "fields", "instruction", "asks_for_times"),
    [
        ("auto", {}, DEFAULT_MERGE_INSTRUCTION, False),  # the embedded one: it knows the words it was taught
        ("Qwen/Qwen3-VL-8B-Instruct", {}, CITING_MERGE_INSTRUCTION, True),
        ("Qwen/Qwen3-VL-8B-Instruct", {"response_format": {"type": "json_object"}}, DEFAULT_MERGE_INSTRUCTION, False),
        (
            "Qwen/Qwen3-VL-8B-Instruct",
            {"response_format": {"type": "json_object"}, "chunk_response_format": {"type": "text"}},
            DEFAULT_MERGE_INSTRUCTION,
            True,
        ),
        ("Qwen/Qwen3-VL-8B-Instruct", {"aggregation_prompt": "Sing them."}, "Sing them.", True),
    ],
)
def test_who_is_asked_to_cite_times(model: str, fields: dict[str, Any], instruction: str, asks_for_times: bool) -> None:
    served = choose_model(AppSettings(model=model), num_gpus=0, vllm_has_cuda=False)
    options = AnalysisOptions.model_validate(fields)
    job = options.job(HttpVideo("https://example.com/cat.mp4"), Prompt("What happens?"), served)
    assert (job.merge_instruction, job.asks_for_times) == (instruction, asks_for_times)


def test_the_seed_that_was_picked_is_told(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    seeds = {client.post(ROUTE, json=ASKED).json()["seed"] for _ in range(5)}
    assert seeds == {job.token_sampling.seed for job in orchestrator.jobs}
    assert len(seeds) > 1


def test_the_model_that_is_asked_for_is_told(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    told = [client.post(ROUTE, json=ASKED | extra).json()["model"] for extra in ({}, {"model": "sports"})]
    assert told == ["longtake-demo", "sports"]
    assert [job.token_sampling.adapter for job in orchestrator.jobs] == [None, "sports"]
    error = error_of(client.post(ROUTE, json=ASKED | {"model": "weather"}), 404)
    assert error == {
        "type": "unknown_model",
        "message": "The model is 'weather'; 'longtake-demo', 'sports' are those served here.",
        "param": "model",
    }


def test_every_option_arrives(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    asked = {
        "model": "sports",
        "max_tokens": 99,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": -1,
        "seed": 7,
        "presence_penalty": 1.5,
        "frequency_penalty": -0.5,
        "stop": ["END"],
        "response_format": {"type": "json_object"},
        "chunk_response_format": {"type": "text"},
        "logprobs": True,
        "top_logprobs": 3,
        "cache_salt": "mine",
        "chunk_duration": 30.5,
        "chunk_overlap": 0,
        "nframes": 12,
        "max_frames_per_chunk": 64,
        "min_pixels": 2048,
        "max_pixels": 4096,
        "total_pixels": 100_000,
        "min_frames": 6,
        "resized_height": 320,
        "resized_width": 640,
        "video_start": 1.5,
        "video_end": 90,
        "aggregate": False,
        "aggregation_prompt": "List them.",
        "include_video_metadata": True,
    }
    assert set(asked) | {"fps", "sample_fps"} == set(AnalysisOptions.model_fields)
    assert client.post(ROUTE, json=ASKED | asked).status_code == 200
    (job,) = orchestrator.jobs
    tokens, chunking, sampling = job.token_sampling, job.chunking, job.chunking.frame_sampling
    assert (tokens.max_tokens, tokens.temperature, tokens.top_p, tokens.top_k, tokens.seed) == (99, 0, 0.5, -1, 7)
    assert (tokens.presence_penalty, tokens.frequency_penalty, tokens.stop) == (1.5, -0.5, ("END",))
    assert job.cache_salt == "mine"
    assert (tokens.json_format, tokens.num_logprobs) == (JsonFormat(), 3)
    assert job.chunk_token_sampling == replace(tokens, json_format=None, num_logprobs=None)
    assert (chunking.chunk_duration_seconds, chunking.chunk_overlap_seconds) == (30.5, 0)
    assert (chunking.video_start_seconds, chunking.video_end_seconds) == (1.5, 90)
    assert (sampling.fps, sampling.nframes, sampling.max_frames_per_chunk) == (None, 12, 64)
    assert (sampling.min_pixels, sampling.max_pixels, sampling.total_pixels) == (2048, 4096, 100_000)
    assert (sampling.min_frames, sampling.resized_px) == (6, (320, 640))
    assert (job.aggregate, job.merge_instruction) == (False, "List them.")


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def test_a_schema_arrives_for_the_answer_and_for_the_chunks(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}
    assert client.post(ROUTE, json=ASKED | {"response_format": wanted}).status_code == 200
    fields = {"prompt": "What?", "response_format": json.dumps(wanted)}
    assert client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES)}).status_code == 200
    for job in orchestrator.jobs:
        assert job.token_sampling.json_format == job.chunk_token_sampling.json_format == JsonFormat(json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"type": "xml"}, "'text', 'json_object' or 'json_schema'"),
        ({"type": "json_schema"}, "json_schema is not given"),
        ({"type": "text", "json_schema": {"schema": {}}}, "with no other"),
        ({"type": "json_schema", "json_schema": {"schema": {"type": "number-ish"}}}, "no JSON schema: 'number-ish'"),
        ({"type": "json_schema", "json_schema": {"schema": {"title": "x" * 70_000}}}, "65536 are allowed"),
        ("{broken", "response_format"),
    ],
)
def test_a_format_that_cannot_be_is_refused(wanted: object, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"response_format": wanted}), 400)
    assert error["param"].startswith("response_format")
    assert words in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("stop", [""]), ("stop", ["x"] * 17), ("presence_penalty", 2.1), ("top_logprobs", 21), ("frequency_penalty", -3)],
)
def test_a_bound_is_named(field: str, value: object, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"logprobs": True, field: value}), 400)
    assert error["param"].startswith(field)


def test_who_comes_to_a_full_server_is_told_when_to_come_again(
    client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = (errors.EngineBusy("100 analyses are under way, the most allowed here."),)
    response = client.post(ROUTE, json=ASKED)
    assert error_of(response, 429)["type"] == "engine_busy"
    assert int(response.headers["Retry-After"]) > 0


def test_top_logprobs_need_logprobs(client: TestClient) -> None:
    assert error_of(client.post(ROUTE, json=ASKED | {"top_logprobs": 2}), 400)["param"] == "logprobs"


@pytest.mark.parametrize(
    ("field", "value", "source"),
    [
        ("video_url", "s3://bucket/cats/1.mp4", S3Video("bucket", "cats/1.mp4")),
        ("video_path", "cats/1.mp4", LocalVideo("cats/1.mp4")),
        ("file_id", "file-1", StoredVideo("file-1")),
    ],
)
def test_ways_to_name_a_video(
    field: str, value: str, source: object, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = WHOLE if field != "file_id" else (*WHOLE, WHOLE[-1])  # its last event is never asked for
    assert client.post(ROUTE, json={"prompt": "What?", field: value}).status_code == 200
    assert orchestrator.jobs[0].source == source


def test_form_with_a_file(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    fields = {"prompt": "What happens?", "fps": "0.5", "aggregate": "false"}
    response = client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES, "video/mp4")})
    assert response.status_code == 200, response.text
    (job,) = orchestrator.jobs
    assert isinstance(job.source, StoredVideo)
    assert job.chunking.frame_sampling.fps == 0.5
    assert job.aggregate is False
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_form_without_a_file(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    parts = "".join(f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in ASKED.items())
    assert client.post(ROUTE, content=f"{parts}--x--\r\n", headers=boundary).status_code == 200
    assert orchestrator.jobs[0].source == HttpVideo("https://example.com/cat.mp4")


def test_data_url(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(VIDEO_BYTES[:700]).decode()
    assert client.post(ROUTE, json={"prompt": "What?", "video_url": url}).status_code == 200
    assert orchestrator.uploaded == [VIDEO_BYTES[:700]]
    assert list(uploads.iterdir()) == []


def tiny_jpeg(side_px: int = 16) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side_px, side_px)).save(file, "JPEG", optimize=True)
    return file.getvalue()


@pytest.mark.parametrize(("options", "fps"), [({}, 2.0), ({"sample_fps": 0.5}, 0.5), ({"sample_fps": 29.97}, 29.97)])
def test_frame_list(
    options: dict[str, float], fps: float, client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    asked = {"prompt": "What?", "video_url": frame_list(*[tiny_jpeg()] * 3), **options}
    response = client.post(ROUTE, json=asked)
    assert response.status_code == 200, response.text
    (job,) = orchestrator.jobs
    assert isinstance(job.source, StoredVideo) and job.source.is_frame_list
    assert job.chunking.frame_sampling.takes_all
    with av.open(io.BytesIO(orchestrator.uploaded[0])) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(fps)
    assert packets == [tiny_jpeg()] * 3
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("options", [{"fps": 1}, {"nframes": 4}])
def test_a_frame_list_is_thinned_where_that_is_asked_for(
    options: dict[str, float], client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    client.post(ROUTE, json={"prompt": "What?", "video_url": frame_list(tiny_jpeg()), **options})
    sampling = orchestrator.jobs[0].chunking.frame_sampling
    assert (sampling.fps, sampling.nframes) == (options.get("fps"), options.get("nframes"))


@pytest.mark.parametrize(
    ("url", "status", "kind", "words"),
    [
        (frame_list(), 400, "invalid_request", "The list holds no frames"),
        (frame_list(tiny_jpeg(), b"no image"), 415, "unsupported_media", "Frame 1 of the list, counted from 0, is no"),
        (frame_list(tiny_jpeg(), tiny_jpeg(32)), 400, "invalid_request", "Frame 1 of the list, counted from 0, is a"),
        (frame_list(tiny_jpeg()) + ",", 415, "unsupported_media", "Frame 1 of the list, counted from 0, is no"),
        (frame_list(tiny_jpeg()) + ",?", 400, "invalid_request", "Frame 1 of the list, counted from 0, is not valid"),
        (frame_list(*[tiny_jpeg()] * 40), 413, "source_too_large", "more than 1024 bytes"),
    ],
)
def test_a_frame_list_that_cannot_be_used(
    url: str, status: int, kind: str, words: str, client: TestClient, uploads: Path
) -> None:
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "video_url": url}), status)
    assert (error["type"], error["param"]) == (kind, "video_url")
    assert words in error["message"]
    assert not uploads.exists() or list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    "video",
    [
        {"video_url": "https://example.com/cat.mp4"},
        {"video_url": "data:video/mp4;base64,AAAA"},
        {"video_path": "cat.mp4"},
        {"file_id": "file-1"},
    ],
)
def test_sample_fps_is_for_frame_lists(video: dict[str, str], client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "sample_fps": 2, **video}), 400)
    assert (error["type"], error["param"]) == ("invalid_request", "sample_fps")
    assert "fps and nframes say how many" in error["message"]


# --- Temporary uploads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("place", [0, 1, 4])
def test_an_upload_is_gone_after_a_failure(
    stream: str, place: int, client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    orchestrator.events = (*WHOLE[:place], errors.EngineFailed("refused"))
    client.post(ROUTE, data={"prompt": "What?", "stream": stream}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_an_upload_is_gone_after_its_stream(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    fields = {"prompt": "What?", "stream": "true"}
    response = client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert events_of(response.text)[-1][0] == "answer"
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_a_refused_prompt_leaves_no_upload(client: TestClient, uploads: Path) -> None:
    error_of(client.post(ROUTE, data={"prompt": " "}, files={"video": ("cat.mp4", VIDEO_BYTES)}), 400)
    assert list(uploads.iterdir()) == []


async def test_an_upload_is_gone_when_the_client_leaves(
    app: FastAPI, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    """A client that closes its connection in the middle of a stream, by the ASGI protocol itself."""
    orchestrator.wait = asyncio.Event()  # never set: the plan comes, and then nothing
    head = 'content-disposition: form-data; name="{}"{}\r\n\r\n'
    parts = [
        head.format("prompt", "").encode() + b"What?",
        head.format("stream", "").encode() + b"true",
        head.format("video", '; filename="cat.mp4"').encode() + VIDEO_BYTES,
    ]
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    got_plan = asyncio.Event()
    messages: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if message := next(messages, None):
            return message
        await got_plan.wait()
        assert len(os.listdir(uploads)) == 1
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if b"event: plan" in message.get("body", b""):
            got_plan.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": ROUTE,
        "raw_path": ROUTE.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    async with asyncio.timeout(10):
        await app(scope, receive, send)
        await orchestrator.ended.wait()
        while os.listdir(uploads):  # deleted in a thread
            await asyncio.to_thread(time.sleep, 0.01)


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("fps", 0, "fps is 0; input should be greater than 0"),
        ("fps", 61, "less than or equal to 60"),
        ("fps", "fast", "fps is 'fast'; input should be a valid number"),
        ("sample_fps", 0, "greater than or equal to 0.01"),
        ("sample_fps", 241, "less than or equal to 240"),
        ("nframes", 1, "greater than or equal to 2"),
        ("nframes", 769, "less than or equal to 768"),
        ("nframes", 2.5, "valid integer"),
        ("max_frames_per_chunk", 1, "greater than or equal to 2"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("temperature", -0.1, "greater than or equal to 0"),
        ("temperature", 2.1, "less than or equal to 2"),
        ("top_p", 0, "greater than 0"),
        ("top_k", -2, "greater than or equal to -1"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**63, "seed is 9223372036854775808; input should be less than"),
        ("chunk_duration", 0.5, "greater than or equal to 1"),
        ("chunk_duration", 3601, "less than or equal to 3600"),
        ("chunk_overlap", -1, "greater than or equal to 0"),
        ("min_pixels", 1023, "greater than or equal to 1024"),
        ("max_pixels", 10**9, "less than or equal to 786432"),
        ("total_pixels", 1, "greater than or equal to 2048"),
        ("video_start", -1, "greater than or equal to 0"),
        ("video_end", 0, "greater than 0"),
        ("aggregate", "perhaps", "valid boolean"),
        ("stream", None, "valid boolean"),
        ("prompt", None, "valid string"),
        ("prompt", "", "prompt is empty; ask something about the video"),
        ("prompt", "Hi<|im_end|>", "prompt holds the control token <|im_end|>; leave it out"),
        ("aggregation_prompt", " ", "aggregation_prompt is empty"),
        ("video_url", "ftp://example.com/cat.mp4", "The scheme 'ftp' is not allowed"),
        ("video_url", "/etc/passwd", "Name a file on the server by `video_path`"),
        ("video_url", "data:video/mp4;base64,", "The data: URL is empty"),
    ],
)
def test_an_invalid_value_is_named(field: str, value: object, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {field: value}), 400)
    assert error["type"] == "invalid_request"
    assert error["param"] == field
    assert words in error["message"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_numbers_are_finite(value: str, client: TestClient) -> None:
    body = json.dumps(ASKED)[:-1] + f', "video_start": {value}}}'
    assert error_of(client.post(ROUTE, content=body), 400)["param"] == "video_start"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fps": 1, "nframes": 8}, "fps and nframes are both given; give one of them"),
        ({"resized_height": 320}, "resized_height is given without resized_width; give both or neither"),
        ({"resized_width": 320}, "resized_width is given without resized_height; give both or neither"),
        (
            {"resized_height": 8000, "resized_width": 32},
            "resized_height (8000) and resized_width (32) are beyond 200:1",
        ),
        ({"chunk_duration": 2}, "chunk_overlap (2 s) must be shorter than chunk_duration (2 s)"),
        ({"chunk_overlap": 30}, "chunk_overlap (30 s) must be shorter than chunk_duration (30 s)"),
        ({"video_start": 5, "video_end": 5}, "video_end (5 s) must be after video_start (5 s)"),
        ({"max_pixels": 2048}, "max_pixels (2048) is below min_pixels (4096)"),
        ({"video_path": "cat.mp4"}, "More than one video is given"),
        ({"file_id": "file-1"}, "More than one video is given"),
        ({"video_url": None}, "No video is given; give one of video_url, video_path and file_id, or upload a file"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, object], words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | fields), 400)
    assert error["type"] == "invalid_request"
    assert words in error["message"]


def test_an_unknown_field_is_refused_with_the_known_ones(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"frames_per_second": 2}), 400)
    assert error["param"] == "frames_per_second"
    assert error["message"].startswith("frames_per_second is not a field; the fields are ")
    assert all(name in error["message"] for name in AnalysisRequest.model_fields)


def test_an_unknown_field_of_a_form_is_refused(client: TestClient) -> None:
    response = client.post(ROUTE, data={"prompt": "What?", "fsp": "2"}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert error_of(response, 400)["param"] == "fsp"


def test_all_that_is_wrong_is_said_at_once(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json={"fps": 0, "seed": -1}), 400)
    assert "prompt is missing" in error["message"]
    assert "seed is -1" in error["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b"\xff\xfe", "The body is not JSON"),
        (b"[1]", "The body is a JSON list; send an object"),
        (b'"prompt"', "The body is a JSON str; send an object"),
    ],
)
def test_a_body_that_is_no_object(body: bytes, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, content=body), 400)
    assert error["type"] == "invalid_request"
    assert words in error["message"]


def test_half_a_character_is_refused(client: TestClient) -> None:
    """JSON can hold it, UTF-8 cannot."""
    body = rb'{"prompt": "What \ud800?", "video_url": "https://example.com/cat.mp4"}'
    assert error_of(client.post(ROUTE, content=body), 400)["param"] == "prompt"


def test_half_a_character_in_a_fields_name_is_refused(client: TestClient) -> None:
    body = rb'{"prompt": "What?", "video_url": "https://example.com/cat.mp4", "\ud800": 1}'
    error_of(client.post(ROUTE, content=body), 400)


def test_a_deeply_nested_body_is_refused(client: TestClient) -> None:
    error_of(client.post(ROUTE, content=b'{"prompt": ' + b"[" * 100_000), 400)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=y"])
def test_a_form_that_is_none(content_type: str, client: TestClient) -> None:
    response = client.post(ROUTE, content=b"--x\r\nnot a form", headers={"content-type": content_type})
    assert error_of(response, 400)["type"] == "invalid_request"


def test_two_files_are_refused(client: TestClient, uploads: Path) -> None:
    files = [("video", ("a.mp4", VIDEO_BYTES)), ("video2", ("b.mp4", VIDEO_BYTES))]
    error_of(client.post(ROUTE, data={"prompt": "What?"}, files=files), 400)
    assert list(uploads.iterdir()) == []


def test_an_empty_file_is_refused(client: TestClient, uploads: Path) -> None:
    error = error_of(client.post(ROUTE, data={"prompt": "What?"}, files={"video": ("a.mp4", b"")}), 400)
    assert "The file is empty" in error["message"]
    assert list(uploads.iterdir()) == []


def blocks(count: int) -> Iterator[bytes]:
    """A body without a Content-Length."""
    for _ in range(count):
        yield b" " * 2**16


def test_a_json_body_that_is_too_large(client: TestClient) -> None:
    for content in (b" " * 2**22, blocks(64)):
        error = error_of(client.post(ROUTE, content=content), 413)
        assert error["type"] == "source_too_large"
        assert "upload them to /v1/files" in error["message"]


def test_a_file_that_is_too_large(client: TestClient, uploads: Path) -> None:
    response = client.post(ROUTE, data={"prompt": "What?"}, files={"video": ("a.mp4", b"x" * 2**23)})
    assert error_of(response, 413)["type"] == "source_too_large"
    assert list(uploads.iterdir()) == []


def test_a_data_url_that_is_too_large(client: TestClient) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(b"x" * 1025).decode()
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "video_url": url}), 413)
    assert error["param"] == "video_url"


# --- Failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_that_nobody_expected(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (RuntimeError("secret of /host_path"),)
    error = error_of(client.post(ROUTE, json=ASKED), 500)
    assert error["type"] == "internal_error"


def test_a_failure_in_another_replica(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    cause = errors.SourceNotFound("No such video.", param="video_url")
    orchestrator.events = (RayTaskError("plan", "Traceback", cause).as_instanceof_cause(),)
    error = error_of(client.post(ROUTE, json=ASKED), 404)
    assert error == {"type": "source_not_found", "message": "No such video.", "param": "video_url"}


def test_unknown_routes_and_methods(client: TestClient) -> None:
    assert error_of(client.get("/v1/analysis"), 404)["type"] == "not_found"
    error = error_of(client.put(ROUTE), 405)
    assert (error["type"], error["param"]) == ("invalid_request", None)


def test_an_upload_that_hides_its_length_is_cut_off_at_the_limit(client: TestClient, uploads: Path) -> None:
    received = 0

    def endless() -> Iterator[bytes]:
        nonlocal received
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
        for _ in range(100):
            received += 1024**2
            yield bytes(1024**2)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post(ROUTE, content=endless(), headers=headers)
    assert error_of(response, 413)["type"] == "source_too_large"
    assert list(uploads.iterdir()) == []
