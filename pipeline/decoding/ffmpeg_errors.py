"""Detect damage that FFmpeg reports while it decodes.

FFmpeg conceals damage in a picture and returns it like any other; only its log reports the damage. Of 25 files with
visibly wrong pictures and no exception, the log named 22, and none of 8 clean ones.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

import av

_AV_LOG_ERROR = 16
_HARMLESS = (b"mmco: unref short failure",)
"""H.264 logs this when decoding starts at a key frame of an open group, which discards pictures never decoded."""


class ErrorLog:
    """Captures the errors that FFmpeg's libraries write, by redirecting this process's standard error.

    For a process that needs no standard error. PyAV's own mechanism, a callback into Python, may deadlock.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("ffmpeg-errors")
        os.dup2(self._fd, 2)
        av.logging.set_level(av.logging.ERROR)
        av.logging.restore_default_callback()

    def has_errors(self) -> bool:
        """Whether FFmpeg logged an error since the last call."""
        lines = os.pread(self._fd, os.fstat(self._fd).st_size, 0).splitlines()
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        return any(not any(harmless in line for harmless in _HARMLESS) for line in lines)


def restore_torchcodec_log() -> None:
    """Restore FFmpeg's log level, which torchcodec lowers whenever it opens a video."""
    libavutil = _torchcodecs_libavutil()
    if libavutil:
        libavutil.av_log_set_level(_AV_LOG_ERROR)


@cache
def _torchcodecs_libavutil() -> ctypes.CDLL | None:
    """The system's libavutil among those loaded; PyAV and OpenCV load their own, from site-packages."""
    with open("/proc/self/maps") as maps:
        paths = {line.split(maxsplit=5)[5].strip() for line in maps if "/libavutil" in line}
    systems = [path for path in paths if "site-packages" not in path]
    return ctypes.CDLL(systems[0]) if systems else None
