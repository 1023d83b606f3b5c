"""`POST /v1/estimate`: the frames, tokens and seconds of an analysis, without running it."""

from typing import Self

from fastapi import APIRouter, Request

from deployments.api.documentation import json_or_form_body
from deployments.api.driving import Question, open_job
from deployments.api.service import ServiceDependency
from deployments.api.video_requests import VideoRequest, read_request
from deployments.wire.plan_bodies import PlanBody
from deployments.wire.schema import Schema
from pipeline.analysis import Estimate, ExpectedSeconds
from pipeline.types import Prompt

router = APIRouter(tags=["analyses"])

USUAL_PROMPT = "What happens in this video, and when?"
"""The prompt of an estimate without one. Its length has a small effect."""


class EstimateRequest(VideoRequest):
    """Fields of `POST /v1/estimate`: those of `POST /v1/analyses`."""

    prompt: str | None = None
    """The question about the video."""
    stream: bool = False
    """Accepted and ignored, so that the body of an analysis can be sent unchanged."""


class ExpectedBody(Schema):
    decode_seconds: float | None
    """Summed over the chunks, which overlap."""
    inference_seconds: float | None
    """Summed over the chunks."""
    merge_seconds: float | None
    """0 if there is nothing to merge."""
    basis: str
    """The measurements behind the forecast, or why there is none."""

    @classmethod
    def of(cls, expected: ExpectedSeconds) -> Self:
        return cls(
            decode_seconds=_rounded(expected.decoding),
            inference_seconds=_rounded(expected.inference),
            merge_seconds=_rounded(expected.merging),
            basis=expected.basis,
        )


class EstimateBody(Schema):
    plan: PlanBody
    """The plan that the analysis would start with."""
    num_chunks: int
    num_frames: int
    effective_fps: float
    """Sampled frames per second of video."""
    visual_tokens: int
    """Tokens of frames, over all chunks."""
    prompt_tokens: int
    """At most, over all chunks: frames, their times and the prompt; merges not included."""
    frame_bytes: int
    """Bytes of the decoded frames of all chunks. They are not in memory at the same time."""
    expected_seconds: float | None
    """From request to answer on an idle server; null until the server has measured something."""
    expected: ExpectedBody
    uncovered: list[tuple[float, float]]
    """Parts of the requested range, in seconds, that no chunk would cover."""
    notices: list[str]
    """Differences between the request and the plan."""

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        coverage, work = estimate.coverage, estimate.work
        return cls(
            plan=PlanBody.of(estimate.plan),
            num_chunks=work.num_chunks,
            num_frames=coverage.frames_used,
            effective_fps=round(coverage.effective_fps, 3),
            visual_tokens=work.visual_tokens,
            prompt_tokens=work.prompt_tokens,
            frame_bytes=work.frame_bytes,
            expected_seconds=_rounded(estimate.expected.whole),
            expected=ExpectedBody.of(estimate.expected),
            uncovered=[(round(start, 3), round(stop, 3)) for start, stop in coverage.uncovered],
            notices=list(coverage.notices),
        )


@router.post("/v1/estimate", openapi_extra=json_or_form_body(EstimateRequest, "video"))
async def create_estimate(http_request: Request, service: ServiceDependency) -> EstimateBody:
    """Estimate the frames, tokens and seconds of an analysis without running it."""
    async with read_request(http_request, EstimateRequest, service.settings.sources) as (request, video):
        prompt = Prompt(USUAL_PROMPT if request.prompt is None else request.prompt)
        async with open_job(Question(video, prompt, request), service) as opened:
            return EstimateBody.of(await service.orchestrator.estimate(opened.job))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
