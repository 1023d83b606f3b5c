"""kill -9 of everything in the middle of an analysis: after a start on the same data it goes on by itself.

`LONGTAKE_KILLS=20 make test-services` does it twenty times.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.postgresql import new_database
from tests.services.whole_server import WholeServer
from tools.demo_model.scenes import Split, random_film, write_film

pytestmark = [pytest.mark.services, pytest.mark.timeout(3600)]

NUM_KILLS = int(os.environ.get("LONGTAKE_KILLS", "3"))
NUM_CHUNKS = 20
BODY = {
    "prompt": "What happens, and when?",
    "video_path": "film.mp4",
    "chunk_duration": 10,
    "chunk_overlap": 0,
    "seed": 1,
}
TIMES = ("processing_time", "decode_seconds", "inference_seconds", "queue_seconds", "attempts")
CACHES = ("decode_reused", "cached_tokens", "decoder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    scenes = random_film(Split.TEST, 20_001, width_px=320, height_px=180, duration_seconds=10 * NUM_CHUNKS)
    write_film(scenes, tmp_path / "media" / "film.mp4", fps=10)
    return tmp_path


def told(answer: dict[str, Any]) -> Any:
    """What an answer says, without what it cost to give."""
    chunks = [
        {name: value for name, value in chunk.items() if name not in TIMES + CACHES}
        for chunk in answer["chunk_results"]
    ]
    return answer["aggregated_response"], chunks, answer["coverage"], answer["partial"]


def ask(http: httpx.Client, salt: str) -> str:
    response = http.post("/v1/analyses", params={"wait": "false"}, json=BODY | {"cache_salt": salt})
    assert response.status_code == 202, response.text
    analysis_id: str = response.json()["id"]
    return analysis_id


def until_ended(http: httpx.Client, analysis_id: str, seconds: float = 240) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        body: dict[str, Any] = http.get(f"/v1/analyses/{analysis_id}").json()
        if body["status"] not in ("queued", "running"):
            return body
        time.sleep(0.3)
    raise AssertionError(f"{body['status']} after {seconds} s: {body['progress']}")


def until_some_are_done(http: httpx.Client, analysis_id: str, num_chunks: int) -> None:
    while http.get(f"/v1/analyses/{analysis_id}").json()["progress"]["chunks_done"] < num_chunks:
        time.sleep(0.02)


def events(http: httpx.Client, analysis_id: str) -> list[tuple[int, str]]:
    numbers, names = [], []
    for line in http.get(f"/v1/analyses/{analysis_id}/events").text.splitlines():
        if line.startswith("id: "):
            numbers.append(int(line[4:]))
        if line.startswith("event: "):
            names.append(line[7:])
    return list(zip(numbers, names, strict=True))


def kept_answers(database: Path | str, analysis_id: str) -> dict[int, float]:
    """The chunks that were answered when the server was killed, and how long each took."""
    select = "SELECT answer FROM chunk_answers WHERE analysis_id = "
    rows: Sequence[tuple[Any, ...]]
    if isinstance(database, Path):
        with sqlite3.connect(database) as sqlite:
            rows = sqlite.execute(f"{select}?", [analysis_id]).fetchall()
    else:
        with psycopg.connect(database) as postgresql:
            rows = postgresql.execute(f"{select}%s", [analysis_id]).fetchall()
    answers = [json.loads(answer) for (answer,) in rows]
    return {answer["chunk_index"]: answer["processing_seconds"] for answer in answers}


@pytest.mark.parametrize(("store", "num_kills"), [("sqlite", NUM_KILLS), ("postgresql", 1)])
def test_kills_at_random_moments(store: str, num_kills: int, folder: Path, request: pytest.FixtureRequest) -> None:
    rng = random.Random(6)
    url = new_database(request.getfixturevalue("postgresql")) if store == "postgresql" else None
    server = WholeServer(folder, url)
    try:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
            undisturbed = until_ended(http, ask(http, "undisturbed"))
        expected = told(undisturbed["result"])
        num_chunks = undisturbed["progress"]["num_chunks"]
        assert num_chunks >= NUM_CHUNKS  # chunks start at key frames
        for turn in range(num_kills):
            with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
                asked = ask(http, f"kill {turn}")
                until_some_are_done(http, asked, rng.randrange(num_chunks))
                time.sleep(rng.uniform(0, 0.3))
                server.kill()
            kept = kept_answers(url or folder / "data" / "longtake.db", asked)
            server = WholeServer(folder, url)
            with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
                after = until_ended(http, asked)
                heard = events(http, asked)
            print(f"kill {turn + 1}: with {len(kept)} of {num_chunks} chunks, then {after['status']}", flush=True)
            assert after["status"] == "completed", after["error"]
            assert told(after["result"]) == expected
            assert [number for number, _ in heard] == list(range(1, len(heard) + 1))
            names = [name for _, name in heard]
            assert (names.count("plan"), names.count("chunk"), names.count("answer")) == (1, num_chunks, 1)
            for chunk in after["result"]["chunk_results"]:  # what was kept is not computed again, at most what was not
                was_kept = chunk["chunk_index"] in kept
                assert not was_kept or chunk["processing_time"] == round(kept[chunk["chunk_index"]], 3)
    finally:
        server.kill()
