"""Events have kinds and typed columns, and failures a column; until then they were read from the bodies of events."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENTS = sa.table(
    "analysis_events",
    *(sa.column(name) for name in ("analysis_id", "number", "kind", "body", "chunk_index", "chunk_failed", "text")),
)
ANALYSES = sa.table("analyses", sa.column("id"), sa.column("failure"))
RENAMED_KINDS = {"delta": "text", "answer": "result", "error": "failed"}


def upgrade() -> None:
    op.add_column("analyses", sa.Column("failure", sa.Text, comment="JSON: AnalysisFailure"))
    with op.batch_alter_table("analysis_events") as events:
        events.alter_column("name", new_column_name="kind", existing_type=sa.String(16), existing_nullable=False)
        events.alter_column(
            "body",
            nullable=True,
            existing_type=sa.Text,
            comment="for clients; the store does not read it",
            existing_comment="JSON, as clients get it",
        )
        events.add_column(sa.Column("chunk_index", sa.Integer))
        events.add_column(sa.Column("chunk_failed", sa.Boolean))
        events.add_column(sa.Column("text", sa.Text, comment="JSON: a string"))
    connection = op.get_bind()
    for analysis_id in connection.scalars(sa.select(ANALYSES.c.id)).all():
        _fill_columns(connection, analysis_id)
    for old, new in RENAMED_KINDS.items():
        connection.execute(sa.update(EVENTS).where(EVENTS.c.kind == old).values(kind=new))
    connection.execute(sa.update(EVENTS).where(EVENTS.c.kind.in_(["text", "failed", "cancelled"])).values(body=None))


def _fill_columns(connection: sa.Connection, analysis_id: str) -> None:
    """Write an analysis's columns by a statement per kind: row by row, 300,000 events took 36 s and not 5."""
    is_of_analysis = EVENTS.c.analysis_id == analysis_id
    chunks, texts = [], []
    found = connection.execute(
        sa.select(EVENTS.c.number, EVENTS.c.kind, EVENTS.c.body).where(
            is_of_analysis, EVENTS.c.kind.in_(["chunk", "delta", "error"])
        )
    ).all()
    for number, kind, body in found:
        fields = json.loads(body)
        if kind == "error":
            failure = json.dumps(fields["error"])
            connection.execute(sa.update(ANALYSES).where(ANALYSES.c.id == analysis_id).values(failure=failure))
        elif kind == "chunk":
            chunks.append({"at": number, "index": fields["chunk_index"], "failed": not fields["success"]})
        else:
            texts.append({"at": number, "new_text": json.dumps(fields["text"])})
    update = sa.update(EVENTS).where(is_of_analysis, EVENTS.c.number == sa.bindparam("at"))
    if chunks:
        update_chunks = update.values(chunk_index=sa.bindparam("index"), chunk_failed=sa.bindparam("failed"))
        connection.execute(update_chunks, chunks)
    if texts:
        connection.execute(update.values(text=sa.bindparam("new_text")), texts)
