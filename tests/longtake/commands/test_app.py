"""The command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from longtake.commands.app import app as command
from tests.longtake.commands.processes import ROOT, run


@pytest.mark.parametrize("name", ["", "analyze", "plan", "serve", "doctor"])
def test_help(name: str) -> None:
    result = CliRunner().invoke(command, [*filter(None, [name]), "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_completion_and_version() -> None:
    assert run("--version").stdout == "longtake 0.1.0\n"
    environment = os.environ | {"_LONGTAKE_COMPLETE": "complete_bash", "COMP_WORDS": "longtake a", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'longtake'; from longtake.cli import main; main()"
    completed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert completed.stdout.split() == ["analyze"]
