"""Exit statuses of the command."""

from __future__ import annotations

from enum import IntEnum

from longtake.errors import ServerError, ServerUnreachable


class ExitCode(IntEnum):
    ANSWERED = 0
    """Every question was answered."""
    FAILED = 1
    """No question was answered; for `doctor`, something is missing."""
    USAGE = 2
    """An argument is wrong, or a file does not exist."""
    PARTIAL = 3
    """Some was answered: a chunk, the merge or one of several videos failed."""
    NO_SERVER = 4
    """No server answers, or none could be started."""
    INTERRUPTED = 130
    """Ctrl-C."""


EXPLAINED = (
    "Exit status: 0 every question was answered; 1 none was; 2 an argument is wrong; 3 a chunk, the merge or one of "
    "several videos failed; 4 no server; 130 interrupted."
)


def exit_code_of(error: ServerError) -> ExitCode:
    if isinstance(error, ServerUnreachable):
        return ExitCode.NO_SERVER
    return ExitCode.USAGE if error.status == 400 else ExitCode.FAILED
