"""Analyses to be stored."""

from __future__ import annotations

import math

import numpy as np

from pipeline.analysis import AnalysisJob
from pipeline.store import AnalysisAbout, EventKind, NewAnalysis, NewEvent, StoredJob
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkingRequest,
    ChunkText,
    DecodeReport,
    FrameSampling,
    Generation,
    HdrTransfer,
    HttpUrl,
    HttpVideo,
    JsonFormat,
    PictureTreatment,
    Prompt,
    StoredVideo,
    TokenLogprob,
    TokenSampling,
    TokenUsage,
    VideoInfo,
    VideoSource,
    WrittenToken,
)

MODEL = "model"
SAMPLING = TokenSampling(
    64,
    0.7,
    0.8,
    20,
    seed=2**62,
    stop=("END",),
    json_format=JsonFormat('{"type": "object"}'),
    num_logprobs=2,
    adapter="sports",
)
VIDEO = VideoInfo(1280, 720, 25.0, 118.0, 2950, "h264", "matroska,webm", 1000, "bytes", False, 0.0)
CHUNK = Chunk(
    1,
    58.0,
    118.0,
    np.arange(4),
    np.array([58.0, 70.5, 90.0, 117.9]),
    0.25,
    640,
    1152,
    (),
    PictureTreatment(HdrTransfer.HLG, True),
)
PROMPT = Prompt("What happens?\0 Ω", "Be brief.")
ANSWER = ChunkAnswer(
    1, 58.0, 118.0, 5.25, 2,
    ChunkText(
        Generation(
            "A cat sits.", "stop", TokenUsage(100, 7, 3), 2.5,
            (WrittenToken(TokenLogprob("A", -0.1), (TokenLogprob("A", -0.1), TokenLogprob("\ufffd", -math.inf))),),
        ),
        DecodeReport(
            3, (70.5,), "pyav", "torchcodec cannot open the video", 1.5, True, PictureTreatment(HdrTransfer.PQ), True
        ),
    ),
    None,
)  # fmt: skip


UPLOAD = StoredVideo("file-" + "0" * 32, is_frame_list=True)


def job(source: VideoSource = UPLOAD) -> AnalysisJob:
    sampling = FrameSampling(None, 8, 768, 4096, 12288, 10**8, 4, resized_px=(320, 640))
    return AnalysisJob(
        source=source,
        prompt=PROMPT,
        chunking=ChunkingRequest(60, 2, 0, None, sampling),
        token_sampling=SAMPLING,
        chunk_token_sampling=SAMPLING,
        aggregate=True,
        merge_instruction="Merge.",
        asked_at=12.5,
        cache_salt="salt",
    )


def new(number: int = 0, *, model: str = MODEL, **fields: object) -> NewAnalysis:
    about = AnalysisAbout(f"What happens in {number}?\0", "https://example.com/a.mp4", None, (("who", "me"),))
    stored = StoredJob(
        job(HttpVideo(HttpUrl.parse("https://example.com/a.mp4?signature=secret"))), include_video_metadata=True
    )
    return NewAnalysis(about, model, stored, **fields)  # type: ignore[arg-type]


PLAN_EVENT = NewEvent(EventKind.PLAN, "{}")
RESULT_BODY = '{"text": "A cat."}'


def chunk_event(index: int, *, success: bool = True) -> NewEvent:
    return NewEvent(EventKind.CHUNK, f"body of {index}", chunk_index=index, chunk_failed=not success)


def text_event(text: str) -> NewEvent:
    return NewEvent(EventKind.TEXT, text=text)
