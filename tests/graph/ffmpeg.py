"""ffmpeg, for clips that only these tests need."""

from __future__ import annotations

import subprocess


def ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
