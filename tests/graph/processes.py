"""The processes of the Ray instance that this process started."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from tests.worker_hosts import forked_workers


def replicas(deployment: str) -> list[psutil.Process]:
    """The processes of a deployment's replicas."""
    return _named(f"ServeReplica:longtake:{deployment}")


def serve_proxies() -> list[psutil.Process]:
    """Serve's HTTP proxies."""
    return _named("ProxyActor")


def decoding_workers() -> list[psutil.Process]:
    """The processes in which replicas of FrameDecoder let FFmpeg work."""
    return forked_workers("DecodeWorker")


def engine_core() -> psutil.Process:
    """The process in which vLLM runs the model: the largest of the replica's children."""
    (replica,) = replicas("VisionLanguageModel")
    return max(replica.children(recursive=True), key=lambda child: child.memory_info().rss)


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float, what: str) -> None:
    until = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {timeout_seconds} s"
        time.sleep(0.1)


def private_bytes(process: psutil.Process) -> int:
    """Memory of the process alone: what it maps of the object store is not counted."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def _named(part: str) -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if part in _title(process)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
