"""What the server says, as dataclasses."""

from __future__ import annotations

from typing import Any

import pytest

from longtake import Answer
from longtake.parsing import parsed
from tests.deployments.api.result_bodies import CHUNK_RESULT
from tests.longtake.answers import answer_json, answer_of
from tests.timed_answers import TIMED_ANSWERS


def timed(answer: Answer) -> list[tuple[float, float, str]]:
    return [(result.start_time, result.end_time, result.text) for result in answer.timed_results]


@pytest.mark.parametrize(("text", "results"), TIMED_ANSWERS)
def test_an_answer_by_its_times(text: str, results: list[tuple[float, float, str]]) -> None:
    assert timed(answer_of(text)) == results


def test_an_answer_comes_back_by_its_times_from_the_server() -> None:
    answer = answer_of("🎬 [00:05] A cat. 66.3 s: a dog.", unsupported=("66.3",))
    text = answer.aggregated_response or ""
    assert [text[citation.start : citation.stop] for citation in answer.citations] == ["[00:05]", "66.3"]
    assert [text[result.start : result.stop] for result in answer.timed_results] == [
        "🎬 [00:05] A cat. ",
        "66.3 s: a dog.",
    ]
    assert [(result.supported, result.chunk_index) for result in answer.timed_results] == [(True, 0), (False, None)]


def test_what_has_no_times_is_timed_by_its_chunks() -> None:
    for text in ("A cat sits all day.", None):
        assert timed(answer_of(text)) == [(0.0, 60.0, "A cat sits.")]


def test_an_older_server_does_not_say_where_times_stand() -> None:
    """Its chunks stand for the answer's pieces, and no time is guessed."""
    body = answer_json("[00:05] A cat sits. [01:00] It leaves.")
    del body["timed_results"]
    body["citations"] = [without(citation, "start", "stop") for citation in body["citations"]]
    body["chunk_results"] = [without(chunk, "times") for chunk in body["chunk_results"]]
    answer = parsed(Answer, body)
    assert timed(answer) == [(0.0, 60.0, "A cat sits.")]
    assert [(citation.start, citation.stop) for citation in answer.citations] == [(None, None)] * 2
    assert answer.cited_markdown() == "[00:05] A cat sits. [01:00] It leaves."
    assert answer.chunk_results[0].times == ()


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def test_the_times_of_a_chunk() -> None:
    times = [{"text": "0:05", "time": 5.0, "start": 3, "stop": 7}]
    answer = answer_of("x", chunk_results=[CHUNK_RESULT | {"response": "At 0:05 a cat.", "times": times}])
    (time,) = answer.chunk_results[0].times
    assert (time.text, time.time, time.start, time.stop) == ("0:05", 5.0, 3, 7)


def test_a_title_is_one_line_at_its_level() -> None:
    assert answer_of("x").to_markdown("What\nhappens?", level=1).startswith("# What happens?\n\nx\n\n")


def test_without_a_merge_the_chunks_stand_for_themselves() -> None:
    answer = answer_of(None, aggregation_error="No room.")
    assert answer.text == "[00:00 - 01:00]\nA cat sits."
    assert "**The answers were not merged:** No room." in answer.to_markdown()


def test_of_a_newer_server_what_is_unknown_is_kept_raw() -> None:
    answer = answer_of("x", chunk_results=[CHUNK_RESULT | {"new": 1}], newer={"a": 1})
    assert answer.raw["newer"] == {"a": 1} and answer.raw["chunk_results"][0]["new"] == 1
