"""The calls that answer one chunk: decode, then infer, again where a replica was lost."""

import asyncio
import hashlib
import logging
import time
from dataclasses import replace

from ray.serve.handle import DeploymentHandle

from deployments.calls import INTERNAL_ERROR, TextRelay, deadline, relay_through, with_retries
from deployments.config import AnalysisSettings
from deployments.decoded_chunks import ChunkKey, DecodedChunks, chunk_key
from pipeline.analysis import AnalysisJob
from pipeline.errors import LongtakeError
from pipeline.prompting import chunk_prompt
from pipeline.scheduling import ByteBudget
from pipeline.types import Chunk, ChunkAnswer, ChunkFailure, ChunkPlan, ChunkText

logger = logging.getLogger("ray.serve")


class ChunkCalls:
    """Answers chunks by FrameDecoder and VisionLanguageModel. Holds references to frames, never frames."""

    def __init__(
        self,
        frame_decoder: DeploymentHandle,
        vision_language_model: DeploymentHandle,
        settings: AnalysisSettings,
        frames_in_flight_bytes: int,
        frames_kept_bytes: int,
    ) -> None:
        # Frames go by reference whatever Serve's default is: its gRPC path copies, and refuses more than 4 MB.
        self._frame_decoder = frame_decoder.options(_by_reference=True)
        self._answer = vision_language_model.options(_by_reference=True).answer
        self._stream_answer = vision_language_model.options(_by_reference=True, stream=True).stream_answer
        self._settings = settings
        self._frames_in_flight = ByteBudget(frames_in_flight_bytes)
        self._decoded = DecodedChunks(frames_kept_bytes)

    async def answer(
        self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk, relay: TextRelay | None = None
    ) -> ChunkAnswer:
        """A failure of the chunk stands in its answer; none is raised. With a `relay` the text is also passed on."""
        async with self._frames_in_flight.reserved(chunk.frame_bytes):
            started = time.perf_counter()
            text, failure, attempts = None, None, self._settings.chunk_attempts
            try:
                text, attempts = await with_retries(
                    lambda: self._attempt(job, plan, chunk, relay),
                    attempts=self._settings.chunk_attempts,
                    what=f"Chunk {chunk.index}",
                )
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

    async def _attempt(self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk, relay: TextRelay | None) -> ChunkText:
        num_chunks = len(plan.chunks)
        prompt = chunk_prompt(job.prompt, chunk, num_chunks=num_chunks, asks_for_times=job.asks_for_times)
        token_sampling = job.sampling_of_chunks(num_chunks)
        key = chunk_key(plan.video, chunk, job.cache_salt)
        async with deadline(self._settings.chunk_timeout_seconds, f"Chunk {chunk.index}"):
            kept = self._decoded.get(key)
            frames = kept or self._frame_decoder.decode.remote(job.source, plan.video, chunk)
            ask = self._answer if relay is None else self._stream_answer
            ask = ask.options(session_id=_session_id(key))
            answer = ask.remote(frames, prompt, token_sampling, job.turn(chunk.index))
            try:
                text: ChunkText = await (answer if relay is None else relay_through(relay, answer))
            except BaseException as error:
                self._decoded.drop(key)  # perhaps it was lost with its node
                if isinstance(error, asyncio.CancelledError):
                    answer.cancel()
                    if not kept:  # else others may be waiting for it
                        frames.cancel()
                raise
        if kept:
            return replace(text, decode=text.decode.reused())
        self._decoded.put(key, frames, chunk.frame_bytes)
        return text


def _session_id(key: ChunkKey) -> str:
    """What ChunkAffinityRouter goes by: of the chunk and not of its video, whose chunks are for all engines."""
    return hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
