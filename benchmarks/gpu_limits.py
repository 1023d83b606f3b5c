"""What the GPU's work comes to: tokens of a chunk, and the seconds below which no engine can stay."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.large_model import TEXT_SHAPE, VISION_SHAPE
from pipeline.planning.visual_tokens import PATCH_SIZE_PX, TEMPORAL_PATCH, frame_pair_tokens

TIME_TOKENS = 9
"""Around a pair of frames: two markers and, in Qwen's own tokenizer, seven tokens of a time."""
TEXT_WEIGHTS = 6.95e9
"""Of the language model without its embeddings; each is used once for each token."""
VISION_BLOCK_WEIGHTS, VISION_MERGER_WEIGHTS = 413e6, 160e6
"""Of the blocks, with the patch embedding, and of the merger with its three deepstack ones."""
KV_BYTES_PER_TOKEN: int = (
    2 * 2 * TEXT_SHAPE["num_key_value_heads"] * TEXT_SHAPE["head_dim"] * TEXT_SHAPE["num_hidden_layers"]
)
"""Keys and values in bfloat16."""
TEXT_WIDTH: int = TEXT_SHAPE["hidden_size"] * TEXT_SHAPE["num_hidden_layers"]
VISION_WIDTH: int = VISION_SHAPE["hidden_size"] * VISION_SHAPE["depth"]
"""Of all layers together, for the cost of attention."""


@dataclass(frozen=True)
class Workload:
    """How a film is cut and looked at."""

    name: str
    chunk_seconds: float
    height_px: int
    width_px: int
    completion_tokens: int
    """Written about each chunk."""
    fps: float = 2.0

    @property
    def frames_per_chunk(self) -> int:
        return round(self.chunk_seconds * self.fps)

    @property
    def patches_per_frame(self) -> int:
        return self.height_px * self.width_px // PATCH_SIZE_PX**2

    @property
    def vision_tokens(self) -> int:
        """Of a chunk: those that pixels make."""
        return frame_pair_tokens(self.height_px, self.width_px) * self._pairs

    @property
    def prompt_tokens(self) -> int:
        """Of a chunk, without the question: pixels, and what stands around each pair of frames."""
        return self.vision_tokens + TIME_TOKENS * self._pairs

    @property
    def _pairs(self) -> int:
        return self.frames_per_chunk // TEMPORAL_PATCH


@dataclass(frozen=True)
class Limits:
    """What one GPU could do at best, per second: the weakest of its parts is never idle, and nothing else costs.

    The rates are assumed, not measured: an H200's, at what its dense products reach in practice.
    """

    vision_flops: float = 790e12
    """In bfloat16."""
    linear_flops: float = 1.6e15
    """Of the language model; in FP8."""
    attention_flops: float = 600e12
    bytes_read: float = 4.8e12
    weight_bytes: float = 8.2e9
    """In FP8."""
    kv_bytes_per_token: float = KV_BYTES_PER_TOKEN
    batch: int = 64
    """Chunks that are written about at once."""

    def chunk_seconds(self, workload: Workload) -> float:
        """Of the GPU, for one chunk."""
        return self.vision_seconds(workload) + self.prefill_seconds(workload) + self.generation_seconds(workload)

    def video_seconds_per_second(self, workload: Workload) -> float:
        return workload.chunk_seconds / self.chunk_seconds(workload)

    def vision_seconds(self, workload: Workload) -> float:
        attention = 16 * workload.patches_per_frame * VISION_WIDTH
        per_token = 8 * VISION_BLOCK_WEIGHTS + 2 * VISION_MERGER_WEIGHTS + attention  # four patches make a token
        return workload.vision_tokens * per_token / self.vision_flops

    def prefill_seconds(self, workload: Workload) -> float:
        tokens = workload.prompt_tokens
        attention = 2 * TEXT_WIDTH * tokens**2  # causal
        return tokens * 2 * TEXT_WEIGHTS / self.linear_flops + attention / self.attention_flops

    def generation_seconds(self, workload: Workload) -> float:
        read = workload.prompt_tokens + workload.completion_tokens / 2
        per_token = self.weight_bytes / self.batch + self.kv_bytes_per_token * read
        return workload.completion_tokens * per_token / self.bytes_read
