"""`POST /v1/estimate`: what an analysis would look at and cost, without running it."""

from contextlib import AsyncExitStack
from typing import Self

from fastapi import APIRouter, Request

from deployments.api.documentation import json_or_form_body
from deployments.api.native import VideoRequest, read_request
from deployments.api.service import ServiceDependency
from deployments.wire.result_bodies import PlanBody
from deployments.wire.schema import Schema
from pipeline.analysis import Estimate, ExpectedSeconds
from pipeline.types import Prompt

router = APIRouter(tags=["analyses"])

USUAL_PROMPT = "What happens in this video, and when?"
"""Stands in for a prompt that is not given: its length counts, a little."""


class EstimateRequest(VideoRequest):
    """Fields of `POST /v1/estimate`: those of `POST /v1/analyses`."""

    prompt: str | None = None
    """What is to be found out about the video."""
    stream: bool = False
    """Taken, and without a meaning here."""


class ExpectedBody(Schema):
    decode_seconds: float | None
    """Summed over the chunks, which overlap."""
    inference_seconds: float | None
    """The same."""
    merge_seconds: float | None
    """0 where nothing is to be merged."""
    basis: str
    """What was measured, or why there is no figure."""

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
    """As an analysis would begin with."""
    num_chunks: int
    num_frames: int
    effective_fps: float
    """Frames looked at per second of video."""
    visual_tokens: int
    """Of the frames, over all chunks."""
    prompt_tokens: int
    """At most, over all chunks: frames, their times and the prompt; merges not included."""
    frame_bytes: int
    """Of the decoded frames of all chunks, which are not all there at once."""
    expected_seconds: float | None
    """From request to answer, on a server with nothing else to do; null where nothing was measured yet."""
    expected: ExpectedBody
    uncovered: list[tuple[float, float]]
    """Parts of the asked range, in seconds, that no chunk would cover."""
    notices: list[str]
    """What would differ from the request."""

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
    """Says what an analysis would look at and cost; runs nothing of it."""
    async with AsyncExitStack() as resources:
        request, video = await read_request(http_request, EstimateRequest, service.settings.sources, resources)
        service.model.adapter(request.model)  # before an upload is kept
        source = await resources.enter_async_context(service.source(video))
        prompt = Prompt(USUAL_PROMPT if request.prompt is None else request.prompt)
        return EstimateBody.of(await service.orchestrator.estimate(request.job(source, prompt, service.model)))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
