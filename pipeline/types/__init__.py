"""The frozen dataclasses that cross stages.

Times are seconds on the video's own clock: 0 is the moment at which its first frame is shown, as in a player.
Intervals are half-open, `[start_seconds, stop_seconds)`.

Frames per second have four names, in all of `pipeline/`:

    requested_fps     what the request asks for: its `fps`, its `nframes` over one chunk, or every frame of the video
    planned_fps       what the plan samples, once the frame and token budgets and the video's own rate are applied
    effective_fps     what the model saw: frames used per second of the chunks that were answered
    VideoInfo.fps     the video's own rate, on average

A fifth, `sample_fps`, describes no plan: it is the rate at which a client took the images of a frame list.
"""

from pipeline.types.answers import ChunkAnswer, ChunkFailure, ChunkText, Citation, Coverage, Note, TimedResult
from pipeline.types.frames import DecodedFrames, DecodeReport, PreparedChunk, VideoSegment
from pipeline.types.http_url import HttpUrl
from pipeline.types.plans import Chunk, ChunkPlan, PacketRun
from pipeline.types.requests import (
    NO_TRAIL,
    ChunkingRequest,
    Exchange,
    FrameSampling,
    JsonFormat,
    Prompt,
    TokenBudget,
    TokenSampling,
    Trail,
    Turn,
)
from pipeline.types.sources import HttpVideo, LocalVideo, S3Video, StoredVideo, VideoSource
from pipeline.types.texts import Generation, TextDelta, TokenLogprob, TokenUsage, WrittenToken
from pipeline.types.videos import NO_TREATMENT, HdrTransfer, PictureTreatment, VideoInfo

__all__ = [
    "NO_TRAIL",
    "NO_TREATMENT",
    "Chunk",
    "ChunkAnswer",
    "ChunkFailure",
    "ChunkPlan",
    "ChunkText",
    "ChunkingRequest",
    "Citation",
    "Coverage",
    "DecodeReport",
    "DecodedFrames",
    "Exchange",
    "FrameSampling",
    "Generation",
    "HdrTransfer",
    "HttpUrl",
    "HttpVideo",
    "JsonFormat",
    "LocalVideo",
    "Note",
    "PacketRun",
    "PictureTreatment",
    "PreparedChunk",
    "Prompt",
    "S3Video",
    "StoredVideo",
    "TextDelta",
    "TimedResult",
    "TokenBudget",
    "TokenLogprob",
    "TokenSampling",
    "TokenUsage",
    "Trail",
    "Turn",
    "VideoInfo",
    "VideoSegment",
    "VideoSource",
    "WrittenToken",
]
