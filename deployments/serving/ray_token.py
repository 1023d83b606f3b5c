"""Ray's authentication token: a user who can read it can run code on the cluster."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


def keep_ray_token_private() -> None:
    """Withdraw what other users may do with `~/.ray/auth_token`, and create its folder for this user alone.

    Ray (2.60) writes the file in the process's umask, by default readable for everybody. A token that
    Ray's environment places elsewhere, or that another user owns, is the operator's.
    """
    with suppress(OSError, RuntimeError):  # no home, a read-only one, or no file yet
        folder = Path.home() / ".ray"
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        file = folder / "auth_token"
        found = file.lstat()
        is_own_file = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if is_own_file and stat.S_IMODE(found.st_mode) & ~_PRIVATE_FILE:
            file.chmod(_PRIVATE_FILE)
