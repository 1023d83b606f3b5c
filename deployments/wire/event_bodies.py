"""An analysis's events as clients receive them, live or stored."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deployments.model_choice import ModelChoice
from deployments.wire.plan_bodies import PlanBody
from deployments.wire.result_bodies import AnalysisBody, ChunkResultBody
from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    PlanReady,
    Progress,
)
from pipeline.types import ChunkPlan


class EventName(StrEnum):
    """The names of server-sent events."""

    PLAN = "plan"
    CHUNK = "chunk"
    PROGRESS = "progress"
    DELTA = "delta"
    ANSWER = "answer"
    ERROR = "error"
    CANCELLED = "cancelled"
    """Sent for stored analyses only."""


@dataclass(eq=False)
class EventBodies:
    """Renders the events of one analysis. They must be passed in order."""

    job: AnalysisJob
    model: ModelChoice
    include_video_metadata: bool
    """Whether each chunk's result lists its frames."""
    _plan: ChunkPlan | None = field(default=None, init=False)

    def of(self, event: AnalysisEvent) -> tuple[EventName, dict[str, Any]]:
        """Return the event's name and its data."""
        match event:
            case PlanReady(plan):
                self._plan = plan
                return EventName.PLAN, PlanBody.of(plan).model_dump()
            case ChunkDone(answer):
                described_plan = self._plan if self.include_video_metadata else None
                return EventName.CHUNK, ChunkResultBody.of(answer, described_plan).model_dump()
            case Progress(chunks_done, num_chunks, merging):
                stage = "merging" if merging else "chunks"
                return EventName.PROGRESS, {"stage": stage, "chunks_done": chunks_done, "num_chunks": num_chunks}
            case AnswerDelta(text):
                return EventName.DELTA, {"text": text}
            case AnalysisDone():
                body = AnalysisBody.of(
                    event,
                    self.model,
                    self.job.token_sampling,
                    include_video_metadata=self.include_video_metadata,
                )
                return EventName.ANSWER, body.model_dump()
