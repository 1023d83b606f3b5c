"""An analysis over HTTP."""

from deployments.model_choice import ModelChoice
from deployments.wire.plan_bodies import VideoInfoBody
from deployments.wire.schema import Schema
from deployments.wire.time_bodies import CitationBody, FoundTimeBody, TimedResultBody
from pipeline.analysis import AnalysisDone
from pipeline.answers.coverage import decoded_frames
from pipeline.types import (
    ChunkAnswer,
    ChunkPlan,
    Coverage,
    DecodeReport,
    TokenLogprob,
    TokenSampling,
    TokenUsage,
    WrittenToken,
)


class FailureBody(Schema):
    type: str
    message: str


class VideoMetadataBody(Schema):
    """The result of Qwen's fetch_video with return_video_metadata, under its names, and the frames' times."""

    fps: float
    """Average frame rate of the video."""
    frames_indices: list[int]
    """The frames that the model saw, counted from the video's first."""
    total_num_frames: int
    """Frames of the whole video."""
    video_backend: str
    frame_times: list[float]
    """Seconds; a frame already on the screen when the chunk starts has the chunk's start."""

    @classmethod
    def of(cls, plan: ChunkPlan, chunk_index: int, decode: DecodeReport) -> "VideoMetadataBody":
        indices, seconds = decoded_frames(plan.chunks[chunk_index], decode)
        return cls(
            fps=round(plan.video.fps, 6),
            frames_indices=indices.tolist(),
            total_num_frames=plan.video.total_frames,
            video_backend=decode.backend,
            frame_times=seconds.round(3).tolist(),
        )


class ChunkResultBody(Schema):
    chunk_index: int
    start_time: float
    """Seconds from the first frame."""
    end_time: float
    success: bool
    response: str | None
    times: list[FoundTimeBody]
    """Every time in response, in its order."""
    processing_time: float
    """Seconds from the start of the chunk's processing to its answer, retries included."""
    decode_seconds: float
    inference_seconds: float
    queue_seconds: float
    """The part of processing_time that is neither decoding nor inference."""
    num_frames: int
    missing_frames: list[float]
    """Times of frames that could not be decoded."""
    degraded: bool
    """Whether the video is damaged between start_time and end_time: frames are missing, or may be wrong."""
    decoder: str | None
    decode_reused: bool
    """Whether the frames came from the cache of an earlier question."""
    answer_reused: bool
    """Whether the answer was reused from another stored analysis with the same question about this chunk."""
    attempts: int
    prompt_tokens: int
    cached_tokens: int
    """The part of prompt_tokens that the engine's prefix cache held."""
    completion_tokens: int
    finish_reason: str | None
    error: FailureBody | None
    video_metadata: VideoMetadataBody | None
    """Null unless include_video_metadata is set and the chunk was answered."""

    @classmethod
    def of(cls, answer: ChunkAnswer, described_plan: ChunkPlan | None = None) -> "ChunkResultBody":
        decode = answer.text.decode if answer.text else None
        generation = answer.text.generation if answer.text else None
        usage = generation.usage if generation else TokenUsage()
        return cls(
            chunk_index=answer.chunk_index,
            start_time=round(answer.start_seconds, 3),
            end_time=round(answer.stop_seconds, 3),
            success=generation is not None,
            response=generation.text if generation else None,
            times=FoundTimeBody.in_text(generation.text) if generation else [],
            processing_time=round(answer.processing_seconds, 3),
            decode_seconds=round(decode.decode_seconds, 3) if decode else 0.0,
            inference_seconds=round(generation.inference_seconds, 3) if generation else 0.0,
            queue_seconds=round(answer.queue_seconds, 3),
            num_frames=decode.num_frames if decode else 0,
            missing_frames=[round(seconds, 3) for seconds in decode.missing_pts_seconds] if decode else [],
            degraded=bool(decode and (decode.is_damaged or decode.missing_pts_seconds)),
            decoder=decode.backend if decode else None,
            decode_reused=bool(decode and decode.is_reused),
            answer_reused=answer.is_reused,
            attempts=answer.attempts,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            finish_reason=generation.finish_reason if generation else None,
            error=FailureBody(type=answer.failure.type, message=answer.failure.message) if answer.failure else None,
            video_metadata=(
                VideoMetadataBody.of(described_plan, answer.chunk_index, decode) if described_plan and decode else None
            ),
        )


class CoverageBody(Schema):
    requested_fps: float
    effective_fps: float
    """Sampled frames per second of the chunks that were answered."""
    frames_used: int
    uncovered: list[tuple[float, float]]
    """Parts of the requested range, in seconds, that no answered chunk covers."""
    failed_chunks: list[int]
    notices: list[str]
    """Deviations from the request."""

    @classmethod
    def of(cls, coverage: Coverage) -> "CoverageBody":
        return cls(
            requested_fps=round(coverage.requested_fps, 3),
            effective_fps=round(coverage.effective_fps, 3),
            frames_used=coverage.frames_used,
            uncovered=[(round(start, 3), round(stop, 3)) for start, stop in coverage.uncovered],
            failed_chunks=list(coverage.failed_chunks),
            notices=list(coverage.notices),
        )


class PromptTokensBody(Schema):
    cached_tokens: int
    """Tokens that the engine's prefix cache held."""


class UsageBody(Schema):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensBody

    @classmethod
    def of(cls, usage: TokenUsage) -> "UsageBody":
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=PromptTokensBody(cached_tokens=usage.cached_tokens),
        )


class LikelyTokenBody(Schema):
    token: str
    logprob: float
    bytes: list[int]

    @classmethod
    def of(cls, token: TokenLogprob) -> "LikelyTokenBody":
        return cls(token=token.token, logprob=token.logprob, bytes=list(token.token.encode()))


class WrittenTokenBody(LikelyTokenBody):
    """A token in the shape of OpenAI's API."""

    top_logprobs: list[LikelyTokenBody]

    @classmethod
    def of_written(cls, token: WrittenToken) -> "WrittenTokenBody":
        likeliest = [LikelyTokenBody.of(likely) for likely in token.likeliest]
        return cls(**LikelyTokenBody.of(token.written).model_dump(), top_logprobs=likeliest)


class AnalysisBody(Schema):
    success: bool
    """Whether at least one chunk was answered; `partial` says whether all were."""
    model: str
    video_info: VideoInfoBody
    num_chunks: int
    chunk_results: list[ChunkResultBody]
    aggregated_response: str | None
    citations: list[CitationBody]
    """Every time in aggregated_response, in its order."""
    timed_results: list[TimedResultBody]
    """The pieces of aggregated_response by their times, in order of time: from a piece's own time to the next one's, or
    to the end of its range. If aggregated_response gives no time, one result per answered chunk."""
    aggregation_error: str | None
    finish_reason: str
    """Why aggregated_response ends: `stop`, or `length` if `max_tokens` cut it off."""
    logprobs: list[WrittenTokenBody] | None
    """Log probabilities of aggregated_response's tokens, if they were requested."""
    merge_levels: int
    """Number of merges on the way to this answer: 0 for a single chunk."""
    merge_seconds: float
    """From the last chunk's answer to the merged one."""
    coverage: CoverageBody
    partial: bool
    """Whether a chunk or the merge failed."""
    total_successful_chunks: int
    total_processing_time: float
    seed: int
    usage: UsageBody
    notice: str | None
    """What users must know about this model."""

    @classmethod
    def of(
        cls,
        done: AnalysisDone,
        model: ModelChoice,
        token_sampling: TokenSampling,
        *,
        include_video_metadata: bool = False,
    ) -> "AnalysisBody":
        described_plan = done.plan if include_video_metadata else None
        return cls(
            success=done.num_answered > 0,
            model=model.served_name(token_sampling.adapter),
            video_info=VideoInfoBody.of(done.plan.video),
            num_chunks=len(done.plan.chunks),
            chunk_results=[ChunkResultBody.of(answer, described_plan) for answer in done.chunk_answers],
            aggregated_response=done.answer,
            citations=[CitationBody.of(citation) for citation in done.citations],
            timed_results=[TimedResultBody.of(result) for result in done.timed_results],
            aggregation_error=done.answer_error,
            finish_reason=done.finish_reason,
            logprobs=written_tokens(done),
            merge_levels=done.merge_levels,
            merge_seconds=round(done.merge_seconds, 3),
            coverage=CoverageBody.of(done.coverage),
            partial=done.is_partial,
            total_successful_chunks=done.num_answered,
            total_processing_time=round(done.total_seconds, 3),
            seed=token_sampling.seed,
            usage=UsageBody.of(done.usage),
            notice=model.notice,
        )


def written_tokens(done: AnalysisDone) -> list[WrittenTokenBody] | None:
    """Return the tokens of the answer, if they were requested."""
    return None if done.tokens is None else [WrittenTokenBody.of_written(token) for token in done.tokens]
