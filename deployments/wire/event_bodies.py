"""The events of an analysis as clients see them, live or stored."""

from dataclasses import dataclass, field
from typing import Any

from deployments.model_choice import ModelChoice
from deployments.wire.result_bodies import AnalysisBody, ChunkResultBody, PlanBody
from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    PlanReady,
    Progress,
)
from pipeline.store import EventNames
from pipeline.types import ChunkPlan


@dataclass(eq=False)
class EventBodies:
    """Bodies for the events of one analysis, which arrive in order."""

    job: AnalysisJob
    model: ModelChoice
    include_video_metadata: bool
    """Whether each chunk's result lists the frames that the model saw."""
    _plan: ChunkPlan | None = field(default=None, init=False)

    def of(self, happened: AnalysisEvent) -> tuple[EventNames, dict[str, Any]]:
        """Return the event's name and its data."""
        match happened:
            case PlanReady(plan):
                self._plan = plan
                return EventNames.PLAN, PlanBody.of(plan).model_dump()
            case ChunkDone(answer):
                described_plan = self._plan if self.include_video_metadata else None
                return EventNames.CHUNK, ChunkResultBody.of(answer, described_plan).model_dump()
            case Progress(chunks_done, chunks_total, merging):
                stage = "merging" if merging else "chunks"
                return EventNames.PROGRESS, {"stage": stage, "chunks_done": chunks_done, "num_chunks": chunks_total}
            case AnswerDelta(text):
                return EventNames.DELTA, {"text": text}
            case AnalysisDone():
                body = AnalysisBody.of(
                    happened,
                    self.model,
                    self.job.token_sampling,
                    include_video_metadata=self.include_video_metadata,
                )
                return EventNames.ANSWER, body.model_dump()
