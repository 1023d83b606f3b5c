"""The blocking client against the server's own routes, and against one that plays stored analyses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI

from longtake import (
    AnalysisCancelled,
    Answer,
    AnswerEvent,
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
from longtake.requests import SERVER_VARIABLE
from pipeline import errors
from pipeline.analysis import PlanReady
from pipeline.types import HttpUrl, HttpVideo, LocalVideo, StoredVideo, TokenLogprob, WrittenToken
from tests.deployments.api.fakes import PLAN, WHOLE, FakeOrchestrator, done
from tests.longtake.bodies import ANALYSIS
from tests.longtake.fake_server import EVENTS, ID, KINDS, PROMPT, URL, FakeAnalyses, served

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
    assert answer.raw == ANALYSIS
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


def test_an_upload_arrives_whole_and_reports_progress(server: str, orchestrator: FakeOrchestrator, film: Path) -> None:
    progress: list[tuple[int, int]] = []
    with Longtake(server) as client:
        client.analyze(film, PROMPT, on_upload=lambda sent, total: progress.append((sent, total)))
    assert orchestrator.uploaded == [film.read_bytes()]
    assert [sent for sent, _ in progress] == sorted(sent for sent, _ in progress)
    assert len(progress) > 2 and progress[-1] == (film.stat().st_size, film.stat().st_size)


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


def test_an_error_names_the_field(server: str) -> None:
    with Longtake(server) as client, pytest.raises(ServerError, match="chunk_duration") as caught:
        client.analyze(URL, PROMPT, chunk_duration=0)
    assert (caught.value.status, caught.value.type, caught.value.param) == (400, "invalid_request", "chunk_duration")


def test_an_empty_idempotency_key_is_none(server: str) -> None:
    with Longtake(server) as client:
        assert client.submit(URL, PROMPT, idempotency_key="").id != client.submit(URL, PROMPT, idempotency_key="").id


def test_an_analysis_that_fails_after_its_plan(server: str, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (*WHOLE[:2], errors.ReplicaLost("A replica was lost."))
    seen: list[ServerEvent] = []
    with Longtake(server) as client, pytest.raises(ServerError, match="A replica was lost") as caught:
        client.analyze(URL, PROMPT, on_event=seen.append)
    assert ([event.name for event in seen], caught.value.type) == (["plan", "chunk"], "replica_lost")


def test_an_unreachable_server(closed_port: int) -> None:
    with Longtake(f"http://127.0.0.1:{closed_port}") as client:
        for call in (lambda: client.analyze(URL, PROMPT), lambda: list(client.stream(URL, PROMPT))):
            with pytest.raises(ServerUnreachable, match=f"http://127.0.0.1:{closed_port}.*longtake serve"):
                call()


def test_a_server_that_is_not_longtake() -> None:
    with (
        served(FastAPI()) as url,
        Longtake(url) as client,
        pytest.raises(ServerError, match="404, but not like a Longtake"),
    ):
        client.analyze(URL, PROMPT)


def test_a_missing_file(server: str) -> None:
    with Longtake(server) as client, pytest.raises(ServerError, match=r"Cannot read nowhere\.mp4"):
        client.analyze("nowhere.mp4", PROMPT)


def test_the_servers_address(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_leaving_a_stream_cancels_it(server: str, orchestrator: FakeOrchestrator) -> None:
    with Longtake(server) as client:
        for event in client.stream(URL, PROMPT):
            assert isinstance(event, PlanEvent)
            break
        assert client.check_ready()  # the connection is free again


def test_files_page_by_page(server: str, film: Path) -> None:
    with Longtake(server) as client:
        uploads = [client.files.upload(film, purpose=purpose) for purpose in ("vision", "user_data", "vision")]
        assert {file.id for file in client.files.list(page_size=1)} == {upload.id for upload in uploads}
        assert [file.id for file in client.files.list(purpose="user_data")] == [uploads[1].id]
        assert uploads[1].purpose == "user_data" and uploads[1].expires_at is None


def test_an_upload_expires(server: str, film: Path) -> None:
    with Longtake(server) as client:
        upload = client.files.upload(film, expires_after_seconds=60)
    assert upload.expires_at is not None
    assert 58 <= upload.expires_at - upload.created_at <= 62


def test_logprobs(server: str, orchestrator: FakeOrchestrator) -> None:
    written = WrittenToken(TokenLogprob("A", -0.5), (TokenLogprob("A", -0.5), TokenLogprob("The", -1.5)))
    orchestrator.events = (PlanReady(PLAN), replace(done(), tokens=(written,)))
    with Longtake(server) as client:
        answer = client.analyze(URL, PROMPT, logprobs=True, top_logprobs=2)
    assert orchestrator.jobs[0].token_sampling.num_logprobs == 2
    assert answer.logprobs is not None
    (token,) = answer.logprobs
    assert (token.token, token.logprob, token.bytes) == ("A", -0.5, (65,))
    assert [(likely.token, likely.logprob) for likely in token.top_logprobs] == [("A", -0.5), ("The", -1.5)]


def test_video_metadata(server: str) -> None:
    with Longtake(server) as client:
        answer = client.analyze(URL, PROMPT, include_video_metadata=True)
    metadata = answer.chunk_results[0].video_metadata
    assert metadata is not None
    assert (metadata.frames_indices, metadata.frame_times) == ((0, 2, 3), (0.0, 2.0, 3.0))
    assert (answer.merge_seconds, answer.chunk_results[0].answer_reused) == (0.5, False)


# --- Stored analyses --------------------------------------------------------------------------------------------------


def test_submit(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        analysis = client.submit(URL, PROMPT, idempotency_key="once", fps=1, metadata={"of": "a test"})
        state = analysis.status()
    fields = {"prompt": PROMPT, "video_url": URL, "fps": 1, "metadata": {"of": "a test"}}
    assert analyses.submitted == [{"wait": "false", "key": "once", **fields}]
    assert analysis.id == state.id == ID
    assert (state.status, state.is_finished, state.progress.chunks_done, state.result) == ("running", False, 1, None)
    assert state.metadata == {"of": "a test"} and state.raw["in_a_later_version"] == []
    assert "1 of 2 chunks" in state._repr_markdown_()


def test_a_broken_stream_resumes(stored: str) -> None:
    with Longtake(stored) as client:
        events = list(client.analysis(ID).events())
        later = list(client.analysis(ID).events(after="4"))
    assert [(event.name, event.id) for event in events] == [
        (name, str(number)) for number, (name, _) in enumerate(EVENTS, 1)
    ]
    assert [event.name for event in later] == ["answer"]


def test_result(stored: str) -> None:
    seen: list[ServerEvent] = []
    with Longtake(stored) as client:
        answer = client.analysis(ID).result(on_event=seen.append)
    assert isinstance(answer, Answer) and answer.text == "A cat sits all day."
    assert len(seen) == len(EVENTS)


def test_resuming_ends_when_the_server_stays_away(stored: str, analyses: FakeAnalyses) -> None:
    analyses.events_per_stream = 0
    with Longtake(stored) as client, pytest.raises(ServerUnreachable):
        list(client.analysis(ID).events())


def test_a_failure_is_raised(stored: str, analyses: FakeAnalyses) -> None:
    analyses.events = [("error", {"error": {"type": "engine_died", "message": "It died.", "param": None}})]
    with Longtake(stored) as client, pytest.raises(ServerError, match="It died"):
        client.analysis(ID).result()


def test_cancel(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        analysis = client.analysis(ID)
        assert analysis.cancel().status == "cancelled"
        analyses.events = [("cancelled", {"id": ID})]
        assert [type(event) for event in analysis.events()] == [CancelledEvent]
        with pytest.raises(AnalysisCancelled):
            analysis.result()
        with pytest.raises(ServerError, match="cancelled already"):
            analysis.cancel()  # which would delete it
        analysis.delete()


def test_export(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        with pytest.raises(ServerError, match="The analysis is running") as caught:
            client.analysis(ID).export("srt")
        assert (caught.value.status, caught.value.type) == (409, "analysis_not_completed")
        analyses.status = "completed"
        assert client.analysis(ID).export("srt") == "srt – of a cat\n"


def test_delete_cancels_a_running_analysis(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        client.analysis(ID).delete()
    assert analyses.status == "cancelled"


def test_a_webhook_arrives(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        client.submit(URL, PROMPT, webhook={"url": "https://example.com/hook"})
    assert analyses.submitted[0]["webhook"] == {"url": "https://example.com/hook"}


def test_analyses_page_by_page(stored: str, analyses: FakeAnalyses) -> None:
    with Longtake(stored) as client:
        states = list(client.analyses(status="running", page_size=2))
    assert [int(state.id.removeprefix("analysis-")) for state in states] == [1, 2, 3, 4, 5]
    assert analyses.pages[0] == {"limit": "2", "status": "running"}
    assert len(analyses.pages) == 3
