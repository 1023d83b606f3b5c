"""Results stored before times had places look like new ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from deployments.wire.older_bodies import complete_chunk, complete_result
from deployments.wire.result_bodies import AnalysisBody
from pipeline.types import TokenSampling
from tests.deployments.api.fakes import done

CHOICE = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
TOKEN_SAMPLING = TokenSampling(max_tokens=512, temperature=0.0, top_p=1.0, top_k=-1, seed=42)


def new_result(answer: str | None) -> dict[str, Any]:
    body = AnalysisBody.of(done(answer), CHOICE, TOKEN_SAMPLING, include_video_metadata=False)
    return body.model_dump(mode="json")


def older(body: Any) -> Any:
    """A body without the fields that say where times stand."""
    if isinstance(body, dict):
        added = ("start", "stop", "times", "timed_results")
        return {name: older(value) for name, value in body.items() if name not in added}
    return [older(item) for item in body] if isinstance(body, list) else body


@pytest.mark.parametrize(
    "answer",
    [
        "[00:05] Ein Kätzchen. 66.3 Regen 🎬. At 12 s, and at 12 s again, it purrs.",
        '[00:05] [00:05] says "times": or "timed_results": aloud.',
        "2 people enter at 2 s. At 1:15 it starts, 15 people at 15 s.",
        "A cat sits all day.",
        None,
    ],
)
def test_an_older_result_becomes_a_new_one(answer: str | None) -> None:
    result = new_result(answer)
    assert json.loads(complete_result(json.dumps(older(result), ensure_ascii=False))) == result


def test_an_older_chunk_becomes_a_new_one() -> None:
    (chunk, *_) = new_result("A cat.")["chunk_results"]
    chunk |= {"response": "[00:05] a cat", "times": [{"text": "[00:05]", "time": 5.0, "start": 0, "stop": 7}]}
    assert json.loads(complete_chunk(json.dumps(older(chunk)))) == chunk


def test_a_new_body_is_passed_on_as_it_is() -> None:
    result = new_result("[00:05] a cat")
    result["timed_results"], result["chunk_results"][0]["times"] = [], []
    body, chunk = json.dumps(result), json.dumps(result["chunk_results"][0])
    assert (complete_result(body), complete_chunk(chunk)) == (body, chunk)
