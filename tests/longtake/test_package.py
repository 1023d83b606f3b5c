"""The client needs httpx, and nothing of the server."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CLIENT = sorted((ROOT / "longtake").glob("*.py"))
ALL = sorted((ROOT / "longtake").rglob("*.py"))
CLIENT_NEEDS = {"httpx"}
COMMAND_NEEDS = CLIENT_NEEDS | {"rich", "typer", "yaml"}
COMMAND_MODULES = {"cli.py"}

ASK = """
import sys
for name in ("ray", "vllm", "torch", "numpy", "pydantic", "fastapi", "pipeline", "deployments", "rich", "typer"):
    sys.modules[name] = None  # an import of it raises ImportError
from longtake import AsyncLongtake, Longtake
AsyncLongtake("http://127.0.0.1:1")
with Longtake("http://127.0.0.1:1") as client:
    print(client, sorted(name for name in sys.modules if name == "httpx"))
"""


def foreign_imports(path: Path) -> set[str]:
    """Top-level packages beyond the standard library and `longtake` that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names - {"longtake"}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_module_imports(path: Path) -> None:
    is_command = path.name in COMMAND_MODULES or path.parent.name == "commands"
    assert foreign_imports(path) <= (COMMAND_NEEDS if is_command else CLIENT_NEEDS)


def test_the_client_imports_without_the_servers_packages() -> None:
    finished = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "<Longtake http://127.0.0.1:1> ['httpx']\n"


def test_the_wheel_works_with_httpx_alone(tmp_path: Path) -> None:
    """Built from the source and unpacked into an environment that has httpx, what httpx needs, and nothing else."""
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(source)], check=True)
    for path in ALL:  # as they are here, committed or not
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (source / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    built = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True, check=True
    )
    wheel = tmp_path / built.stdout.strip().splitlines()[-1]
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(packages)], check=True)
    for name in ("httpx", "httpcore", "h11", "anyio", "idna", "certifi", "typing_extensions.py", "sniffio"):
        installed = Path(sysconfig.get_path("purelib")) / name
        if installed.exists():
            (packages / name).symlink_to(installed)
    python = environment / "bin" / "python"
    finished = subprocess.run([str(python), "-I", "-c", ASK], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    command = [str(python), "-I", "-c", "from longtake.cli import main; main()"]
    lacking = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert lacking.returncode == 2
    assert "longtake[cli]" in lacking.stderr and "Traceback" not in lacking.stderr
