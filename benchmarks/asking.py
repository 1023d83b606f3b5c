"""Asking a server about a film, and when its first words came."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from longtake import Longtake

FPS = 2.0
"""Frames looked at per second: the default of Longtake and of vLLM's loader for Qwen3-VL."""


@dataclass(frozen=True)
class Asked:
    """One answer. Times are seconds from the question on."""

    first_seconds: float
    """Until the first token. An answer about one of many chunks is told when it is whole: with `max_tokens` 1, then."""
    seconds: float
    num_frames: int
    """That were looked at."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    chunks: Sequence[ChunkTime] = field(default=())
    """In the order in which they were answered; none where the server has no chunks."""

    @property
    def decode_seconds(self) -> float:
        return sum(chunk.decode_seconds for chunk in self.chunks)

    @property
    def inference_seconds(self) -> float:
        return sum(chunk.inference_seconds for chunk in self.chunks)


@dataclass(frozen=True)
class ChunkTime:
    """Where the time of one chunk went."""

    index: int
    num_frames: int
    done_seconds: float
    """When its answer came, from the question on."""
    processing_seconds: float
    queue_seconds: float
    decode_seconds: float
    inference_seconds: float

    @property
    def start_seconds(self) -> float:
        """When it was let into the window."""
        return self.done_seconds - self.processing_seconds


class Server(Protocol):
    """Either side of a comparison, as it is while it runs."""

    def give(self, video: Path) -> str:
        """The video as the server can read it, for `ask`."""

    def ask(self, video: str, *, num_frames: int, max_tokens: int) -> Asked:
        """What happens in a video of which that many frames are looked at."""

    def engine_seconds(self) -> float:
        """What all questions so far spent in the engine."""


def ask_longtake(client: Longtake, video: str, prompt: str, **options: Any) -> Asked:
    """About an upload, by its id."""
    started = time.perf_counter()
    first_seconds: float | None = None
    chunks: list[ChunkTime] = []
    for event in client.stream(video, prompt, **options):
        now_seconds = time.perf_counter() - started
        if event.name == "chunk":
            chunks.append(_chunk_time(event.data, now_seconds))
        if event.name in ("chunk", "delta") and first_seconds is None:
            first_seconds = now_seconds
        if event.name == "answer":
            if event.data["partial"] or first_seconds is None:
                raise RuntimeError(f"Not all of {video} was answered: {event.data['coverage']}")
            usage = event.data["usage"]
            return Asked(
                first_seconds,
                now_seconds,
                event.data["coverage"]["frames_used"],
                usage["prompt_tokens"],
                usage["prompt_tokens_details"]["cached_tokens"],
                usage["completion_tokens"],
                tuple(chunks),
            )
    raise RuntimeError("Longtake closed the stream without an answer.")


def _chunk_time(result: dict[str, Any], now_seconds: float) -> ChunkTime:
    return ChunkTime(
        index=result["chunk_index"],
        num_frames=result["num_frames"],
        done_seconds=now_seconds,
        processing_seconds=result["processing_time"],
        queue_seconds=result["queue_seconds"],
        decode_seconds=result["decode_seconds"],
        inference_seconds=result["inference_seconds"],
    )


def ask_vllm(client: httpx.Client, video: str, prompt: str, *, num_frames: int, max_tokens: int, **extra: Any) -> Asked:
    """A chat completion about so many frames of the video behind a URL, streamed. `extra` are vLLM's own fields."""
    content = [{"type": "video_url", "video_url": {"url": video}}, {"type": "text", "text": prompt}]
    body = {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "media_io_kwargs": {"video": {"num_frames": num_frames}},
        **extra,
    }
    started = time.perf_counter()
    first_seconds: float | None = None
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            raise RuntimeError(f"vLLM answered {response.status_code}: {response.read().decode()}")
        for part in _data(response.iter_lines()):
            if "error" in part:
                raise RuntimeError(f"vLLM: {part['error']}")
            if any(choice["delta"].get("content") for choice in part["choices"]) and first_seconds is None:
                first_seconds = time.perf_counter() - started
            if usage := part.get("usage"):
                seconds = time.perf_counter() - started
                cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
                return Asked(
                    first_seconds or seconds,
                    seconds,
                    num_frames,
                    usage["prompt_tokens"],
                    cached,
                    usage["completion_tokens"],
                )
    raise RuntimeError("vLLM closed the stream without an answer.")


def _data(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))
