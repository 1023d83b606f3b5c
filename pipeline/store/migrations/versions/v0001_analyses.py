"""Analyses, their events and their chunk answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False, comment="JSON: AnalysisAbout"),
        sa.Column("job", sa.Text, comment="JSON: StoredJob; gone when the analysis has ended, with the secrets in it"),
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
    )
    op.create_index("analyses_by_age", "analyses", ["created_at", "id"])
    op.create_index("analyses_by_status", "analyses", ["status", "created_at"])
    op.create_index("analyses_by_expiry", "analyses", ["expires_at"])
    op.create_index("analyses_by_webhook", "analyses", ["webhook_due_at"])
    op.create_table(
        "analysis_events",
        sa.Column("analysis_id", sa.String(64), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False, comment="JSON, as clients get it"),
    )
    op.create_table(
        "chunk_answers",
        sa.Column("key", sa.String(64), primary_key=True, comment="a digest of all that decides on the answer"),
        sa.Column("analysis_id", sa.String(64), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("answer", sa.Text, nullable=False, comment="JSON: ChunkAnswer"),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_chunk_answers_analysis_id", "chunk_answers", ["analysis_id"])
