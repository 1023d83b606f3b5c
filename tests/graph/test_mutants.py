"""Damaged videos through the whole graph: each gets an answer or an error of its own, and nobody else notices."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clips import X264_B, ffmpeg
from tests.graph.processes import replicas
from tests.mutants import Mutant, mutants_of

CONCURRENCY = 4
MOST_SECONDS = 25.0
ENCODINGS = {
    "h264.mp4": X264_B,
    "hevc.mp4": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
    "av1.mp4": ("-c:v", "libsvtav1", "-preset", "12"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "h264.mkv": X264_B,
    "mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "3"),
    "h264.ts": X264_B,
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-q:v", "4"),
}
FPS, SECONDS, CHUNK_SECONDS = 25, 4, 2
ASKED: dict[str, Any] = {
    "prompt": "What happens?",
    "max_tokens": 4,
    "fps": 2,
    "chunk_duration": CHUNK_SECONDS,
    "chunk_overlap": 0,
    "temperature": 0,
    "seed": 1,
}


@dataclass(frozen=True)
class Outcome:
    name: str
    response: httpx.Response
    seconds: float


@dataclass(frozen=True)
class Campaign:
    outcomes: list[Outcome]
    lost: list[str]
    """Replicas that were there before, and not after."""

    @property
    def damaged(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.name.startswith("whole")]

    @property
    def whole(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.name.startswith("whole")]


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> list[Mutant]:
    folder = tmp_path_factory.mktemp("mutants")
    found = []
    for name, encoding in ENCODINGS.items():
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=192x128:rate={FPS}:duration={SECONDS}", *encoding, folder / name)
        found += mutants_of(name, (folder / name).read_bytes())
    return found


@pytest.fixture(scope="module")
def campaign(client: httpx.Client, media: Path, mutants: list[Mutant]) -> Campaign:
    """Of all mutants, and of a whole video after every eighth one."""
    names = []
    for number, mutant in enumerate(mutants):
        (media / f"mutant_{number}").write_bytes(mutant.content)
        names.append((mutant.name, f"mutant_{number}"))
        if number % 8 == 0:
            names.append((f"whole {number}", "scenes.mp4"))

    def ask(named: tuple[str, str]) -> Outcome:
        name, path = named
        body = ASKED | {"video_path": path, "video_end": 4}
        started = time.perf_counter()
        return Outcome(name, client.post("/v1/analyses", json=body), time.perf_counter() - started)

    before = [replica for deployment in ("Chunker", "FrameDecoder") for replica in replicas(deployment)]
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        outcomes = list(pool.map(ask, names))
    return Campaign(outcomes, [str(replica) for replica in before if not replica.is_running()])


def test_each_gets_an_answer_or_an_error_of_its_own(campaign: Campaign) -> None:
    assert len(campaign.damaged) == 184
    statuses = Counter(outcome.response.status_code for outcome in campaign.damaged)
    failed = {
        outcome.name: outcome.response.text for outcome in campaign.damaged if outcome.response.status_code >= 500
    }
    assert failed == {}, statuses
    assert statuses[200] > 30 and statuses[422] > 30, statuses  # both ways are taken
    for outcome in campaign.damaged:
        assert "Traceback" not in outcome.response.text
        if outcome.response.status_code != 200:
            assert set(outcome.response.json()["error"]) == {"type", "message", "param"}


def test_no_replica_is_lost(campaign: Campaign) -> None:
    assert campaign.lost == []


def test_what_is_missing_is_listed(campaign: Campaign) -> None:
    num_looked_at = 0
    for outcome in campaign.damaged:
        if outcome.response.status_code == 200:
            answer: dict[str, Any] = outcome.response.json()
            seems_whole = answer["video_info"]["total_frames"] == SECONDS * FPS
            for chunk in answer["chunk_results"]:
                assert chunk["success"] or chunk["error"]["message"]
                if chunk["success"] and seems_whole:
                    assert chunk["num_frames"] + len(chunk["missing_frames"]) == CHUNK_SECONDS * ASKED["fps"]
                    num_looked_at += 1
            assert answer["partial"] == any(not chunk["success"] for chunk in answer["chunk_results"])
    assert num_looked_at > 20


def test_neighbours_notice_nothing(campaign: Campaign) -> None:
    assert len(campaign.whole) == 23
    for outcome in campaign.whole:
        answer = outcome.response.json()
        assert outcome.response.status_code == 200 and not answer["partial"], outcome.response.text
        assert not any(chunk["degraded"] for chunk in answer["chunk_results"])


def test_none_takes_long(campaign: Campaign) -> None:
    slowest = max(campaign.outcomes, key=lambda outcome: outcome.seconds)
    assert slowest.seconds < MOST_SECONDS, slowest.name
