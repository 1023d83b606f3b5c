"""What an operator sees of the whole graph: metrics, logs, traces; and that no secret is among it."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clips import zeroed
from tests.deploy.expressions import metrics_in_deploy
from tests.deployments.telemetry.fake_metrics import all_metrics
from tests.graph.asking import SHORT, stream
from tests.graph.names import S3_BUCKET, S3_SECRET
from tests.graph.processes import wait_until
from tests.graph.prometheus import Scrape
from tests.otlp import Collector, ReceivedSpan

FIVE_CHUNKS = {"video_path": "minutes.mp4", "chunk_duration": 30, "chunk_overlap": 2, "fps": 1}
EXPORT_SECONDS, SETTLED_SECONDS = 30.0, 4.0
"""Within which processes tell their metrics, and after which nothing is on its way any more. They tell every second."""


def analyze(client: httpx.Client, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """Asked about for the first time, whatever the other tests asked."""
    fields = SHORT | {"cache_salt": secrets.token_hex(8)} | fields
    response = client.post("/v1/analyses", json=fields, headers=headers)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


# --- Metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_of_one_analysis(client: httpx.Client) -> None:
    """Asked about twice: the second time nothing is decoded."""
    salt = secrets.token_hex(8)
    analyze(client, video_path="short.mp4")  # so that every process has told something
    before = _settled()
    first = analyze(client, **FIVE_CHUNKS, cache_salt=salt)
    second = analyze(client, **FIVE_CHUNKS, cache_salt=salt)
    after = _settled(until=lambda scrape: _grown(before, scrape, "analyses_total") == 2)
    chunks = first["chunk_results"]
    frames = sum(chunk["num_frames"] for chunk in chunks)

    def grown(name: str, **labels: str) -> float:
        return _grown(before, after, name, **labels)

    assert grown("analyses_total", outcome="completed") == 2
    assert grown("chunks_total", outcome="answered") == 10
    assert grown("frames_total") == 2 * frames
    assert grown("frame_cache_misses_total") == grown("frame_cache_hits_total") == 5
    assert grown("decode_seconds_count") == grown("decoder_seconds_count") == 5
    assert grown("decoder_seconds_count", decoder="planned", deployment="FrameDecoder") == 5
    for name in ("chunk_seconds", "queue_seconds", "inference_seconds"):
        assert grown(f"{name}_count") == 10
    for name in ("merge_seconds", "analysis_seconds", "time_to_first_chunk_seconds", "time_to_first_token_seconds"):
        assert grown(f"{name}_count") == 2
    for stage, field in (("decode", "decode_seconds"), ("inference", "inference_seconds"), ("queue", "queue_seconds")):
        told = sum(chunk[field] for answer in (first, second) for chunk in answer["chunk_results"])
        assert grown("stage_seconds_total", stage=stage) == pytest.approx(told, abs=0.05)
    assert grown("prompt_tokens_total") == first["usage"]["prompt_tokens"] + second["usage"]["prompt_tokens"]
    assert grown("completion_tokens_total") == (
        first["usage"]["completion_tokens"] + second["usage"]["completion_tokens"]
    )
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"] if "prompt_tokens_details" in second else 0
    assert grown("cached_prompt_tokens_total") >= cached
    assert after.total("ray_longtake_analyses_under_way") == 0
    assert after.total("ray_longtake_frames_bytes", use="in_flight") == 0
    assert 0 < after.total("ray_longtake_frames_bytes", use="kept") <= after.total("ray_longtake_frames_limit_bytes")
    for nothing in ("chunk_retries_total", "chunk_failures_total", "degraded_chunks_total"):
        assert grown(nothing) == 0


def test_metrics_of_a_damaged_video_from_the_web(client: httpx.Client, media: Path, web: str) -> None:
    damaged = zeroed(media / "minutes.mp4", media / "web_hole.mp4", 0.4, 0.6)
    before = _settled()
    answer = analyze(client, video_url=f"{web}/{damaged.name}", chunk_duration=10, chunk_overlap=0, fps=1)
    after = _settled(until=lambda scrape: _grown(before, scrape, "analyses_total") == 1)
    failed = answer["coverage"]["failed_chunks"]
    assert failed
    assert _grown(before, after, "analyses_total", outcome="partial") == 1
    assert _grown(before, after, "chunks_total", outcome="failed") == len(failed)
    assert _grown(before, after, "chunk_failures_total", type="decode_failed") == len(failed)
    assert _grown(before, after, "decoder_failures_total", type="decode_failed") == len(failed)
    assert _grown(before, after, "chunk_retries_total") == 0
    assert {answer["chunk_results"][index]["attempts"] for index in failed} == {1}  # no replica was lost
    degraded = sum(chunk["degraded"] for chunk in answer["chunk_results"])
    assert _grown(before, after, "degraded_chunks_total") == degraded
    # Some of it once more, where two replicas read the same block at the same time.
    assert _grown(before, after, "source_fetched_bytes_total", source="http") >= damaged.stat().st_size * 0.5


def test_whatever_the_dashboard_and_the_alerts_name_is_exported(client: httpx.Client) -> None:
    """Those of vLLM and Serve by what is there; our own may not have happened yet, such as a retry."""
    analyze(client, video_path="short.mp4")
    ours = {f"ray_{name}" for name in all_metrics().kinds}
    wanted = {name for name in metrics_in_deploy() if re.sub("_(bucket|sum|count)$", "", name) not in ours}
    missing: set[str] = set()

    def all_there() -> bool:
        nonlocal missing
        missing = wanted - Scrape().samples.keys()
        return not missing

    try:
        wait_until(all_there, timeout_seconds=EXPORT_SECONDS, what="the metrics of vLLM and Serve")
    except AssertionError as error:
        raise AssertionError(f"not exported: {sorted(missing)}") from error


def _settled(until: Callable[[Scrape], bool] = lambda scrape: True) -> Scrape:
    """When `until` holds and what Longtake tells has not changed for as long as it takes a process to tell it."""
    deadline = time.monotonic() + EXPORT_SECONDS
    scrape, unchanged_since = Scrape(), time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(1)
        newer = Scrape()
        if _ours(newer) != _ours(scrape) or not until(newer):
            scrape, unchanged_since = newer, time.monotonic()
        elif time.monotonic() - unchanged_since > SETTLED_SECONDS:
            return newer
    return scrape


def _ours(scrape: Scrape) -> dict[str, dict[Any, float]]:
    return {name: samples for name, samples in scrape.samples.items() if name.startswith("ray_longtake_")}


def _grown(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    name = f"ray_longtake_{name}"
    return after.total(name, **labels) - before.total(name, **labels)


# --- Logs -------------------------------------------------------------------------------------------------------------


def log_files() -> list[Path]:
    folder = Path(_logs_dir())
    return [path for path in folder.rglob("*") if path.is_file()]


def _logs_dir() -> str:
    from ray._private import worker

    assert worker._global_node
    folder: str = worker._global_node.get_logs_dir_path()
    return folder


def lines_of(deployment: str) -> list[dict[str, Any]]:
    files = (path for path in log_files() if path.name.startswith(f"replica_longtake_{deployment}_"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_lines_carry_the_ids(client: httpx.Client, media: Path) -> None:
    damaged = zeroed(media / "minutes.mp4", media / "hole.mp4", 0.4, 0.6)
    request_id = f"request-{secrets.token_hex(8)}"
    headers = {"X-Request-ID": request_id}
    answer = analyze(client, headers, video_path=damaged.name, chunk_duration=10, chunk_overlap=0, fps=1)
    ours = [line for line in lines_of("Orchestrator") if line.get("request_id") == request_id]
    begun, ended = (
        next(line for line in ours if line["message"].startswith(words))
        for words in ("analysis begun", "analysis partial")
    )
    assert re.fullmatch("analysis-[0-9a-f]{32}", begun["analysis_id"])
    assert ended["analysis_id"] == begun["analysis_id"]
    assert (ended["outcome"], ended["chunks"]) == ("partial", answer["num_chunks"])
    failed = [line for line in ours if line["message"].startswith("chunk without an answer")]
    assert sorted(line["chunk_index"] for line in failed) == answer["coverage"]["failed_chunks"]
    assert {line["analysis_id"] for line in failed} == {begun["analysis_id"]}
    assert any(line.get("request_id") == request_id for line in lines_of("FrameDecoder"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/analyses", 405),
        ("POST", "/v1/analyses", 400),
        ("GET", "/openapi.json", 200),
    ],
)
def test_every_response_has_a_request_id(method: str, path: str, status: int, client: httpx.Client) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["X-Request-ID"]
    given = f"mine-{secrets.token_hex(4)}"
    assert client.request(method, path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


# --- Secrets ----------------------------------------------------------------------------------------------------------


CANARY = f"c4n4ry{secrets.token_hex(6)}"
"""Stands wherever a client or an operator puts what is nobody else's business."""
BAD_SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": f"(?<={CANARY})x"}}}


@pytest.fixture(scope="module")
def attempts(client: httpx.Client, media: Path, web: str, dead: str) -> dict[str, httpx.Response]:
    """One success of each kind, and what fails in a way of its own; a secret is in all of them."""
    zeroed(media / "minutes.mp4", media / "hole.mp4", 0.4, 0.6)
    (media / "text.mp4").write_text("no video")
    query = f"X-Amz-Signature={CANARY}&token={CANARY}"
    ask = {"prompt": f"What is {CANARY}?", "max_tokens": 4, "cache_salt": CANARY}
    bodies: dict[str, dict[str, Any]] = {
        "200 path": ask | {"video_path": "minutes.mp4", "chunk_duration": 30, "aggregation_prompt": CANARY},
        "200 stream": ask | {"video_path": "short.mp4", "stream": True, "stop": [CANARY]},
        "200 http": ask | {"video_url": f"{web}/short.mp4?{query}"},
        "200 s3": ask | {"video_url": f"s3://{S3_BUCKET}/short.mp4"},
        "200 partial": ask | {"video_path": "hole.mp4", "chunk_duration": 10, "fps": 1},
        "400 field": ask | {CANARY: CANARY},
        "400 user": ask | {"video_url": f"http://user:{CANARY}@127.0.0.1/a.mp4"},
        "400 schema": ask | {"video_path": "short.mp4", "response_format": BAD_SCHEMA},
        "400 prompt": ask | {"video_path": "short.mp4", "prompt": CANARY * 4000},
        "400 data": ask | {"video_url": f"data:video/mp4;base64,{CANARY}!"},
        "404 http": ask | {"video_url": f"{web}/none.mp4?{query}"},
        "404 s3": ask | {"video_url": f"s3://{S3_BUCKET}/none.mp4"},
        "404 model": ask | {"video_path": "short.mp4", "model": CANARY},
        "404 file": ask | {"file_id": f"file-{CANARY}"},
        "415 text": ask | {"video_url": f"{web}/text.mp4?{query}"},
        "415 data": ask | {"video_url": f"data:video/mp4;base64,{base64.b64encode(CANARY.encode()).decode()}"},
        "424 dead": ask | {"video_url": f"{dead}/a.mp4?{query}"},
    }
    headers = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}"}
    answers = {
        name: client.post("/v1/analyses", json=body, headers=headers, params={"key": CANARY})
        for name, body in bodies.items()
    }
    messages = [{"role": "user", "content": [
        {"type": "text", "text": CANARY}, {"type": "video_url", "video_url": {"url": f"{web}/short.mp4?{query}"}},
    ]}]  # fmt: skip
    chat = {"model": "longtake-demo", "messages": messages, "max_tokens": 4}
    return answers | {"200 chat": client.post("/v1/chat/completions", json=chat, headers=headers)}


@pytest.fixture(scope="module")
def dead() -> Iterator[str]:
    """An address at which nobody answers."""
    import socket

    with socket.socket() as held:  # bound, and not listening
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_the_attempts_end_as_they_should(attempts: dict[str, httpx.Response]) -> None:
    ends = {name: answer.status_code for name, answer in attempts.items()}
    assert ends == {name: int(name[:3]) for name in attempts}
    assert sum(status >= 400 for status in ends.values()) >= 10


def test_no_secret_is_logged(attempts: dict[str, httpx.Response]) -> None:
    time.sleep(2)  # for lines that are still on their way
    files = log_files()
    assert len(files) > 20
    answers = {
        chunk["response"] for name in ("200 path", "200 http") for chunk in attempts[name].json()["chunk_results"]
    }
    assert any(len(answer) > 10 for answer in answers)
    for secret in (CANARY, S3_SECRET, *(answer for answer in answers if len(answer) > 10)):
        holds = {
            str(path.name): re.findall(f".{{0,200}}{re.escape(secret)}.{{0,80}}", text)[:2]
            for path in files
            if secret in (text := path.read_text(errors="replace"))
        }
        assert not holds


@pytest.mark.usefixtures("attempts")
def test_no_secret_is_in_traces_or_metrics(traces: Collector) -> None:
    for secret in (CANARY.encode(), S3_SECRET.encode()):
        assert not any(secret in body for body in traces.bodies)
    assert traces.bodies
    labels = {value for samples in Scrape().samples.values() for has in samples for _, value in has}
    assert not any(CANARY in value or S3_SECRET in value for value in labels)


def test_error_bodies_hold_no_credentials(attempts: dict[str, httpx.Response]) -> None:
    """What a client itself wrote may come back to it, but for the query and the password of a URL."""
    for name in ("400 user", "404 http", "415 text", "424 dead"):
        assert CANARY not in attempts[name].text


# --- Traces -----------------------------------------------------------------------------------------------------------


def trace_of(traces: Collector, trace_id: str, num_spans: int) -> list[ReceivedSpan]:
    """When as many have come of our own; vLLM's come then, too."""

    def num_ours() -> int:
        return sum("longtake.deployment" in span.resource for span in traces.of_trace(trace_id))

    wait_until(lambda: num_ours() >= num_spans, timeout_seconds=20, what=f"{num_spans} spans")
    time.sleep(1)
    assert num_ours() == num_spans
    return traces.of_trace(trace_id)


def children(spans: list[ReceivedSpan], parent: ReceivedSpan, name: str) -> list[ReceivedSpan]:
    found = [span for span in spans if span.parent_id == parent.span_id and span.name == name]
    for span in found:
        assert parent.start_seconds - 0.01 <= span.start_seconds <= span.stop_seconds <= parent.stop_seconds + 0.01
    return found


def test_one_trace_is_one_analysis(client: httpx.Client, traces: Collector) -> None:
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    answer = analyze(client, {"traceparent": f"00-{trace_id}-{span_id}-01"}, **FIVE_CHUNKS)
    spans = trace_of(traces, trace_id, 1 + 1 + 1 + 3 * 5 + 2)
    (request,) = [span for span in spans if span.parent_id == span_id]
    assert (request.name, request.attributes["http.response.status_code"]) == ("POST /v1/analyses", 200)
    (analysis,) = children(spans, request, "analysis")
    assert analysis.attributes["longtake.outcome"] == "completed"
    assert analysis.seconds == pytest.approx(answer["total_processing_time"], abs=0.1)
    (plan,) = children(spans, analysis, "plan")
    assert plan.attributes["longtake.num_chunks"] == 5
    chunks = {span.attributes["longtake.chunk_index"]: span for span in children(spans, analysis, "chunk")}
    assert sorted(chunks) == [0, 1, 2, 3, 4]
    for result in answer["chunk_results"]:
        chunk = chunks[result["chunk_index"]]
        (decode,), (inference,) = children(spans, chunk, "decode"), children(spans, chunk, "inference")
        assert chunk.seconds == pytest.approx(result["processing_time"], abs=0.05)
        assert inference.seconds == pytest.approx(result["inference_seconds"], abs=0.05)
        # Beside decoding, the span has opening the video and making patches of the frames.
        assert result["decode_seconds"] - 0.01 <= decode.seconds <= result["processing_time"] + 0.05
        assert decode.stop_seconds <= inference.start_seconds + 0.01
        assert decode.attributes["longtake.num_frames"] == result["num_frames"]
        assert inference.attributes["longtake.completion_tokens"] == result["completion_tokens"]
    (merge,) = children(spans, analysis, "merge")
    (writing,) = children(spans, merge, "inference")
    for inference in (span for span in spans if span.name == "inference"):
        (engines,) = children(spans, inference, "llm_request")
        assert engines.attributes["gen_ai.usage.prompt_tokens"] == inference.attributes["longtake.prompt_tokens"]
    ours = [span for span in spans if "longtake.deployment" in span.resource]
    assert {span.attributes.get("longtake.analysis_id") for span in ours} == {
        None,  # of the request, which could be for something else
        analysis.attributes["longtake.analysis_id"],
    }
    assert not any(span.attributes.get("longtake.given_up") for span in spans)
    assert Counter(span.resource["longtake.deployment"] for span in ours) == {
        "Ingress": 1,
        "Orchestrator": 1 + 5 + 1,
        "Chunker": 1,
        "FrameDecoder": 5,
        "VisionLanguageModel": 6,
    }
    assert not any(span.error for span in spans)
    assert max(chunk.stop_seconds for chunk in chunks.values()) <= merge.start_seconds + 0.01
    assert writing.attributes["longtake.completion_tokens"] > 0


def test_a_streamed_answer_is_in_one_trace(client: httpx.Client, traces: Collector) -> None:
    before = len(traces.spans)
    stream(client, video_path="short.mp4", cache_salt=secrets.token_hex(8))
    wait_until(
        lambda: any(span.name == "POST /v1/analyses" for span in traces.spans[before:]), timeout_seconds=20, what="it"
    )
    request = next(span for span in traces.spans[before:] if span.name == "POST /v1/analyses")
    assert request.parent_id == ""
    spans = trace_of(traces, request.trace_id, 6)
    assert Counter(span.name for span in spans if span.name != "llm_request") == dict.fromkeys(
        ("POST /v1/analyses", "analysis", "plan", "chunk", "decode", "inference"), 1
    )


def test_a_failed_chunk_is_a_failed_span(client: httpx.Client, media: Path, traces: Collector) -> None:
    damaged = zeroed(media / "minutes.mp4", media / "hole.mp4", 0.4, 0.6)
    trace_id = secrets.token_hex(16)
    parent = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    answer = analyze(client, parent, video_path=damaged.name, chunk_duration=10, chunk_overlap=0, fps=1)
    failed = answer["coverage"]["failed_chunks"]
    spans = trace_of(traces, trace_id, 5 + 3 * answer["num_chunks"] - len(failed))
    for name in ("chunk", "decode"):
        errors = {span.attributes["longtake.chunk_index"]: span.error for span in spans if span.name == name}
        assert errors == {index: "decode_failed" if index in failed else None for index in range(answer["num_chunks"])}


def test_a_video_that_is_none_is_a_failed_plan(client: httpx.Client, media: Path, traces: Collector) -> None:
    (media / "text.mp4").write_text("no video")
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    assert client.post("/v1/analyses", json=SHORT | {"video_path": "text.mp4"}, headers=headers).status_code == 415
    spans = {span.name: span for span in trace_of(traces, trace_id, 3)}
    assert {name: span.error for name, span in spans.items()} == {
        "POST /v1/analyses": None,  # the client's fault
        "analysis": "unsupported_media",
        "plan": "unsupported_media",
    }
