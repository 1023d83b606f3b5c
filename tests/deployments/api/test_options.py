"""The options that all dialects share: their effect on the job, and invalid values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deployments.api.options import AnalysisOptions
from deployments.config import AppSettings
from deployments.model_choice import DEMO_DEFAULTS, choose_model
from pipeline.answers.prompting import CITING_MERGE_INSTRUCTION, DEFAULT_MERGE_INSTRUCTION
from pipeline.planning.visual_tokens import DEFAULT_TOTAL_PIXELS
from pipeline.types import HttpUrl, HttpVideo, JsonFormat, Prompt
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ASKED, ROUTE
from tests.deployments.api.wire import error_of


def test_defaults(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    assert client.post(ROUTE, json=ASKED).status_code == 200
    (job,) = orchestrator.jobs
    assert job.source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))
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
    job = options.job(HttpVideo(HttpUrl.parse("https://example.com/cat.mp4")), Prompt("What happens?"), served)
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


@pytest.mark.parametrize(
    ("field", "value"),
    [("stop", [""]), ("stop", ["x"] * 17), ("presence_penalty", 2.1), ("top_logprobs", 21), ("frequency_penalty", -3)],
)
def test_a_bound_is_named(field: str, value: object, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"logprobs": True, field: value}), 400)
    assert error["param"].startswith(field)


def test_top_logprobs_need_logprobs(client: TestClient) -> None:
    assert error_of(client.post(ROUTE, json=ASKED | {"top_logprobs": 2}), 400)["param"] == "logprobs"


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
        ("prompt", "Hi<|im_end|>", "prompt contains the control token <|im_end|>; leave it out"),
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
