"""kill -9 at random moments: analyses go on by themselves, and compute again only what was in flight.

Runner, journal, leases, kept answers and SQLite are real, and so are the kills; the Orchestrator is not, so that one
takes seconds. tests/services/test_kills.py kills the whole server.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import StoreSettings
from pipeline.store import AnalysisStatus, AnalysisStore, EventKind, NewAnalysis, open_store
from tests.deployments.fake_orchestrator import WINDOW
from tests.deployments.jobs.runner_process import CHOICE, CHUNK_SECONDS, LEASE_SECONDS, NUM_CHUNKS
from tests.pipeline.store.samples import new

ROOT = Path(__file__).parents[3]
WORK_SECONDS = NUM_CHUNKS * CHUNK_SECONDS / WINDOW
"""About what one analysis takes."""


class RunnerProcess:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "chunks.log"
        num_running = self._lines().count("running")
        command = [sys.executable, "-m", "tests.deployments.jobs.runner_process", str(folder / "data"), str(self.log)]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while self._lines().count("running") == num_running:
            assert time.monotonic() < end and self._process.poll() is None, "the runner did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def chunks(self, what: str) -> Counter[int]:
        """How often each chunk was begun, or kept."""
        return Counter(int(line.split()[1]) for line in self._lines() if line.startswith(what))

    def _lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def until_ended(store: AnalysisStore, analysis_id: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while not store.analyses.get(analysis_id).is_finished:
        assert time.monotonic() < end, store.analyses.get(analysis_id)
        time.sleep(0.02)
    assert store.analyses.get(analysis_id).status == AnalysisStatus.COMPLETED
    body = store.analyses.events(analysis_id)[-1].body
    assert body
    answer: dict[str, Any] = json.loads(body)
    return answer


def asked_anew(number: int) -> NewAnalysis:
    """A question whose chunk answers nobody has."""
    asked = new(model=CHOICE.served_model_name)
    return replace(asked, job=replace(asked.job, job=replace(asked.job.job, cache_salt=f"kill {number}")))


@pytest.mark.parametrize("num_kills", [2, pytest.param(20, marks=pytest.mark.services)])
def test_kills_of_a_runner_in_the_middle_of_twenty_chunks(tmp_path: Path, num_kills: int) -> None:
    rng = random.Random(6)
    in_flight_at_kills = []
    with closing(open_store(StoreSettings(data_dir=tmp_path / "data", lease_seconds=LEASE_SECONDS))) as store:
        runner = RunnerProcess(tmp_path)
        try:
            for number in range(num_kills):
                runner.log.write_text("")
                analysis_id = store.analyses.create(asked_anew(number))[0].analysis_id
                time.sleep(rng.uniform(0, WORK_SECONDS))
                runner.kill()
                in_flight = runner.chunks("begun") - runner.chunks("kept")
                kept = {event.body for event in store.analyses.events(analysis_id, kinds=[EventKind.CHUNK])}
                runner = RunnerProcess(tmp_path)
                answer = until_ended(store, analysis_id)
                begun = runner.chunks("begun")
                in_flight_at_kills.append(in_flight.total())
                # A chunk was begun again only if the kill came between its beginning and its end.
                assert set(begun) == set(range(NUM_CHUNKS)) and begun.total() <= NUM_CHUNKS + in_flight.total()
                assert in_flight.total() <= WINDOW
                assert answer["aggregated_response"] == "".join(f"Scene {index}." for index in range(NUM_CHUNKS))
                assert not answer["partial"]
                events = store.analyses.events(analysis_id)
                assert [event.number for event in events] == list(range(1, len(events) + 1))
                chunks = [json.loads(event.body) for event in events if event.body and event.kind == "chunk"]
                assert sorted(chunks, key=lambda chunk: chunk["chunk_index"]) == answer["chunk_results"]
                assert kept <= {event.body for event in events}
                kinds = [event.kind for event in events]
                assert (kinds.count(EventKind.PLAN), kinds.count(EventKind.RESULT)) == (1, 1)
        finally:
            runner.kill()
    assert max(in_flight_at_kills) > 0, "no kill came in the middle"
    print(f"\n{num_kills} of {num_kills} finished; chunks in flight at the kills: {in_flight_at_kills}")
