"""Complete results that were stored before citations had places.

All inputs are in the stored body, so downloads, links and subtitles of old analyses equal those of new ones.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from deployments.wire.time_bodies import CitationBody, FoundTimeBody, TimedResultBody
from pipeline.answers.timed_results import timed_results
from pipeline.answers.times import times_in
from pipeline.types import Citation


def complete_result(body: str) -> str:
    """Return the stored JSON of an answer with the places of its citations, its timed results and its chunks' times."""
    return _complete(body, "timed_results", _add_to_result)


def complete_chunk(body: str) -> str:
    """Return the stored JSON of a chunk's result with the times in its response."""
    return _complete(body, "times", _add_to_chunk)


def _complete(body: str, key: str, add: Callable[[dict[str, Any]], None]) -> str:
    if f'"{key}":' in body:  # a key: quotes inside of strings are escaped
        return body
    fields: dict[str, Any] = json.loads(body)
    add(fields)
    return json.dumps(fields, ensure_ascii=False)


def _add_to_chunk(chunk: dict[str, Any]) -> None:
    chunk["times"] = [time.model_dump() for time in FoundTimeBody.in_text(chunk["response"] or "")]


def _add_to_result(result: dict[str, Any]) -> None:
    for chunk in result["chunk_results"]:
        _add_to_chunk(chunk)
    answer = result["aggregated_response"]
    citations = _placed(answer or "", result["citations"])
    pieces = timed_results(answer, citations, (), duration_seconds=result["video_info"]["duration"])
    result["citations"] = [CitationBody.of(citation).model_dump() for citation in citations]
    bodies = [TimedResultBody.of(piece) for piece in pieces] or list(_by_chunks(result["chunk_results"]))
    result["timed_results"] = [body.model_dump() for body in bodies]


def _by_chunks(chunks: list[dict[str, Any]]) -> Iterator[TimedResultBody]:
    for chunk in chunks:
        if text := " ".join((chunk["response"] or "").split()):
            yield TimedResultBody(
                start_time=chunk["start_time"],
                end_time=chunk["end_time"],
                text=text,
                supported=True,
                chunk_index=chunk["chunk_index"],
                start=None,
                stop=None,
            )


def _placed(answer: str, citations: list[dict[str, Any]]) -> list[Citation]:
    """Match citations to the recognised times of the answer, in order. A plain text search could find other places."""
    times = iter(times_in(answer))
    placed = []
    for citation in citations:
        if time := next((time for time in times if time.text == citation["text"]), None):
            placed.append(Citation(time.text, time.seconds, time.start, time.stop, citation["chunk_index"]))
    return placed
