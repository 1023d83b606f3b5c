"""The calls that answer one chunk: decode, then infer; both are retried when a replica is lost."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from ray.serve.handle import DeploymentHandle

from deployments.chunks.decoded_chunks import ChunkKey, DecodedChunks, chunk_key
from deployments.config import AnalysisSettings
from deployments.logs import logger
from deployments.serving.ray_errors import INTERNAL_ERROR
from deployments.serving.retries import deadline, with_retries
from deployments.serving.text_relay import TextRelay, relay_through
from deployments.telemetry.decoding_metrics import FrameStoreMetrics
from deployments.telemetry.tracing import Stage, stage
from pipeline.analysis import AnalysisJob
from pipeline.answers.prompting import chunk_question
from pipeline.concurrency import ByteBudget
from pipeline.errors import LongtakeError
from pipeline.types import Chunk, ChunkAnswer, ChunkFailure, ChunkPlan, ChunkText


class ChunkCalls:
    """Answers chunks with FrameDecoder and VisionLanguageModel. Holds references to frames, never frames."""

    def __init__(
        self,
        frame_decoder: DeploymentHandle,
        vision_language_model: DeploymentHandle,
        settings: AnalysisSettings,
        frames_in_flight_bytes: int,
        frames_kept_bytes: int,
    ) -> None:
        # Frames travel by reference whatever Serve's default is: its gRPC path copies, and refuses more than 4 MB.
        self._frame_decoder = frame_decoder.options(_by_reference=True)
        self._answer = vision_language_model.options(_by_reference=True).answer
        self._stream_answer = vision_language_model.options(_by_reference=True, stream=True).stream_answer
        self._settings = settings
        self._frames_in_flight = ByteBudget(frames_in_flight_bytes)
        self._metrics = FrameStoreMetrics(frames_in_flight_bytes, frames_kept_bytes)
        self._decoded = DecodedChunks(frames_kept_bytes, self._metrics)

    async def answer(
        self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk, relay: TextRelay | None = None
    ) -> ChunkAnswer:
        """Answer a chunk. A failure becomes part of the answer. A `relay` gets the text as it is generated."""
        trail = replace(job.trail, chunk_index=chunk.index)
        async with self._reserved(chunk.frame_bytes):
            with stage("chunk", trail, start_seconds=chunk.start_seconds, stop_seconds=chunk.stop_seconds) as work:
                answer = await self._answered(replace(job, trail=work.trail), plan, chunk, relay)
                _record_outcome(work, answer)
        return answer

    async def _answered(self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk, relay: TextRelay | None) -> ChunkAnswer:
        started = time.perf_counter()
        text, failure, attempts = None, None, 0

        async def attempt() -> ChunkText:
            nonlocal attempts
            attempts += 1
            return await self._attempt(job, plan, chunk, relay)

        try:
            text = await with_retries(attempt, attempts=self._settings.chunk_attempts, what=f"Chunk {chunk.index}")
        except LongtakeError as error:
            failure = ChunkFailure(error.type_name(), error.message)
        except Exception:
            logger.exception("chunk %d failed", chunk.index)
            failure = ChunkFailure(INTERNAL_ERROR, "The server failed; its log has the reason under this request.")
        return ChunkAnswer(
            chunk_index=chunk.index,
            start_seconds=chunk.start_seconds,
            stop_seconds=chunk.stop_seconds,
            processing_seconds=time.perf_counter() - started,
            attempts=attempts,
            text=text,
            failure=failure,
        )

    @asynccontextmanager
    async def _reserved(self, num_bytes: int) -> AsyncIterator[None]:
        try:
            async with self._frames_in_flight.reserved(num_bytes):
                self._metrics.set_in_flight(self._frames_in_flight.held_bytes)
                yield
        finally:
            self._metrics.set_in_flight(self._frames_in_flight.held_bytes)

    async def _attempt(self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk, relay: TextRelay | None) -> ChunkText:
        prompt, token_sampling = chunk_question(job, plan, chunk)
        key = chunk_key(plan.video, chunk, job.cache_salt)
        async with deadline(self._settings.chunk_timeout_seconds, f"Chunk {chunk.index}"):
            kept = self._decoded.get(key)
            frames = kept or self._frame_decoder.decode.remote(job.source, plan.video, chunk, job.trail)
            ask = self._answer if relay is None else self._stream_answer
            ask = ask.options(session_id=_session_id(key))
            answer = ask.remote(frames, prompt, token_sampling, job.turn(chunk.index), job.trail)
            try:
                text: ChunkText = await (answer if relay is None else relay_through(relay, answer))
            except BaseException as error:
                self._decoded.drop(key)  # it may be lost with its node
                if isinstance(error, asyncio.CancelledError):
                    answer.cancel()
                    if not kept:  # otherwise other calls may wait for it
                        frames.cancel()
                raise
        if kept:
            return replace(text, decode=text.decode.reused())
        self._decoded.put(key, frames, chunk.frame_bytes)
        return text


def _record_outcome(work: Stage, answer: ChunkAnswer) -> None:
    work.set(attempts=answer.attempts, queue_seconds=answer.queue_seconds if answer.text else None)
    if answer.text:
        work.set(decode_reused=answer.text.decode.is_reused)
    if answer.failure:
        work.fail(answer.failure.type)
        logger.warning("chunk without an answer: %s", answer.failure.type, extra={"error_type": answer.failure.type})


def _session_id(key: ChunkKey) -> str:
    """Return ChunkAffinityRouter's key. It identifies a chunk, so that a video's chunks spread over all engines."""
    return hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
