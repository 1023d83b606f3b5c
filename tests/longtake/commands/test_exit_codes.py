"""Exit statuses of the command."""

from __future__ import annotations

import re

import pytest

from longtake import ServerError, ServerUnreachable
from longtake.commands.exit_codes import EXPLAINED, ExitCode, exit_code_of
from longtake.commands.sessions import NoServer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerUnreachable("http://a", "refused"), ExitCode.NO_SERVER),
        (ServerError("fps is 100.", status=400), ExitCode.USAGE),
        (ServerError("It is damaged.", status=422), ExitCode.FAILED),
        (NoServer("It did not start."), ExitCode.FAILED),
    ],
)
def test_exit_code_of(error: ServerError, code: ExitCode) -> None:
    assert exit_code_of(error) is code


def test_help_explains_every_status() -> None:
    assert {int(number) for number in re.findall(r"\b(\d+) ", EXPLAINED)} == {int(code) for code in ExitCode}
