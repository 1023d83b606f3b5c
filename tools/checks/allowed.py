"""What the checks let pass, each entry with its reason, and where the voice is checked.

An entry that nothing needs any more is a problem too, so that these lists only get shorter.
"""

from __future__ import annotations

CITATIONS = {
    "ConsistentHashRouter": "a class of Ray Serve's",
    "RAY_GRAFANA_HOST": "a variable of Ray's dashboard",
    "RAY_GRAFANA_IFRAME_HOST": "a variable of Ray's dashboard",
    "RAY_PROMETHEUS_HOST": "a variable of Ray's dashboard",
    "fetch_image": "a function of qwen_vl_utils",
    "longtake.given_up": "an attribute of spans, whose names start with `longtake.`",
    "max_num_queued_reqs": "an argument of vLLM's",
    "raw_fps": "an argument of qwen_vl_utils",
    "relative_colorimetric": "an intent of libswscale's",
    "time_seconds": "a key in the JSON that clients ask for",
}
"""Cited names that no code of ours contains."""

WITHOUT_MIRROR = {
    "pipeline/types/": "dataclasses without behaviour; their rooms test them",
    "tests/deployments/engine/test_tensor_parallel.py": "two processes of a real engine against one",
    "tests/deployments/jobs/test_killed_runners.py": "processes of runners, killed for real",
    "tests/longtake/test_contract.py": "the client against the server's OpenAPI document",
    "tests/longtake/test_own_server.py": "the client starts the whole server",
    "tests/longtake/test_package.py": "the wheel, built and installed",
    "tests/pipeline/store/migrations/": "migrations that change rows; the tables of all are compared with the code",
    "tests/pipeline/video/test_long_videos.py": "memory of probing, planning and decoding a day together",
}
"""Modules without a test file of their name, and test files without a module; a folder stands for all in it."""

CLEAN_VOICE = (
    "CONTRIBUTING.md",
    "deployments/chunks",
    "deployments/jobs",
    "deployments/serving",
    "deployments/telemetry",
    "deployments/aggregator.py",
    "deployments/analysis_runner.py",
    "deployments/api",
    "deployments/app.py",
    "deployments/chunker.py",
    "deployments/config.py",
    "deployments/engine",
    "deployments/frame_decoder.py",
    "deployments/ingress.py",
    "deployments/logs.py",
    "deployments/model_choice.py",
    "deployments/orchestrator.py",
    "deployments/orchestrator_client.py",
    "deployments/vision_language_model.py",
    "deployments/wire",
    "longtake",
    "pipeline/analysis.py",
    "pipeline/answers",
    "pipeline/concurrency.py",
    "pipeline/config.py",
    "pipeline/errors.py",
    "pipeline/sources",
    "pipeline/threads.py",
    "pipeline/types",
    "pipeline/video",
    "pipeline/decoding",
    "pipeline/isolation",
    "pipeline/planning",
    "pipeline/store",
    "tests/checks",
    "tools/checks",
)
"""Files and folders without translated phrases. Add a package when you have rewritten it; never take one away."""
