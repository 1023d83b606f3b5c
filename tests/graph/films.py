"""Films of any length that cost little to make."""

from __future__ import annotations

from pathlib import Path

from tests.graph.ffmpeg import ffmpeg


def film(media: Path, name: str, *, seconds: int) -> Path:
    """A minute of moving test picture, repeated: 160x96, 5 frames per second."""
    once, path = media / "once.mp4", media / name
    if not once.exists():
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=5:duration=60", "-g", "25", "-pix_fmt", "yuv420p", once)
    if not path.exists():
        ffmpeg("-stream_loop", "-1", "-i", once, "-t", seconds, "-c", "copy", path)
    return path
