"""The client against the server's own routes, and against one that plays durable analyses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import longtake.async_client
import longtake.client
from longtake import (
    AnalysisCancelled,
    Answer,
    AnswerEvent,
    AsyncLongtake,
    CancelledEvent,
    ChunkEvent,
    DeltaEvent,
    Longtake,
    PlanEvent,
    ProgressEvent,
    ServerError,
    ServerEvent,
    ServerPath,
    ServerUnreachable,
)
from longtake.client import submitted_id
from longtake.requests import SERVER_VARIABLE
from pipeline import errors
from pipeline.types import HttpUrl, HttpVideo, LocalVideo, StoredVideo
from tests.deployments.api.fakes import WHOLE, FakeOrchestrator
from tests.deployments.api.result_bodies import ANALYSIS
from tests.longtake.fake_server import ID, FakeAnalyses, served

URL = "https://example.com/cat.mp4"
PROMPT = "What happens?"
KINDS = [PlanEvent, ChunkEvent, ProgressEvent, ChunkEvent, ProgressEvent, ProgressEvent, DeltaEvent, DeltaEvent]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file that only a fake server takes for a video."""
    file = tmp_path / "cat.mp4"
    file.write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 200_000)
    return file


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_answer(server: str) -> None:
    with Longtake(server) as client:
        answer = client.analyze(URL, PROMPT, seed=42)
    assert answer.text == answer.aggregated_response == "A cat sits all day."
    assert (answer.video_info.width, answer.video_info.duration, answer.num_chunks) == (1280, 118.0, 2)
    assert [(chunk.success, chunk.response) for chunk in answer.chunk_results] == [(True, "A cat sits."), (False, None)]
    assert answer.chunk_results[0].missing_frames == (1.5,)
    failure = answer.chunk_results[1].error
    assert failure is not None and failure.type == "decode_failed"
    assert answer.coverage.uncovered == ((60.0, 118.0),)
    assert [citation.supported for citation in answer.citations] == [True, False]
    assert [citation.text for citation in answer.unsupported] == ["1.2"]
    assert answer.partial and answer.usage.total_tokens == 170
    assert {name: answer.raw[name] for name in ANALYSIS} == ANALYSIS
    assert repr(answer) == "<Answer 'A cat sits all day.', 1 of 2 chunks>"
    assert str(answer) == answer.text


def test_options_arrive(server: str, orchestrator: FakeOrchestrator, film: Path) -> None:
    with Longtake(server) as client:
        client.analyze(URL, PROMPT, chunk_duration=30, stop=["x"], aggregate=False)
        client.analyze(film, PROMPT, chunk_duration=30, stop=["x"], aggregate=False)
    assert [job.chunking.chunk_duration_seconds for job in orchestrator.jobs] == [30, 30]
    assert [job.token_sampling.stop for job in orchestrator.jobs] == [("x",), ("x",)]
    assert not any(job.aggregate for job in orchestrator.jobs)


def test_every_way_to_name_a_video(server: str, orchestrator: FakeOrchestrator, film: Path) -> None:
    with Longtake(server) as client:
        upload = client.files.upload(film)
        for video in (URL, ServerPath("films/cat.mp4"), upload.id, film, str(film)):
            client.estimate(video)
        assert client.files.get(upload.id) == upload
        client.files.delete(upload.id)
        with pytest.raises(ServerError) as caught:
            client.files.get(upload.id)
    assert (upload.bytes, upload.filename) == (film.stat().st_size, "cat.mp4")
    assert caught.value.status == 404
    sources = [job.source for job in orchestrator.jobs]
    assert sources[:3] == [HttpVideo(HttpUrl.parse(URL)), LocalVideo("films/cat.mp4"), StoredVideo(upload.id)]
    assert all(isinstance(source, StoredVideo) for source in sources[3:])


def test_an_upload_is_whole_and_told_while_it_goes(server: str, orchestrator: FakeOrchestrator, film: Path) -> None:
    told: list[tuple[int, int]] = []
    with Longtake(server) as client:
        client.analyze(film, PROMPT, on_upload=lambda sent, total: told.append((sent, total)))
    assert orchestrator.uploaded == [film.read_bytes()]
    assert [sent for sent, _ in told] == sorted(sent for sent, _ in told)
    assert len(told) > 2 and told[-1] == (film.stat().st_size, film.stat().st_size)


def test_stream(server: str) -> None:
    with Longtake(server) as client:
        events = list(client.stream(URL, PROMPT))
    assert [type(event) for event in events] == [*KINDS, AnswerEvent]
    plan, chunk, progress = events[0], events[1], events[5]
    assert isinstance(plan, PlanEvent) and plan.plan.chunks[1].start_time == 58.0
    assert isinstance(chunk, ChunkEvent) and chunk.chunk.response == "A cat sits."
    assert isinstance(progress, ProgressEvent) and progress.is_merging
    assert "".join(event.text for event in events if isinstance(event, DeltaEvent)) == "A cat sits all day."
    assert events[0].name == "plan" and events[0].data["num_chunks"] == 2


def test_an_answer_with_events_on_the_way(server: str) -> None:
    events: list[ServerEvent] = []
    with Longtake(server) as client:
        answer = client.analyze(URL, PROMPT, on_event=events.append)
    assert [type(event) for event in events] == [*KINDS, AnswerEvent]
    assert answer.text == "A cat sits all day."


def test_estimate(server: str) -> None:
    with Longtake(server) as client:
        estimate = client.estimate(URL, chunk_duration=60)
    assert (estimate.num_chunks, estimate.num_frames, estimate.expected_seconds) == (2, 8, None)
    assert "nothing is measured" in estimate.expected.basis
    assert "| chunks | 2 of 60 s |" in estimate._repr_markdown_()


def test_a_refusal_names_the_field(server: str) -> None:
    with Longtake(server) as client, pytest.raises(ServerError, match="chunk_duration") as caught:
        client.analyze(URL, PROMPT, chunk_duration=0)
    assert (caught.value.status, caught.value.type, caught.value.param) == (400, "invalid_request", "chunk_duration")


def test_an_analysis_that_fails_in_the_middle(server: str, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (*WHOLE[:2], errors.ReplicaLost("A replica was lost."))
    seen: list[ServerEvent] = []
    with Longtake(server) as client, pytest.raises(ServerError, match="A replica was lost") as caught:
        client.analyze(URL, PROMPT, on_event=seen.append)
    assert ([event.name for event in seen], caught.value.type) == (["plan", "chunk"], "replica_lost")


def test_nobody_there(closed_port: int) -> None:
    with Longtake(f"http://127.0.0.1:{closed_port}") as client:
        for call in (lambda: client.analyze(URL, PROMPT), lambda: list(client.stream(URL, PROMPT))):
            with pytest.raises(ServerUnreachable, match=f"http://127.0.0.1:{closed_port}.*longtake serve"):
                call()


def test_something_else_is_there() -> None:
    with (
        served(FastAPI()) as url,
        Longtake(url) as client,
        pytest.raises(ServerError, match="404, and not as Longtake"),
    ):
        client.analyze(URL, PROMPT)


def test_no_such_file(server: str) -> None:
    with Longtake(server) as client, pytest.raises(ServerError, match=r"nowhere\.mp4 cannot be read"):
        client.analyze("nowhere.mp4", PROMPT)


def test_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    assert Longtake().base_url == "http://127.0.0.1:8000"
    monkeypatch.setenv(SERVER_VARIABLE, "http://example.com:1/")
    assert Longtake().base_url == "http://example.com:1"
    assert repr(Longtake("http://other:2")) == "<Longtake http://other:2>"


def test_models_and_readiness(server: str, orchestrator: FakeOrchestrator) -> None:
    with Longtake(server) as client:
        assert client.models() == ("longtake-demo", "sports")
        assert client.check_ready() == "longtake-demo"
        orchestrator.ready_error = errors.EngineFailed("No token came.")
        with pytest.raises(ServerError, match="No token came"):
            client.check_ready()


def test_a_stream_that_is_left_is_cancelled(server: str, orchestrator: FakeOrchestrator) -> None:
    with Longtake(server) as client:
        for event in client.stream(URL, PROMPT):
            assert isinstance(event, PlanEvent)
            break
        assert client.check_ready()  # the connection is free again


# --- asyncio ----------------------------------------------------------------------------------------------------------


async def test_all_of_it_in_asyncio(server: str, film: Path) -> None:
    async with AsyncLongtake(server) as client:
        answer = await client.analyze(film, PROMPT, seed=42)
        assert answer.text == "A cat sits all day."
        events = [event async for event in client.stream(URL, PROMPT)]
        assert [type(event) for event in events] == [*KINDS, AnswerEvent]
        heard: list[ServerEvent] = []
        assert (await client.analyze(URL, PROMPT, on_event=heard.append)).text == answer.text
        assert len(heard) == len(events)
        assert (await client.estimate(URL)).num_chunks == 2
        upload = await client.files.upload(film)
        assert (await client.files.get(upload.id)).bytes == upload.bytes
        await client.files.delete(upload.id)
        assert await client.models() == ("longtake-demo", "sports")
        assert await client.check_ready() == "longtake-demo"
        with pytest.raises(ServerError) as caught:
            await client.analyze(URL, " ")
        assert caught.value.param == "prompt"


async def test_nobody_there_in_asyncio(closed_port: int) -> None:
    async with AsyncLongtake(f"http://127.0.0.1:{closed_port}") as client:
        with pytest.raises(ServerUnreachable):
            await client.analyze(URL, PROMPT)
        with pytest.raises(ServerUnreachable):
            [event async for event in client.stream(URL, PROMPT)]


# --- Durable analyses -------------------------------------------------------------------------------------------------


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """None between attempts."""
    for module in ("longtake.client", "longtake.async_client"):
        monkeypatch.setattr(f"{module}.RECONNECT_PAUSES_SECONDS", (0.0, 0.0))


ANSWER: dict[str, Any] = ANALYSIS | {"notice": None}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("progress", {"stage": "chunks", "chunks_done": 1, "num_chunks": 2}),
    ("progress", {"stage": "chunks", "chunks_done": 2, "num_chunks": 2}),
    ("delta", {"text": "A cat "}),
    ("thumbnail", {"of": "a later version"}),
    ("answer", ANSWER),
]


@pytest.fixture
def analyses(pauses: None) -> FakeAnalyses:
    return FakeAnalyses(EVENTS, ANSWER)


@pytest.fixture
def durable(analyses: FakeAnalyses) -> Iterator[str]:
    with served(analyses.app) as url:
        yield url


def test_submit(durable: str, analyses: FakeAnalyses) -> None:
    with Longtake(durable) as client:
        analysis = client.submit(URL, PROMPT, idempotency_key="once", fps=1, metadata={"of": "a test"})
        state = analysis.status()
    asked = {"prompt": PROMPT, "video_url": URL, "fps": 1, "metadata": {"of": "a test"}}
    assert analyses.asked == [{"wait": "false", "key": "once", **asked}]
    assert analysis.id == state.id == ID
    assert (state.status, state.is_finished, state.progress.chunks_done, state.result) == ("running", False, 1, None)
    assert state.metadata == {"of": "a test"} and state.raw["in_a_later_version"] == []
    assert "1 of 2 chunks" in state._repr_markdown_()


def test_a_broken_stream_is_gone_on_with(durable: str) -> None:
    with Longtake(durable) as client:
        events = list(client.analysis(ID).events())
        later = list(client.analysis(ID).events(after="4"))
    assert [(event.name, event.id) for event in events] == [
        (name, str(number)) for number, (name, _) in enumerate(EVENTS, 1)
    ]
    assert [event.name for event in later] == ["answer"]


def test_result(durable: str) -> None:
    seen: list[ServerEvent] = []
    with Longtake(durable) as client:
        answer = client.analysis(ID).result(on_event=seen.append)
    assert isinstance(answer, Answer) and answer.text == "A cat sits all day."
    assert len(seen) == len(EVENTS)


def test_a_server_that_is_gone_is_given_up(durable: str, analyses: FakeAnalyses) -> None:
    analyses.events_a_stream = 0
    with Longtake(durable) as client, pytest.raises(ServerUnreachable):
        list(client.analysis(ID).events())


def test_a_failure_is_raised(durable: str, analyses: FakeAnalyses) -> None:
    analyses.events = [("error", {"error": {"type": "engine_died", "message": "It died.", "param": None}})]
    with Longtake(durable) as client, pytest.raises(ServerError, match="It died"):
        client.analysis(ID).result()


def test_cancel(durable: str, analyses: FakeAnalyses) -> None:
    with Longtake(durable) as client:
        analysis = client.analysis(ID)
        assert analysis.cancel().status == "cancelled"
        analyses.events = [("cancelled", {"id": ID})]
        assert [type(event) for event in analysis.events()] == [CancelledEvent]
        with pytest.raises(AnalysisCancelled):
            analysis.result()
        with pytest.raises(ServerError, match="cancelled already"):
            analysis.cancel()  # which would delete it
        analysis.delete()


def test_all_of_them_page_by_page(durable: str, analyses: FakeAnalyses) -> None:
    with Longtake(durable) as client:
        states = list(client.analyses(status="running", page_size=2))
    assert [int(state.id.removeprefix("analysis-")) for state in states] == [1, 2, 3, 4, 5]
    assert analyses.pages[0] == {"limit": "2", "status": "running"}
    assert len(analyses.pages) == 3


def test_a_server_without_them_says_so() -> None:
    assert submitted_id({"object": "analysis", "id": ID}) == ID
    with pytest.raises(ServerError, match="no durable analyses"):
        submitted_id(ANALYSIS)


async def test_durable_in_asyncio(durable: str, analyses: FakeAnalyses) -> None:
    async with AsyncLongtake(durable) as client:
        analysis = await client.submit(URL, PROMPT, idempotency_key="once")
        assert analyses.asked[0]["key"] == "once"
        assert [event.name async for event in analysis.events()] == [name for name, _ in EVENTS]
        assert (await analysis.result()).text == "A cat sits all day."
        assert [state.status async for state in client.analyses(page_size=2)] == ["running"] * 5
        assert (await analysis.cancel()).status == "cancelled"
        await analysis.delete()
        analyses.events = [("cancelled", {"id": ID})]
        with pytest.raises(AnalysisCancelled):
            await analysis.result()


def test_both_clients_offer_the_same() -> None:
    def names(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(Longtake) == names(AsyncLongtake)
    assert names(longtake.client.Files) == names(longtake.async_client.AsyncFiles)
    assert names(longtake.client.Analysis) == names(longtake.async_client.AsyncAnalysis)
