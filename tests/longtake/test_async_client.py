"""The asyncio client: it does what the blocking one does, and offers the same."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from longtake import (
    AnalysisCancelled,
    AnswerEvent,
    AsyncLongtake,
    Longtake,
    ServerError,
    ServerEvent,
    ServerUnreachable,
)
from longtake.async_client import AsyncAnalysis, AsyncFiles
from longtake.client import Analysis, Files
from tests.deployments.api.fakes import FakeOrchestrator
from tests.longtake.fake_server import EVENTS, ID, KINDS, PROMPT, URL, FakeAnalyses


async def test_answers_files_and_models(server: str, film: Path) -> None:
    async with AsyncLongtake(server) as client:
        answer = await client.analyze(film, PROMPT, seed=42)
        assert answer.text == "A cat sits all day."
        events = [event async for event in client.stream(URL, PROMPT)]
        assert [type(event) for event in events] == [*KINDS, AnswerEvent]
        seen: list[ServerEvent] = []
        assert (await client.analyze(URL, PROMPT, on_event=seen.append)).text == answer.text
        assert len(seen) == len(events)
        assert (await client.estimate(URL)).num_chunks == 2
        uploads = [await client.files.upload(film) for _ in range(2)]
        assert (await client.files.get(uploads[0].id)).bytes == uploads[0].bytes
        assert {file.id async for file in client.files.list(page_size=1)} == {upload.id for upload in uploads}
        await client.files.delete(uploads[0].id)
        assert await client.models() == ("longtake-demo", "sports")
        assert await client.check_ready() == "longtake-demo"
        assert (await client.request("GET", "/health/live"))["status"] == "live"
        with pytest.raises(ServerError) as caught:
            await client.analyze(URL, " ")
        assert caught.value.param == "prompt"


async def test_an_unreachable_server(closed_port: int) -> None:
    async with AsyncLongtake(f"http://127.0.0.1:{closed_port}") as client:
        with pytest.raises(ServerUnreachable):
            await client.analyze(URL, PROMPT)
        with pytest.raises(ServerUnreachable):
            [event async for event in client.stream(URL, PROMPT)]


async def test_leaving_a_stream_cancels_it(server: str, orchestrator: FakeOrchestrator) -> None:
    orchestrator.is_stuck = True
    async with AsyncLongtake(server) as client:
        async for event in client.stream(URL, PROMPT):
            assert event.name == "plan"
            break
        assert await client.check_ready()  # over a connection of its own


async def test_stored_analyses(stored: str, analyses: FakeAnalyses) -> None:
    async with AsyncLongtake(stored) as client:
        analysis = await client.submit(URL, PROMPT, idempotency_key="once")
        assert analyses.submitted[0]["key"] == "once"
        assert [event.name async for event in analysis.events()] == [name for name, _ in EVENTS]
        assert [event.name async for event in client.analysis(ID).events(after="4")] == ["answer"]
        assert (await analysis.result()).text == "A cat sits all day."
        assert [state.status async for state in client.analyses(page_size=2)] == ["running"] * 5
        analyses.status = "completed"
        assert await analysis.export("md") == "md – of a cat\n"
        analyses.status = "running"
        assert (await analysis.cancel()).status == "cancelled"
        with pytest.raises(ServerError, match="cancelled already"):
            await analysis.cancel()
        await analysis.delete()
        analyses.events = [("cancelled", {"id": ID})]
        with pytest.raises(AnalysisCancelled):
            await analysis.result()


async def test_resuming_ends_when_the_server_stays_away(stored: str, analyses: FakeAnalyses) -> None:
    analyses.events_per_stream = 0
    async with AsyncLongtake(stored) as client:
        with pytest.raises(ServerUnreachable):
            [event async for event in client.analysis(ID).events()]


PAIRS = [(Longtake, AsyncLongtake), (Files, AsyncFiles), (Analysis, AsyncAnalysis)]


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_clients_offer_the_same(blocking: type, asynchronous: type) -> None:
    """Names, parameters, types and documentation."""
    assert signatures(asynchronous) == signatures(blocking)


def signatures(kind: type) -> dict[str, tuple[str, str | None]]:
    """Signature and docstring by the public method's name, without what tells one client from the other."""
    public = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
    return {
        name: (str(inspect.signature(member)).replace("Async", ""), (member.__doc__ or name).replace("Async", ""))
        for name, member in public.items()
    }


@pytest.mark.parametrize("kind", [kind for pair in PAIRS for kind in pair], ids=lambda kind: kind.__name__)
def test_every_public_method_is_documented(kind: type) -> None:
    for name, member in vars(kind).items():
        assert name.startswith("_") or inspect.getdoc(member), name
