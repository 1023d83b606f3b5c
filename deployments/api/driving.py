"""Open an analysis and run it to its end, for every dialect."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from deployments.api.options import AnalysisOptions
from deployments.api.service import Service
from deployments.api.video_sources import RequestedVideo
from deployments.logs import logger
from deployments.wire.event_stream import event_stream
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob
from pipeline.sources import delete_if_present
from pipeline.types import Prompt


@dataclass(frozen=True)
class Question:
    """The question of a request about its video, independent of the dialect."""

    video: RequestedVideo
    prompt: Prompt
    options: AnalysisOptions


@dataclass(frozen=True)
class OpenJob:
    """A job whose video can be read."""

    job: AnalysisJob
    owned_file_id: str | None
    """The upload that holds a video from inside the request."""
    _cleanup: AsyncExitStack

    def keep_upload(self) -> None:
        """Keep the upload when the block ends. The caller deletes it later."""
        self._cleanup.pop_all()


class Reply(Protocol):
    """Writes one analysis in a dialect."""

    def body(self, done: AnalysisDone) -> Any:
        """Return the whole response."""
        ...

    def events(self, event: AnalysisEvent) -> Iterable[bytes]:
        """Return what a stream sends for one event of the analysis."""
        ...

    def failure(self, error: Exception) -> Iterable[bytes]:
        """Return what a stream sends when the analysis fails after its plan."""
        ...


@asynccontextmanager
async def open_job(question: Question, service: Service) -> AsyncIterator[OpenJob]:
    """Resolve the video and build the job. A video inside the request is stored until the block ends.

    Raises InvalidRequest, UnknownModel and SourceError.
    """
    service.model.adapter(question.options.model)  # reject an unknown model before storing an upload
    async with AsyncExitStack() as cleanup:
        source, owned_file_id = await service.resolve_source(question.video)
        if owned_file_id:
            cleanup.push_async_callback(asyncio.to_thread, delete_if_present, service.uploads, owned_file_id)
        yield OpenJob(question.options.job(source, question.prompt, service.model), owned_file_id, cleanup)


async def answer(
    question: Question, service: Service, reply_to: Callable[[AnalysisJob], Reply], *, stream: bool = False
) -> Any:
    """Run an analysis and return its body, or a stream of its events.

    Raises the errors of `open_job` and of the planning, for a stream too.
    """
    async with AsyncExitStack() as resources:
        job = (await resources.enter_async_context(open_job(question, service))).job
        events = await resources.enter_async_context(aclosing(service.orchestrator.analyze(job)))
        plan = await anext(events)
        reply = reply_to(job)
        if stream:
            return event_stream(_streamed(plan, events, reply, resources.pop_all()))
        async for event in events:
            if isinstance(event, AnalysisDone):
                return reply.body(event)
    raise AssertionError("an analysis ends with AnalysisDone")


async def _streamed(
    plan: AnalysisEvent, rest: AsyncIterator[AnalysisEvent], reply: Reply, resources: AsyncExitStack
) -> AsyncIterator[bytes]:
    try:
        for written in reply.events(plan):
            yield written
        async for event in rest:
            for written in reply.events(event):
                yield written
    except Exception as error:
        logger.exception("an analysis failed after its plan")
        for written in reply.failure(error):
            yield written
    finally:
        # When a client disconnects, the response's task group cancels every await that is not shielded.
        with anyio.CancelScope(shield=True):
            await resources.aclose()
