"""What processes load at run time; import-linter's contracts in pyproject.toml hold the rest."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))
RUN_BY_ALEMBIC = ROOT / "pipeline" / "store" / "migrations" / "env.py"
"""A script, and no module."""

IMPORT_ALL = """
import importlib, sys
for name in ("ray", "vllm", "fastapi", "starlette", "deployments", "longtake"):
    sys.modules[name] = None  # an import of it raises ImportError
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


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
