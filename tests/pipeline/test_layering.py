"""Arrows run one way: leaves, then stages, then deployments."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))
RUN_BY_ALEMBIC = ROOT / "pipeline" / "store" / "migrations" / "env.py"
"""A script, and no module."""
LEAVES = ("errors", "types", "config", "sniffing")
OURS = ("pipeline", "deployments", "longtake")

IMPORT_ALL = """
import importlib, sys
for name in ("ray", "vllm", "fastapi", "starlette", "deployments", "longtake"):
    sys.modules[name] = None  # an import of it raises ImportError
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield node.module or ""


def imports_of_ours(path: Path) -> set[str]:
    return {name for name in imported_modules(path) if name.partition(".")[0] in OURS}


def test_pipeline_needs_no_server() -> None:
    command = [sys.executable, "-c", IMPORT_ALL, *(module_name(path) for path in PIPELINE if path != RUN_BY_ALEMBIC)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_block_works() -> None:
    command = [sys.executable, "-c", IMPORT_ALL, "deployments.config"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in finished.stderr


def test_planning_and_orchestrating_need_no_torch() -> None:
    """It would take 480 MB and 3 s of each process."""
    modules = "deployments.chunker", "deployments.orchestrator", "deployments.frame_decoder", "deployments.ingress"
    script = f"import {', '.join(modules)}, sys; assert 'torch' not in sys.modules"
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaf_imports_nothing_of_ours(leaf: str) -> None:
    assert imports_of_ours(ROOT / "pipeline" / f"{leaf}.py") == set()


@pytest.mark.parametrize("path", PIPELINE, ids=module_name)
def test_pipeline_imports_only_pipeline(path: Path) -> None:
    assert all(name.partition(".")[0] == "pipeline" for name in imports_of_ours(path))


def test_vllm_is_imported_by_the_engines_files_alone() -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in OURS
        for path in (ROOT / folder).rglob("*.py")
        if any(name.partition(".")[0] == "vllm" for name in imported_modules(path))
    ]
    assert sorted(users) == [f"deployments/engine{part}.py" for part in ("", "_adapters", "_inputs")]
