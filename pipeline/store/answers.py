"""Chunk answers, by all that decides on them: kept at once, for the run after this one and for who asks the same."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pipeline.analysis import StoredRun
from pipeline.store.clock import Clock
from pipeline.store.database import Database
from pipeline.store.documents import CHUNK_ANSWERS as DOCUMENTS
from pipeline.store.runs import is_held, lease_lost
from pipeline.store.tables import ANALYSES, CHUNK_ANSWERS
from pipeline.types import Chunk, ChunkAnswer, Prompt, TokenSampling, VideoInfo

_LAYOUT = 1
"""To be raised where the same key would stand for another answer: when frames are shown otherwise, say."""


def answer_key(
    video: VideoInfo, chunk: Chunk, prompt: Prompt, token_sampling: TokenSampling, *, model: str, cache_salt: str | None
) -> str:
    """The same where the same is asked of the same frames, and the same is to be expected.

    The seed counts but where the likeliest token is taken each time.
    """
    sampling = token_sampling if token_sampling.temperature > 0 else replace(token_sampling, seed=0)
    frames = hashlib.sha256(chunk.frame_indices.tobytes() + chunk.pts_seconds.tobytes()).hexdigest()
    decisive = [
        _LAYOUT,
        video.fingerprint,
        frames,
        (chunk.start_seconds, chunk.stop_seconds, chunk.height_px, chunk.width_px),
        asdict(chunk.treatment),
        asdict(prompt),
        asdict(sampling),
        model,
        cache_salt,
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


class Answers:
    """Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, key: str, chunk_index: int, run: StoredRun) -> ChunkAnswer | None:
        """As an earlier run of the analysis had it, else as another analysis did, which it then says.

        Raises LeaseLost, so that a run whose runner is gone begins no further chunk.
        """
        own_first = sa.case((CHUNK_ANSWERS.c.analysis_id == run.analysis_id, 0), else_=1)
        query = (
            sa.select(CHUNK_ANSWERS.c.analysis_id, CHUNK_ANSWERS.c.answer)
            .where(CHUNK_ANSWERS.c.key == key)
            .order_by(own_first, CHUNK_ANSWERS.c.created_at)
            .limit(1)
        )
        with self._database.reading() as connection:
            if connection.scalar(sa.select(ANALYSES.c.id).where(is_held(run))) is None:
                raise lease_lost(run)
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        answer = replace(DOCUMENTS.load(row.answer), chunk_index=chunk_index)  # in another plan it may have had another
        return answer if row.analysis_id == run.analysis_id else answer.reused()

    def keep(self, key: str, run: StoredRun, answer: ChunkAnswer) -> None:
        """Of two runs that overlap, for a moment, the first one's is kept."""
        values = {
            "key": key,
            "analysis_id": run.analysis_id,
            "answer": DOCUMENTS.dump(answer),
            "created_at": self._clock(),
        }
        # Where it is there already, or the analysis was deleted; the next `find` then says so.
        with suppress(IntegrityError), self._database.writing() as connection:
            connection.execute(sa.insert(CHUNK_ANSWERS).values(values))
