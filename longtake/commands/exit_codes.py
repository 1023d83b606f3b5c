"""What the command's exit status says."""

from __future__ import annotations

from enum import IntEnum

from longtake.errors import ServerError, ServerUnreachable


class ExitCode(IntEnum):
    ANSWERED = 0
    """All that was asked."""
    FAILED = 1
    """Nothing was answered; of `doctor`: something that is needed is missing."""
    USAGE = 2
    """An argument is wrong, or a file is not there."""
    PARTIAL = 3
    """Some of it was answered: a chunk, the merge or one of several videos failed."""
    NO_SERVER = 4
    """None answers, or none could be started."""
    INTERRUPTED = 130
    """By Ctrl-C."""


EXPLAINED = (
    "Exit status: 0 all was answered; 1 nothing was; 2 an argument is wrong; 3 a chunk, the merge or one of several "
    "videos failed; 4 there is no server; 130 interrupted."
)


def exit_code_of(error: ServerError) -> ExitCode:
    if isinstance(error, ServerUnreachable):
        return ExitCode.NO_SERVER
    return ExitCode.USAGE if error.status == 400 else ExitCode.FAILED
