"""Client of a Longtake server, and the command `longtake`. Needs none of the server's packages."""

from longtake.async_client import AsyncAnalysis, AsyncLongtake
from longtake.client import Analysis, Longtake
from longtake.errors import AnalysisCancelled, ServerError, ServerUnreachable
from longtake.events import (
    AnswerEvent,
    CancelledEvent,
    ChunkEvent,
    DeltaEvent,
    PlanEvent,
    ProgressEvent,
    ServerEvent,
)
from longtake.options import AnalysisOptions, SubmitOptions, Webhook
from longtake.plans import Estimate, Plan
from longtake.results import AnalysisState, Answer, ChunkResult, Coverage, File
from longtake.times import Citation, FoundTime, TimedResult
from longtake.videos import ServerPath

__all__ = [
    "Analysis",
    "AnalysisCancelled",
    "AnalysisOptions",
    "AnalysisState",
    "Answer",
    "AnswerEvent",
    "AsyncAnalysis",
    "AsyncLongtake",
    "CancelledEvent",
    "ChunkEvent",
    "ChunkResult",
    "Citation",
    "Coverage",
    "DeltaEvent",
    "Estimate",
    "File",
    "FoundTime",
    "Longtake",
    "Plan",
    "PlanEvent",
    "ProgressEvent",
    "ServerError",
    "ServerEvent",
    "ServerPath",
    "ServerUnreachable",
    "SubmitOptions",
    "TimedResult",
    "Webhook",
]
