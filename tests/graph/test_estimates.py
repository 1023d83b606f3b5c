"""What an analysis would cost, against the whole graph; and times in answers that hold."""

from __future__ import annotations

import httpx
import pytest

from tests.graph.asking import analyze

ASKED = {"video_path": "scenes.mp4", "chunk_duration": 40, "fps": 2}


def test_an_estimate_is_what_the_analysis_then_does(client: httpx.Client) -> None:
    asked = ASKED | {"cache_salt": "estimated"}
    response = client.post("/v1/estimate", json=asked)
    assert response.status_code == 200, response.text
    estimate = response.json()
    answer = analyze(client, **asked, max_tokens=512, prompt="List every scene with the time it starts.")
    spans = [(chunk["start_time"], chunk["end_time"]) for chunk in estimate["plan"]["chunks"]]
    assert spans == [(chunk["start_time"], chunk["end_time"]) for chunk in answer["chunk_results"]]
    assert estimate["num_frames"] == answer["coverage"]["frames_used"]
    assert estimate["uncovered"] == answer["coverage"]["uncovered"] == []
    read = sum(chunk["prompt_tokens"] for chunk in answer["chunk_results"])
    assert estimate["visual_tokens"] < read < estimate["prompt_tokens"]
    measured = client.post("/v1/estimate", json=asked).json()
    expected = measured["expected"]
    assert expected["decode_seconds"] > 0 and expected["inference_seconds"] > 0 and expected["merge_seconds"] > 0
    assert measured["expected_seconds"] == pytest.approx(answer["total_processing_time"], rel=2)


def test_times_in_the_answer_hold(client: httpx.Client) -> None:
    answer = analyze(client, **ASKED, max_tokens=512, prompt="List every scene with the time it starts.")
    assert len(answer["citations"]) > 5
    results = answer["chunk_results"]
    for citation in answer["citations"]:
        assert citation["text"] == answer["aggregated_response"][citation["start"] : citation["stop"]]
        assert citation["supported"] == (citation["chunk_index"] is not None)
        if citation["supported"]:
            chunk = results[citation["chunk_index"]]
            assert chunk["start_time"] - 1 <= citation["time"] <= chunk["end_time"] + 1
    starts = [result["start_time"] for result in answer["timed_results"]]
    assert starts == sorted(starts) and set(starts) <= {citation["time"] for citation in answer["citations"]}
    assert len(starts) > 5
    for result in results:
        assert all(result["response"][time["start"] : time["stop"]] == time["text"] for time in result["times"])
    assert sum(len(result["times"]) for result in results) > 5
    assert sum(citation["supported"] for citation in answer["citations"]) >= 0.9 * len(answer["citations"])
