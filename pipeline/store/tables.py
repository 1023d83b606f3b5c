"""The tables. A change here needs a migration: a test compares the two."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

ANALYSES = sa.Table(
    "analyses",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="JSON: AnalysisAbout"),
    sa.Column("job", sa.Text, comment="JSON: StoredJob; gone when the analysis has ended, with the secrets in it"),
    sa.Column("failure", sa.Text, comment="JSON: AnalysisFailure"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("completed_at", sa.Double),
    sa.Column("expires_at", sa.Double),
    sa.Column("num_chunks", sa.Integer),
    sa.Column("chunks_done", sa.Integer, nullable=False),
    sa.Column("merging", sa.Boolean, nullable=False),
    sa.Column("last_event", sa.Integer, nullable=False),
    sa.Column("owned_file_id", sa.String(64)),
    sa.Column("lease", sa.String(32), comment="another one for every run"),
    sa.Column("lease_until", sa.Double),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", sa.Double, nullable=False),
    sa.Column("idempotency_key", sa.String(255), unique=True),
    sa.Column("idempotency_until", sa.Double),
    sa.Column("request_digest", sa.String(64)),
    sa.Column("webhook_url", sa.Text),
    sa.Column("webhook_due_at", sa.Double),
    sa.Column("webhook_attempts", sa.Integer, nullable=False),
    sa.Index("analyses_by_age", "created_at", "id"),
    sa.Index("analyses_by_status", "status", "created_at"),
    sa.Index("analyses_by_expiry", "expires_at"),
    sa.Index("analyses_by_webhook", "webhook_due_at"),
)

EVENTS = sa.Table(
    "analysis_events",
    METADATA,
    sa.Column("analysis_id", sa.String(64), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, comment="for clients; the store does not read it"),
    sa.Column("chunk_index", sa.Integer),
    sa.Column("chunk_failed", sa.Boolean),
    sa.Column("text", sa.Text, comment="JSON: a string"),
)

CHUNK_ANSWERS = sa.Table(
    "chunk_answers",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True, comment="a digest of all that decides on the answer"),
    sa.Column(
        "analysis_id", sa.String(64), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("answer", sa.Text, nullable=False, comment="JSON: ChunkAnswer"),
    sa.Column("created_at", sa.Double, nullable=False),
)

POLLED_EVENTS = sa.Table(
    "polled_events",
    METADATA,
    sa.Column("analysis_id", sa.String(64), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("last_event", sa.Integer, nullable=False),
)
