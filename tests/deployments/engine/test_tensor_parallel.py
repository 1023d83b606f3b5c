"""One engine in two real processes on the CPU generates the same text as in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ENGINE_TIMEOUT_SECONDS = 600
FLOAT32 = {"dtype": "float32"}
"""bfloat16 sums of other parts may round to other tokens."""


def answers(**settings: Any) -> list[dict[str, Any]]:
    # Each rank on a core of its own: by itself vLLM wants a NUMA node for each.
    cores = "|".join(str(core) for core in sorted(os.sched_getaffinity(0))[: settings.get("tensor_parallel_size", 1)])
    command = [sys.executable, "-m", "tests.deployments.engine.engine_answers", json.dumps(settings)]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"VLLM_CPU_OMP_THREADS_BIND": cores},
        stdout=subprocess.PIPE,
        text=True,
        timeout=ENGINE_TIMEOUT_SECONDS,
        check=True,
    )
    told: list[dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return told


@pytest.mark.slow
@pytest.mark.timeout(2 * ENGINE_TIMEOUT_SECONDS)
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="each of the two processes takes a core")
def test_two_processes_say_what_one_says() -> None:
    alone = answers(engine_args=FLOAT32)
    shared = answers(engine_args=FLOAT32, tensor_parallel_size=2)
    for one, other in zip(alone, shared, strict=True):
        assert len(one["tokens"]) > 10
        assert one["text"] == other["text"]
        assert one["tokens"] == other["tokens"]
        for place, shared_place in zip(one["likeliest"], other["likeliest"], strict=True):
            assert [token for token, _ in place] == [token for token, _ in shared_place]
            assert [logprob for _, logprob in place] == pytest.approx([lp for _, lp in shared_place], abs=1e-4)
