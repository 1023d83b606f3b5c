"""The entry point, where the command's packages are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["rich", "typer"])
def test_a_missing_package_is_named(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; from longtake.cli import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert f"The command needs {name}, which is not installed. Run: pip install 'longtake[cli]'" in finished.stderr


def test_another_missing_package_is_a_fault() -> None:
    code = "import sys; sys.modules['httpx'] = None; from longtake.cli import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1 and "ModuleNotFoundError" in finished.stderr
