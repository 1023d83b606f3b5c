"""Files of the server, below the media roots."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceForbidden, SourceNotFound
from pipeline.sources.copies import LocalCopy, check_size, fingerprint_of


class LocalFiles:
    """Finds the files that a client may name by path. They are used in place."""

    def __init__(self, settings: SourceSettings) -> None:
        self._roots = tuple(root.resolve() for root in settings.media_roots)
        self._max_bytes = settings.max_video_bytes

    def find(self, path: str) -> LocalCopy:
        """The file at `path`, which is absolute or relative to a media root.

        Raises SourceForbidden outside the roots, whether or not the file exists, and for anything but a regular file;
        SourceNotFound, SourceTooLarge, UnreadableVideo if it is empty, InvalidRequest.
        """
        if not path or "\0" in path:
            raise InvalidRequest("The path is empty or contains a NUL. Name a file below a media root.")
        allowed = [real for real in self._real_paths(path) if self._is_below_a_root(real)]
        if not allowed:
            raise SourceForbidden(
                f"{path} is not below a media root of this server. Use a file below one, or have the "
                "operator add its folder to media_roots."
            )
        real = next((real for real in allowed if os.path.lexists(real)), allowed[0])
        found = stat_regular_file(real, name=path, max_bytes=self._max_bytes)
        identity = (str(real), str(found.st_size), str(found.st_mtime_ns), str(found.st_ino))
        return LocalCopy(real, found.st_size, fingerprint_of(*identity))

    def _real_paths(self, path: str) -> Iterator[Path]:
        for root in self._roots:
            yield Path(os.path.realpath(root / path))  # an absolute path replaces the root

    def _is_below_a_root(self, real: Path) -> bool:
        return any(root in real.parents for root in self._roots)


def stat_regular_file(path: Path, *, name: str, max_bytes: int) -> os.stat_result:
    """The status of a readable, regular file. Opens nothing: opening a FIFO would block.

    Raises SourceNotFound, SourceForbidden, SourceTooLarge, UnreadableVideo. `name` identifies it in messages.
    """
    try:
        found = path.stat(follow_symlinks=False)
    except OSError as error:
        raise SourceNotFound(f"{name} does not exist. Check the name.") from error
    if not stat.S_ISREG(found.st_mode):
        raise SourceForbidden(f"{name} is not a regular file. Name a video file.")
    if not os.access(path, os.R_OK):
        raise SourceForbidden(f"{name} may not be read by the server. Have the operator change its permissions.")
    check_size(found.st_size, max_bytes, name=name)
    return found
