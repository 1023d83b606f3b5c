"""Longtake's own dialect against the whole graph."""

from __future__ import annotations

import base64
import itertools
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import jsonschema
import pytest

from longtake import Longtake
from tests.clips import zeroed
from tests.deployments.api.wire import frame_list
from tests.graph.asking import SHORT, analyze, stream
from tests.graph.names import S3_BUCKET
from tests.images import encoded


def test_many_chunks_merge_into_one_answer(client: httpx.Client, media: Path) -> None:
    answer = analyze(client, video_path="minutes.mp4", chunk_duration=30, chunk_overlap=2, fps=1, cache_salt="many")
    assert answer["success"] and not answer["partial"]
    info = answer["video_info"]
    assert (info["width"], info["height"], info["codec"]) == (640, 360, "h264")
    assert info["duration"] == pytest.approx(130, abs=0.5)
    spans = [(chunk["start_time"], chunk["end_time"]) for chunk in answer["chunk_results"]]
    assert (spans[0][0], spans[-1][1]) == (0, info["duration"])
    assert [round(stop - start, 3) for (_, stop), (start, _) in pairwise(spans)] == [2.0] * 4
    assert all(27 <= stop - start <= 30 for start, stop in spans[:-1])  # they start at key frames
    assert answer["num_chunks"] == answer["total_successful_chunks"] == 5
    for chunk in answer["chunk_results"]:
        assert chunk["success"] and chunk["error"] is None
        assert isinstance(chunk["response"], str)
        assert chunk["num_frames"] == pytest.approx(chunk["end_time"] - chunk["start_time"], abs=2)
        assert 0 < chunk["decode_seconds"] < chunk["processing_time"]
        assert 0 < chunk["inference_seconds"] < chunk["processing_time"]
        busy = chunk["decode_seconds"] + chunk["inference_seconds"] + chunk["queue_seconds"]
        assert busy == pytest.approx(chunk["processing_time"], abs=0.05)
        assert 0 < chunk["completion_tokens"] <= SHORT["max_tokens"] < chunk["prompt_tokens"]
    assert isinstance(answer["aggregated_response"], str)
    assert answer["merge_levels"] == 1
    coverage = answer["coverage"]
    assert coverage["requested_fps"] == 1
    assert coverage["effective_fps"] == pytest.approx(1, abs=0.05)
    assert coverage["frames_used"] == sum(chunk["num_frames"] for chunk in answer["chunk_results"])
    assert coverage["uncovered"] == [] and coverage["failed_chunks"] == []
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > sum(chunk["prompt_tokens"] for chunk in answer["chunk_results"])
    assert "demo model" in answer["notice"] and "serve_config.yaml" in answer["notice"]


def test_asking_again_decodes_nothing_and_encodes_nothing(client: httpx.Client) -> None:
    body = {"video_path": "scenes.mp4", "chunk_duration": 40, "fps": 2, "cache_salt": "asked twice"}
    first = analyze(client, **body)
    again = analyze(client, **body | {"prompt": "And what happens then?"})
    other = analyze(client, **body | {"cache_salt": "another client"})
    for chunk, later, elsewhere in zip(*(answer["chunk_results"] for answer in (first, again, other)), strict=True):
        assert (chunk["decode_reused"], later["decode_reused"], elsewhere["decode_reused"]) == (False, True, False)
        assert later["decode_seconds"] == 0 < chunk["decode_seconds"]
        assert chunk["cached_tokens"] == elsewhere["cached_tokens"] == 0
        assert later["cached_tokens"] > later["prompt_tokens"] - 300  # whole blocks of 128 tokens
        assert elsewhere["response"] == chunk["response"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_an_answer_by_a_schema(client: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"colours": {"type": "array", "maxItems": 2, "items": {"enum": ["red", "green", "blue"]}}},
        "required": ["colours"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "colours", "schema": schema}}
    body = {"video_path": "scenes.mp4", "chunk_duration": 40, "max_tokens": 100, "response_format": wanted}
    answer = analyze(client, **body, logprobs=True, top_logprobs=2)
    texts = [answer["aggregated_response"], *(chunk["response"] for chunk in answer["chunk_results"])]
    for text in texts:
        jsonschema.validate(json.loads(text), schema)
    assert "".join(token["token"] for token in answer["logprobs"]).startswith(answer["aggregated_response"])
    notes = analyze(client, **body, chunk_response_format={"type": "text"})
    assert not notes["chunk_results"][0]["response"].startswith("{")
    jsonschema.validate(json.loads(notes["aggregated_response"]), schema)


def test_a_schema_that_the_engine_cannot_write_by_is_refused(client: httpx.Client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": "("}}}
    response = client.post("/v1/analyses", json=SHORT | {"video_path": "scenes.mp4", "response_format": wanted})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "response_format"


def test_an_answer_depends_on_the_frames_and_repeats(client: httpx.Client) -> None:
    options = {"max_tokens": 48, "video_path": "scenes.mp4"}
    first = analyze(client, **options, video_start=0, video_end=5)
    again = analyze(client, **options, video_start=0, video_end=5)
    other = analyze(client, **options, video_start=40, video_end=45)
    assert first["aggregated_response"] == again["aggregated_response"]
    assert first["aggregated_response"] != other["aggregated_response"]


def test_without_aggregation_there_are_chunk_answers_alone(client: httpx.Client) -> None:
    answer = analyze(client, video_path="short.mp4", chunk_duration=2, chunk_overlap=0, aggregate=False)
    assert answer["aggregated_response"] is None and not answer["partial"]
    assert [chunk["success"] for chunk in answer["chunk_results"]] == [True] * answer["num_chunks"]


def test_part_of_the_video(client: httpx.Client) -> None:
    answer = analyze(client, video_path="minutes.mp4", video_start=100, video_end=110, fps=2)
    (chunk,) = answer["chunk_results"]
    assert (chunk["start_time"], chunk["end_time"], chunk["num_frames"]) == (100, 110, 20)


def test_nframes(client: httpx.Client) -> None:
    answer = analyze(client, video_path="short.mp4", nframes=6, chunk_duration=60)
    assert [chunk["num_frames"] for chunk in answer["chunk_results"]] == [6]


def test_what_does_not_fit_is_cut_shorter_and_said(client: httpx.Client) -> None:
    answer = analyze(client, video_path="minutes.mp4", chunk_duration=60, fps=2, max_frames_per_chunk=60, video_end=90)
    assert max(chunk["num_frames"] for chunk in answer["chunk_results"]) <= 60
    assert answer["coverage"]["effective_fps"] == pytest.approx(2, abs=0.05)
    assert any("cut to 30 s" in notice for notice in answer["coverage"]["notices"])


@pytest.mark.parametrize("kind", ["path", "http", "s3", "data", "file_id", "upload", "client"])
def test_every_way_in_gives_the_same_answer(
    kind: str, client: httpx.Client, server: str, media: Path, web: str
) -> None:
    file = media / "short.mp4"
    expected = analyze(client, video_path="short.mp4")
    match kind:
        case "path":
            answer = analyze(client, video_path=str(file))
        case "http":
            answer = analyze(client, video_url=f"{web}/short.mp4")
        case "s3":
            answer = analyze(client, video_url=f"s3://{S3_BUCKET}/short.mp4")
        case "data":
            answer = analyze(client, video_url=f"data:video/mp4;base64,{base64.b64encode(file.read_bytes()).decode()}")
        case "file_id":
            stored = client.post("/v1/files", files={"file": file.open("rb")}).json()
            assert stored["bytes"] == file.stat().st_size
            answer = analyze(client, file_id=stored["id"])
            assert client.delete(f"/v1/files/{stored['id']}").json()["deleted"]
            assert client.get(f"/v1/files/{stored['id']}").status_code == 404
        case "upload":
            fields = {name: str(value) for name, value in SHORT.items()}
            response = client.post("/v1/analyses", data=fields, files={"video": file.open("rb")})
            assert response.status_code == 200, response.text
            answer = response.json()
        case _:
            with Longtake(server) as longtake:
                answer = longtake.analyze(file, **SHORT).raw
    assert answer["video_info"] == expected["video_info"]
    assert answer["aggregated_response"] == expected["aggregated_response"]


def test_events_arrive_as_they_happen(client: httpx.Client) -> None:
    events = stream(client, video_path="minutes.mp4", chunk_duration=5, chunk_overlap=0)
    names = [name for _, name, _ in events]
    assert names[0] == "plan" and names[-1] == "answer"
    num_chunks = events[0][2]["num_chunks"]
    assert names.count("chunk") == num_chunks >= 26
    plan, first_chunk, answer = events[0][0], next(at for at, name, _ in events if name == "chunk"), events[-1][0]
    assert first_chunk - plan < (answer - plan) / 2, "events were held back to the end"
    done = [data["chunks_done"] for _, name, data in events if name == "progress"]
    assert done == sorted(done) and done[-1] == num_chunks
    assert _deltas(events) == events[-1][2]["aggregated_response"]


def test_the_only_chunk_is_streamed_while_it_is_written(client: httpx.Client) -> None:
    """In how many pieces is a matter of luck: the demo model writes faster than vLLM passes its tokens on."""
    events = stream(client, video_path="scenes.mp4", chunk_duration=60, video_end=50, max_tokens=64)
    names = [name for _, name, _ in events]
    assert names.index("delta") < names.index("chunk")
    assert _deltas(events) == events[-1][2]["aggregated_response"]


def _deltas(events: list[tuple[float, str, dict[str, Any]]]) -> str:
    return "".join(data["text"] for _, name, data in events if name == "delta")


def test_a_chunk_that_cannot_be_decoded_leaves_a_partial_answer(client: httpx.Client, media: Path) -> None:
    damaged = zeroed(media / "minutes.mp4", media / "hole.mp4", 0.4, 0.6)
    answer = analyze(client, video_path=damaged.name, chunk_duration=10, chunk_overlap=0, fps=1)
    assert answer["success"] and answer["partial"]
    failed = [chunk for chunk in answer["chunk_results"] if not chunk["success"]]
    assert 1 <= len(failed) < answer["num_chunks"] / 2
    coverage = answer["coverage"]
    assert coverage["failed_chunks"] == [chunk["chunk_index"] for chunk in failed]
    assert coverage["uncovered"][0][0] == failed[0]["start_time"]
    assert coverage["uncovered"][-1][1] == failed[-1]["end_time"]
    assert {chunk["error"]["type"] for chunk in failed} == {"decode_failed"}
    assert isinstance(answer["aggregated_response"], str)


def test_files_of_a_request_are_gone_after_it(client: httpx.Client, media: Path, uploads: Path) -> None:
    before = sorted(uploads.rglob("*"))
    fields = {name: str(value) for name, value in SHORT.items()}
    with (media / "short.mp4").open("rb") as file:
        assert client.post("/v1/analyses", data=fields, files={"video": file}).status_code == 200
    assert sorted(uploads.rglob("*")) == before


@pytest.mark.parametrize("count", [1, 5, 8])
def test_a_list_of_frames(count: int, client: httpx.Client, media: Path) -> None:
    """All of them are looked at, at their own times, be their number odd or one."""
    with av.open(str(media / "scenes.mp4")) as film:
        pictures = list(itertools.islice(film.decode(video=0), 0, 5 * count, 5))  # of 10 a second
    url = frame_list(*(encoded(picture.to_image()) for picture in pictures))
    answer = analyze(client, video_url=url, include_video_metadata=True)
    (chunk,) = answer["chunk_results"]
    assert chunk["error"] is None and not chunk["degraded"]
    assert chunk["video_metadata"] == {
        "fps": 2.0,
        "frames_indices": list(range(count)),
        "total_num_frames": count,
        "video_backend": chunk["decoder"],
        "frame_times": [index / 2 for index in range(count)],
    }
    assert answer["coverage"]["notices"] == []
