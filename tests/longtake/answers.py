"""Answers as the server gives them, made by its own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployments.wire.time_bodies import CitationBody, TimedResultBody
from longtake import Answer
from longtake.parsing import parsed
from pipeline.answers.citations import check_citations
from pipeline.answers.timed_results import timed_results
from tests.deployments.api.fakes import ANSWERED, FAILED, VIDEO
from tests.deployments.api.result_bodies import ANALYSIS


def answer_json(text: str | None, unsupported: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """The answer `text`, with the citations and timed results that the server makes of it. The first chunk supports
    every time but those that are `unsupported`.
    """
    chunks = (ANSWERED, FAILED)
    citations = [
        replace(citation, chunk_index=None if citation.text in unsupported else 0)
        for citation in check_citations(text, chunks, step_seconds=1.0)
    ]
    results = timed_results(text, citations, chunks, duration_seconds=VIDEO.duration_seconds)
    times = {
        "citations": [CitationBody.of(citation).model_dump() for citation in citations],
        "timed_results": [TimedResultBody.of(result).model_dump() for result in results],
    }
    return ANALYSIS | {"notice": None, "aggregated_response": text} | times | fields


def answer_of(text: str | None, unsupported: tuple[str, ...] = (), **fields: Any) -> Answer:
    return parsed(Answer, answer_json(text, unsupported, **fields))
