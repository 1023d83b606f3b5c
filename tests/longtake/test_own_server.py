"""The command with a server of its own: the whole graph, started and ended by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tools.demo_model.language import LIST_PROMPT
from tools.demo_model.scenes import Split, random_film, write_film


@pytest.mark.slow
def test_a_film_is_asked_about_twice_and_nothing_is_left(tmp_path: Path) -> None:
    film = tmp_path / "shapes.mp4"
    scenes = random_film(Split.TEST, 20_001, width_px=320, height_px=180, duration_seconds=60)
    write_film(scenes, film, fps=10)
    arguments = ["analyze", str(film), "-p", LIST_PROMPT, "-f", "Describe this video.", "-c", "30", "--format", "json"]
    environment = {name: value for name, value in os.environ.items() if name != "LONGTAKE_SERVER"}
    finished = subprocess.run(
        [sys.executable, "-m", "longtake.cli", *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert finished.returncode == 0, finished.stderr
    first, second = (analysis["answer"] for analysis in json.loads(finished.stdout)["analyses"])
    assert len(first["citations"]) > 3 and first["aggregated_response"] == second["aggregated_response"]
    assert not any(chunk["decode_reused"] for chunk in first["chunk_results"])
    assert all(chunk["decode_reused"] for chunk in second["chunk_results"])
    left = [process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])]
    assert left == []
