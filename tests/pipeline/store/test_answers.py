"""Chunk answers are found by what decides on them, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.analysis import Lease
from pipeline.errors import LeaseLost
from pipeline.store import AnalysisStore
from pipeline.store.answers import answer_key
from pipeline.store.tables import CHUNK_ANSWERS
from pipeline.types import PictureTreatment, Prompt
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.samples import ANSWER, CHUNK, MODEL, PROMPT, SAMPLING, VIDEO, new

ASKED = {
    "video": VIDEO,
    "chunk": CHUNK,
    "prompt": PROMPT,
    "token_sampling": SAMPLING,
    "model": MODEL,
    "cache_salt": None,
}
KEY = answer_key(**ASKED)  # type: ignore[arg-type]


def lease_of(store: AnalysisStore) -> Lease:
    store.analyses.create(new())
    claimed = store.leases.claim([MODEL])
    assert claimed
    return claimed.lease


@pytest.mark.parametrize(
    "change",
    [
        {"video": replace(VIDEO, fingerprint="others")},
        {"chunk": replace(CHUNK, frame_indices=np.array([0, 1, 2, 4]))},
        {"chunk": replace(CHUNK, pts_seconds=CHUNK.pts_seconds + 0.001)},
        {"chunk": replace(CHUNK, start_seconds=57.0)},
        {"chunk": replace(CHUNK, stop_seconds=117.0)},
        {"chunk": replace(CHUNK, width_px=1184)},
        {"chunk": replace(CHUNK, treatment=PictureTreatment())},
        {"prompt": Prompt("What happens then?", PROMPT.system)},
        {"prompt": Prompt(PROMPT.text)},
        {"token_sampling": replace(SAMPLING, seed=1)},
        {"token_sampling": replace(SAMPLING, adapter=None)},
        {"token_sampling": replace(SAMPLING, json_format=None)},
        {"token_sampling": replace(SAMPLING, num_logprobs=None)},
        {"model": "another"},
        {"cache_salt": "salt"},
    ],
)
def test_what_decides_on_an_answer_is_in_its_key(change: dict[str, object]) -> None:
    assert answer_key(**ASKED | change) != KEY  # type: ignore[arg-type]


def test_what_does_not_is_not() -> None:
    assert answer_key(**ASKED | {"chunk": replace(CHUNK, index=7)}) == KEY  # type: ignore[arg-type]
    greedy = replace(SAMPLING, temperature=0.0)
    keys = {answer_key(**ASKED | {"token_sampling": replace(greedy, seed=seed)}) for seed in (1, 2)}  # type: ignore[arg-type]
    assert len(keys) == 1


def test_a_later_run_finds_it_as_it_was(store: AnalysisStore, clock: FakeClock) -> None:
    lease = lease_of(store)
    assert store.answers.find(KEY, 1, lease) is None
    store.answers.keep(KEY, lease, ANSWER)
    clock.now += 11
    later = store.leases.claim([MODEL])
    assert later
    assert store.answers.find(KEY, 1, later.lease) == ANSWER
    with pytest.raises(LeaseLost):
        store.answers.find(KEY, 1, lease)


def test_another_analysis_says_that_it_took_it(store: AnalysisStore) -> None:
    store.answers.keep(KEY, lease_of(store), ANSWER)
    another = lease_of(store)
    found = store.answers.find(KEY, 1, another)
    assert found == ANSWER.reused() != ANSWER
    assert found.text and found.text.generation.text == "A cat sits."
    assert (found.processing_seconds, found.text.generation.inference_seconds, found.queue_seconds) == (0, 0, 0)
    own = replace(ANSWER, attempts=1)
    store.answers.keep(KEY, another, own)
    assert store.answers.find(KEY, 1, another) == own


def test_its_place_is_that_of_the_plan_at_hand(store: AnalysisStore) -> None:
    store.answers.keep(KEY, lease_of(store), ANSWER)
    found = store.answers.find(KEY, 7, lease_of(store))
    assert found and found.chunk_index == 7


def test_the_first_one_stays(store: AnalysisStore) -> None:
    lease = lease_of(store)
    store.answers.keep(KEY, lease, ANSWER)
    store.answers.keep(KEY, lease, replace(ANSWER, attempts=4))
    assert store.answers.find(KEY, 1, lease) == ANSWER


def test_it_goes_with_its_analysis(store: AnalysisStore) -> None:
    lease, another = lease_of(store), lease_of(store)
    store.answers.keep(KEY, lease, ANSWER)
    store.analyses.cancel(lease.analysis_id)
    store.analyses.delete(lease.analysis_id)
    store.answers.keep(KEY, lease, ANSWER)
    assert store.answers.find(KEY, 1, another) is None


@pytest.mark.parametrize("damaged", ["{", "null", "{}", "[" * 5000])
def test_an_answer_that_cannot_be_read_is_as_good_as_none(store: AnalysisStore, damaged: str) -> None:
    lease = lease_of(store)
    store.answers.keep(KEY, lease, ANSWER)
    assert store.answers.find(KEY, 1, lease)
    with store.database.writing() as connection:
        connection.execute(sa.update(CHUNK_ANSWERS).values(answer=damaged))
    assert store.answers.find(KEY, 1, lease) is None
    store.answers.keep(KEY, lease, ANSWER)
