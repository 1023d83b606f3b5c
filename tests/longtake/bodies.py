"""What the server sends for the analysis of `tests/deployments/api/fakes.py`."""

from __future__ import annotations

from typing import Any, cast

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from deployments.wire.event_bodies import EventBodies
from deployments.wire.result_bodies import AnalysisBody
from pipeline.analysis import AnalysisDone, AnalysisJob
from pipeline.types import TokenSampling
from tests.deployments.api.fakes import WHOLE

_MODEL = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
_TOKEN_SAMPLING = TokenSampling(max_tokens=512, temperature=0.0, top_p=0.8, top_k=20, seed=42)

_DONE = WHOLE[-1]
assert isinstance(_DONE, AnalysisDone)

ANALYSIS: dict[str, Any] = AnalysisBody.of(_DONE, _MODEL, _TOKEN_SAMPLING).model_dump(mode="json")
EVENT_BODIES = EventBodies(cast(AnalysisJob, None), _MODEL, include_video_metadata=False)
"""For events other than the answer, which do not look at the job."""
