"""The client needs httpx and httpx-sse, and nothing of the server."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ALL = sorted((ROOT / "longtake").rglob("*.py"))
CLIENT_NEEDS = {"httpx", "httpx_sse"}
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source as it is here, committed or not."""
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(source)], check=True)
    shutil.rmtree(source / "longtake")
    for path in ALL:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (source / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    built = subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=source, capture_output=True, text=True, check=True
    )
    return folder / built.stdout.strip().splitlines()[-1]


def test_the_wheel_holds_the_client_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"longtake", "longtake-0.1.0.dist-info"}
    assert {name for name in names if name.endswith(".py")} == {path.relative_to(ROOT).as_posix() for path in ALL}


def test_the_wheel_works_with_its_dependencies_alone(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into an environment that has httpx and httpx-sse, what they need, and nothing else."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(packages)], check=True)
    for name in (
        "httpx",
        "httpx_sse",
        "httpcore",
        "h11",
        "anyio",
        "idna",
        "certifi",
        "typing_extensions.py",
        "sniffio",
    ):
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


def test_the_server_imports_from_any_folder(tmp_path: Path) -> None:
    """The wheel leaves it out, so that the environment's path has to hold the checkout."""
    code = "import deployments.serving.local_server, pipeline.types; print(deployments.__file__, pipeline.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("deployments", "pipeline")]
