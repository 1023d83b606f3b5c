"""What the server sends for the analysis of `tests/deployments/api/fakes.py`."""

from __future__ import annotations

from typing import Any, cast

from deployments.config import AppSettings
from deployments.model_choice import DEMO_NOTICE, choose_model
from deployments.wire.event_bodies import EventBodies
from pipeline.analysis import AnalysisJob
from tests.deployments.api import result_bodies

ANALYSIS: dict[str, Any] = result_bodies.ANALYSIS | {"notice": DEMO_NOTICE}
EVENT_BODIES = EventBodies(
    cast(AnalysisJob, None), choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False), include_video_metadata=False
)
"""For events other than the answer, which do not look at the job."""
