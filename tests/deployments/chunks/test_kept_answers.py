"""Stored chunk answers, over a real store: whose they are, and when there are none."""

from __future__ import annotations

import pytest

from deployments.api.options import AnalysisOptions
from deployments.chunks.kept_answers import KeptAnswers
from deployments.config import AppSettings
from deployments.model_choice import choose_model
from pipeline.analysis import AnalysisJob
from pipeline.store import AnalysisStore, AsyncAnalysisStore
from pipeline.types import LocalVideo, Prompt
from tests.deployments.api.fakes import ANSWERED, PLAN

CHOICE = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)


@pytest.fixture
def job() -> AnalysisJob:
    return AnalysisOptions().job(LocalVideo("cat.mp4"), Prompt("What happens?"), CHOICE)


async def test_a_job_that_is_not_stored_stores_no_answers(store: AnalysisStore, job: AnalysisJob) -> None:
    kept = KeptAnswers(AsyncAnalysisStore(store), CHOICE)
    await kept.keep(job, PLAN, ANSWERED)
    assert await kept.find(job, PLAN, PLAN.chunks[0]) is None
