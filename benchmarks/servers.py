"""The servers that are compared, each for the time of a block. What a block starts ends with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.asking import FPS, Asked, ask_longtake, ask_vllm
from benchmarks.footage import FOLDER
from deployments.config import AppSettings
from deployments.model_choice import DEMO_DEFAULTS, DEMO_MODEL, ModelChoice, choose_model
from deployments.serving.embedded_server import ServerFailed, embedded_server, free_port
from longtake import Longtake
from tools.demo_model.language import LIST_PROMPT

CHUNK_SECONDS = 60.0
START_TIMEOUT_SECONDS = 300.0
STOP_TIMEOUT_SECONDS = 30.0
VLLM_SERVE = "vllm.entrypoints.openai.api_server"
"""What `vllm serve` runs. That command itself asks for a package named vllm, and the CPU build has another name."""
NOT_OURS = {"model", "limit_mm_per_prompt"}
"""Engine arguments that a server without chunks has its own of."""


class LongtakeServer:
    """The whole graph on this machine."""

    def __init__(self, url: str, client: Longtake) -> None:
        self.url = url
        self.client = client
        self._asked: list[Asked] = []

    def give(self, video: Path) -> str:
        """Uploads it and gives its id. The same file under another id is another video to every cache."""
        with video.open("rb") as file:
            response = httpx.post(f"{self.url}/v1/files", files={"file": (video.name, file)}, trust_env=False)
        return str(response.raise_for_status().json()["id"])

    def ask(self, video: str, *, num_frames: int, max_tokens: int) -> Asked:
        """Two frames a second, whatever `num_frames` says, in chunks of a minute without overlap, not merged.

        As many as without chunks, but for a pair where a cut at a key frame leaves no time for it.
        """
        asked = ask_longtake(
            self.client,
            video,
            LIST_PROMPT,
            fps=FPS,
            chunk_duration=CHUNK_SECONDS,
            chunk_overlap=0,
            aggregate=False,
            max_tokens=max_tokens,
            seed=0,
        )
        self._asked.append(asked)
        return asked

    def engine_seconds(self) -> float:
        """What all questions so far spent in the engine."""
        return sum(asked.inference_seconds for asked in self._asked)


@contextmanager
def longtake_server(args: Mapping[str, Any] | None = None, **options: Any) -> Iterator[LongtakeServer]:
    """`args` over those of serve_config.yaml, `options` as embedded_server has them."""
    with tempfile.TemporaryDirectory(prefix="longtake-bench-") as uploads:
        laid_over = {"model": str(DEMO_MODEL), "sources": {"upload_store": uploads}} | dict(args or {})
        with embedded_server(laid_over, **options) as url, Longtake(url) as client:
            yield LongtakeServer(url, client)


@dataclass(frozen=True)
class VllmServer:
    """`vllm serve` on this machine."""

    client: httpx.Client

    def give(self, video: Path) -> str:
        """It reads the file where it is."""
        return video.resolve().as_uri()

    def ask(self, video: str, *, num_frames: int, max_tokens: int) -> Asked:
        """The whole video in one prompt, its frames at the size that Longtake gives them."""
        size = {
            "shortest_edge": DEMO_DEFAULTS.min_pixels,  # over all frames, as the next; never binding here
            "longest_edge": DEMO_DEFAULTS.max_pixels * num_frames,
        }
        return ask_vllm(
            self.client,
            video,
            LIST_PROMPT,
            num_frames=num_frames,
            max_tokens=max_tokens,
            mm_processor_kwargs={"size": size},
        )

    def engine_seconds(self) -> float:
        """The same by its own metrics: waiting, prefill and decode."""
        text = self.client.get("/metrics").raise_for_status().text
        names = ("request_queue_time_seconds", "request_inference_time_seconds")
        found = [re.search(rf"^vllm:{name}_sum{{.*}} (\S+)$", text, re.MULTILINE) for name in names]
        return sum(float(match[1]) for match in found if match)


@contextmanager
def vllm_server() -> Iterator[VllmServer]:
    """With the embedded model and Longtake's engine arguments, reading from the folder of the films.

    Raises ServerFailed.
    """
    choice = choose_model(AppSettings(model=str(DEMO_MODEL)), num_gpus=0, vllm_has_cuda=False)
    port = free_port()
    cores = str(len(os.sched_getaffinity(0)))
    environment = os.environ | choice.environment | {"OMP_NUM_THREADS": cores}  # as VisionLanguageModel has it
    with tempfile.NamedTemporaryFile(prefix="longtake-bench-", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", VLLM_SERVE, *_arguments(choice, port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=None, trust_env=False) as client:
                _wait_until_up(client, process, Path(log.name))
                yield VllmServer(client)
        finally:
            _end(process)


def _arguments(choice: ModelChoice, port: int) -> list[str]:
    # Its loader for Qwen3-VL stops at 768 frames, whatever the video's length; that for any model decodes the same way.
    media = {"video": {"video_backend": "opencv"}}
    flags = [
        *("--model", str(DEMO_MODEL), "--host", "127.0.0.1", "--port", str(port)),
        *("--allowed-local-media-path", str(FOLDER.resolve()), "--media-io-kwargs", json.dumps(media)),
        *("--trust-request-mm-kwargs", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
        *("--limit-mm-per-prompt", json.dumps({"image": 0, "video": 1})),
    ]
    for name, value in choice.engine_args.items():
        if name in NOT_OURS:
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            flags += [f"--{flag}", json.dumps(value) if isinstance(value, Mapping) else str(value)]
    return flags


def _wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if client.get("/health").is_success:
                return
        time.sleep(0.5)
    raise ServerFailed(f"vllm serve is not up: {log.read_text()[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
            break
    with suppress(ProcessLookupError):  # what outlived its parent
        os.killpg(process.pid, signal.SIGKILL)
