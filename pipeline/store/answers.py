"""Finished chunk answers, keyed by everything that affects them, for later runs and for other analyses."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pipeline.analysis import Lease
from pipeline.store.database import Clock, Database
from pipeline.store.json_columns import CHUNK_ANSWERS as ANSWERS
from pipeline.store.json_columns import UNREADABLE
from pipeline.store.leases import is_held, lease_lost
from pipeline.store.tables import ANALYSES, CHUNK_ANSWERS
from pipeline.types import Chunk, ChunkAnswer, Prompt, TokenSampling, VideoInfo

logger = logging.getLogger(__name__)

_LAYOUT = 1
"""Raise this when the same inputs would give another answer, for instance when frames are presented differently."""


def answer_key(
    video: VideoInfo, chunk: Chunk, prompt: Prompt, token_sampling: TokenSampling, *, model: str, cache_salt: str | None
) -> str:
    """Return a digest that is equal for equal questions about equal frames.

    The seed is part of it unless decoding is greedy.
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

    def find(self, key: str, chunk_index: int, lease: Lease) -> ChunkAnswer | None:
        """Return the answer of an earlier run of this analysis, else another analysis's, marked as reused.

        Raises LeaseLost, so that a run whose runner is gone starts no further chunk.
        """
        own_first = sa.case((CHUNK_ANSWERS.c.analysis_id == lease.analysis_id, 0), else_=1)
        query = (
            sa.select(CHUNK_ANSWERS.c.analysis_id, CHUNK_ANSWERS.c.answer)
            .where(CHUNK_ANSWERS.c.key == key)
            .order_by(own_first, CHUNK_ANSWERS.c.created_at)
            .limit(1)
        )
        with self._database.reading() as connection:
            if connection.scalar(sa.select(ANALYSES.c.id).where(is_held(lease))) is None:
                raise lease_lost(lease)
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        try:
            answer = replace(ANSWERS.load(row.answer), chunk_index=chunk_index)  # which may differ in another plan
        except UNREADABLE:
            logger.exception("an answer of %s cannot be read; the chunk is answered again", row.analysis_id)
            return None
        return answer if row.analysis_id == lease.analysis_id else answer.reused()

    def keep(self, key: str, lease: Lease, answer: ChunkAnswer) -> None:
        """Store an answer; if two runs overlap for a moment, the first one's stays."""
        values = {
            "key": key,
            "analysis_id": lease.analysis_id,
            "answer": ANSWERS.dump(answer),
            "created_at": self._clock(),
        }
        # Already stored, or the analysis was deleted, which the next `find` reports.
        with suppress(IntegrityError), self._database.writing() as connection:
            connection.execute(sa.insert(CHUNK_ANSWERS).values(values))
