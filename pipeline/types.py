"""The frozen dataclasses that cross stages.

Times are seconds on the video's own clock: 0 is the moment at which its first frame is shown, as in a player.
Intervals are half-open, `[start_seconds, stop_seconds)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# --- Where a video comes from -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalVideo:
    """A file on the server, below one of the configured media roots."""

    path: str


@dataclass(frozen=True)
class HttpVideo:
    """A video behind an http or https URL."""

    url: str


@dataclass(frozen=True)
class S3Video:
    """An object in S3 or in a store that speaks its protocol."""

    bucket: str
    key: str


@dataclass(frozen=True)
class StoredVideo:
    """A file that a client sent earlier, kept in the upload store."""

    file_id: str
    is_frame_list: bool = False
    """Whether it was made of images that a client chose: all are looked at where no rate is asked for."""


VideoSource = LocalVideo | HttpVideo | S3Video | StoredVideo


# --- What a video is --------------------------------------------------------------------------------------------------


class HdrTransfer(StrEnum):
    """How the numbers of an HDR picture mean light (BT.2100)."""

    PQ = "PQ"
    HLG = "HLG"


@dataclass(frozen=True)
class VideoInfo:
    """What probing found in the packets, and in the first picture."""

    width: int
    """Pixels, as shown: a rotation in the file is already applied."""
    height: int
    fps: float
    """Average over the whole video."""
    duration_seconds: float
    total_frames: int
    codec: str
    """FFmpeg's name, such as `h264`."""
    container: str
    """FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    size_bytes: int
    fingerprint: str
    """Identifies the bytes: a decoder that finds another fingerprint refuses to go on."""
    is_variable_frame_rate: bool
    clock_offset_seconds: float
    """The container's own time of the first frame, which is time 0 here."""
    hdr_transfer: HdrTransfer | None = None
    """As the first picture says; None for SDR."""
    is_interlaced: bool = False
    """Whether the first picture says so, or the stream. Whether pictures really are of two times, nobody looked."""


# --- What was asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FrameSampling:
    """Which frames to look at and at what size. With neither `fps` nor `nframes`, which exclude each other, all are."""

    fps: float | None
    nframes: int | None
    """Frames in each chunk."""
    max_frames_per_chunk: int
    min_pixels: int
    """Per frame, as in Qwen's `fetch_video`."""
    max_pixels: int
    total_pixels: int
    """Over the frames of one chunk; bounds `max_pixels` when there are many frames."""
    min_frames: int
    """In each chunk, where the video has as many; only where `fps` is set."""
    resized_px: tuple[int, int] | None = None
    """(height, width) that frames are given, to the nearest multiples of 32; the three bounds do not apply then."""

    @property
    def takes_all(self) -> bool:
        return self.fps is None and self.nframes is None


@dataclass(frozen=True)
class ChunkingRequest:
    """How to cut a video."""

    chunk_duration_seconds: float
    chunk_overlap_seconds: float
    video_start_seconds: float
    video_end_seconds: float | None
    """None means the end of the video."""
    frame_sampling: FrameSampling


@dataclass(frozen=True)
class TokenBudget:
    """What the engine's context leaves for one chunk."""

    max_model_len: int
    text_tokens: int
    """Upper bound for prompt, chat template and the tokens to be generated."""

    @property
    def vision_tokens(self) -> int:
        return self.max_model_len - self.text_tokens


@dataclass(frozen=True)
class Turn:
    """When the engine comes to a request, and with which others it may share what it has computed."""

    priority: int = 0
    """Lower goes first."""
    cache_salt: str | None = None
    """Only with those of the same salt."""


@dataclass(frozen=True)
class Trail:
    """By what everything that is done for one analysis is found again, in the logs and traces of every process."""

    analysis_id: str | None = None
    chunk_index: int | None = None
    """Where the work is for one chunk alone."""
    traceparent: str | None = None
    """The span that the work belongs to, as W3C's Trace Context writes it; None where nothing is traced."""


NO_TRAIL = Trail()


@dataclass(frozen=True)
class JsonFormat:
    """That a text is to be JSON. One that `max_tokens` cuts off is not."""

    schema: str | None = None
    """The JSON schema that it follows, itself as JSON; None: any object."""


@dataclass(frozen=True)
class TokenSampling:
    """How the engine picks tokens. A fixed `seed` makes a retry repeat the same text."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    """The text ends before any of these."""
    json_format: JsonFormat | None = None
    num_logprobs: int | None = None
    """Alternatives told for each token of the text, beside its own log probability; None: not even that."""
    adapter: str | None = None
    """The LoRA adapter by whose model they are picked; None: the model as it is."""


# --- The plan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PacketRun:
    """Packets of a video that a decoder is fed without a break. Ticks are those of the stream's clock."""

    seek_ticks: int
    """What to ask the demuxer for, to be led to the first one, which is a key frame, or before it."""
    first_pts_ticks: int
    last_pts_ticks: int
    num_packets: int


@dataclass(frozen=True)
class PictureTreatment:
    """What a video's pictures need, to be what the model knows: progressive, and SDR."""

    tone_mapped_from: HdrTransfer | None = None
    is_deinterlaced: bool = False

    def __bool__(self) -> bool:
        return self.tone_mapped_from is not None or self.is_deinterlaced


@dataclass(frozen=True, eq=False)
class Chunk:
    """A planned slice of a video, with the frames that will be looked at."""

    index: int
    start_seconds: float
    stop_seconds: float
    frame_indices: NDArray[np.int64]
    """(T,), in display order, counted from the video's first frame."""
    pts_seconds: NDArray[np.float64]
    """(T,), when the frames come on the screen; the first may do so before the chunk starts, and stand into it."""
    clock_offset_seconds: float
    """The container's own time of the video's first frame; `pts_seconds` counts from there."""
    height_px: int
    width_px: int
    packet_runs: tuple[PacketRun, ...] = ()
    """The packets from which its frames can be had, in order; empty where the video's packets allow no such plan."""
    treatment: PictureTreatment = PictureTreatment()
    """What its frames need; that of all chunks of a video."""

    @property
    def num_frames(self) -> int:
        return len(self.frame_indices)

    @property
    def frame_bytes(self) -> int:
        return self.num_frames * self.height_px * self.width_px * 3


@dataclass(frozen=True, eq=False)
class ChunkPlan:
    """All chunks of one analysis and what had to be given up to fit them in."""

    video: VideoInfo
    chunks: tuple[Chunk, ...]
    start_seconds: float
    stop_seconds: float
    chunk_duration_seconds: float
    """As planned; shorter than asked where a budget forced it."""
    requested_fps: float
    planned_fps: float
    notices: tuple[str, ...] = ()
    """What differs from the request, in words for the client."""


# --- What stages hand on ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecodeReport:
    """How the frames of a chunk were had."""

    num_frames: int
    missing_pts_seconds: tuple[float, ...]
    """Times of frames that were planned and could not be decoded."""
    backend: str
    """Which brought frames; with `and` between them when there were several."""
    fallback_reason: str | None
    """Why the first backend was not the only one; None when it was."""
    decode_seconds: float
    is_damaged: bool = False
    """Whether FFmpeg reported damage over it: it conceals what it can, so that a frame may show what never was."""
    untreated: PictureTreatment = PictureTreatment()
    """What the frames needed and no backend of the order can do; they are as the video has them."""
    is_reused: bool = False
    """Whether it was decoded for a question before this one."""

    def reused(self) -> DecodeReport:
        return replace(self, decode_seconds=0.0, is_reused=True)


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """The frames of one chunk, at the model's size."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    pts_seconds: NDArray[np.float64]
    """(T,), the times the model is told; a frame already on the screen when its chunk starts has the chunk's start."""
    report: DecodeReport


@dataclass(frozen=True, eq=False)
class VideoSegment:
    """Some seconds of a chunk as the engine takes them: a video of its own, in one prompt with its neighbours."""

    patches: NDArray[np.uint8]
    """(pairs x patch rows x patch columns, 1536): a patch of a pair of frames in each row, in the processor's order."""
    grid: tuple[int, int, int]
    """Pairs of frames, rows and columns of patches."""
    pair_seconds: tuple[float, ...]
    """The time that the model is told for each pair."""
    content_id: str
    """The same for the same pixels: by it the engine knows again what it has seen."""


@dataclass(frozen=True, eq=False)
class PreparedChunk:
    """The frames of a chunk, ready for the engine."""

    segments: tuple[VideoSegment, ...]
    report: DecodeReport


@dataclass(frozen=True)
class Prompt:
    """What the engine is told. Chat formatting is the engine's own."""

    text: str
    system: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A question of before, and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Note:
    """What was said about a part of the video, on its way to be merged."""

    start_seconds: float
    stop_seconds: float
    text: str


@dataclass(frozen=True)
class TokenUsage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's: those that the engine still had from a prompt before."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True)
class TextDelta:
    """The next piece of a text that is being generated."""

    text: str


@dataclass(frozen=True)
class TokenLogprob:
    """A token and how likely it was in its place."""

    token: str
    logprob: float


@dataclass(frozen=True)
class WrittenToken:
    """A token of a text, and the likeliest ones in its place."""

    written: TokenLogprob
    likeliest: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class Generation:
    """A finished text."""

    text: str
    finish_reason: str
    """`stop`, or `length` when `max_tokens` cut it off."""
    usage: TokenUsage
    inference_seconds: float
    tokens: tuple[WrittenToken, ...] | None = None
    """Where they were asked for."""


@dataclass(frozen=True)
class ChunkText:
    """What the engine wrote about a chunk, and how its frames were had."""

    generation: Generation
    decode: DecodeReport


@dataclass(frozen=True)
class ChunkFailure:
    """Why a chunk has no answer, in words for the client."""

    type: str
    message: str


@dataclass(frozen=True)
class ChunkAnswer:
    """What came of one chunk: a text, or a failure."""

    chunk_index: int
    start_seconds: float
    stop_seconds: float
    processing_seconds: float
    """From the moment the chunk was let into the window to its answer, retries included."""
    attempts: int
    text: ChunkText | None
    failure: ChunkFailure | None
    is_reused: bool = False
    """Whether it was given to another analysis that asked the same, and cost nothing now."""

    def reused(self) -> ChunkAnswer:
        """As the answer of another analysis."""
        if self.text is None:
            return replace(self, is_reused=True, processing_seconds=0.0)
        text = ChunkText(
            replace(self.text.generation, inference_seconds=0.0), replace(self.text.decode, decode_seconds=0.0)
        )
        return replace(self, is_reused=True, processing_seconds=0.0, text=text)

    @property
    def queue_seconds(self) -> float:
        """Time in which the chunk was neither decoded nor inferred: waiting for a replica, moving, lost attempts."""
        if self.text is None:
            return 0.0
        busy_seconds = self.text.decode.decode_seconds + self.text.generation.inference_seconds
        return max(0.0, self.processing_seconds - busy_seconds)


@dataclass(frozen=True)
class Citation:
    """A time that the answer gives, at `[start, stop)` of its text, counted in Unicode code points."""

    text: str
    """As written in the answer."""
    seconds: float
    start: int
    stop: int
    chunk_index: int | None
    """The chunk whose answer supports it; `None` if none does."""

    @property
    def is_supported(self) -> bool:
        return self.chunk_index is not None


@dataclass(frozen=True)
class TimedResult:
    """A piece of the answer, and the part of the video that it describes."""

    start_seconds: float
    stop_seconds: float
    text: str
    """The piece without the times that mark it."""
    chunk_index: int | None
    """The chunk whose answer supports `start_seconds`; `None` if none does."""
    place: tuple[int, int] | None
    """`[start, stop)` in the answer, in Unicode code points; `None` for a chunk's answer, used if the answer gives no
    time."""

    @property
    def is_supported(self) -> bool:
        return self.chunk_index is not None


@dataclass(frozen=True)
class Coverage:
    """What was really looked at."""

    requested_fps: float
    effective_fps: float
    """Frames looked at per second of the chunks that were answered; 0 when none was."""
    frames_used: int
    uncovered: tuple[tuple[float, float], ...]
    """Parts of the asked range that no answered chunk covers."""
    failed_chunks: tuple[int, ...]
    notices: tuple[str, ...] = field(default=())
