"""Rows as a damaged file, or another release of the server, has them."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from pipeline.store import AnalysisStore
from pipeline.store.tables import ANALYSES

DAMAGE: list[dict[str, object]] = [
    {"about": "{"},
    {"about": ""},
    {"about": "null"},
    {"about": "[" * 5000},
    {"about": '{"prompt": 1, "video": [], "file_id": {}}'},
    {"about": "\ufffd\ufeff🎬\u202e"},
    {"failure": "{}"},
    {"failure": '"text"'},
    {"status": "archived"},
    {"status": ""},
    {"about": "{", "status": "archived", "failure": "{"},
    {"updated_at": float("inf")},
    {"completed_at": float("-inf")},
]
SQLITE_DAMAGE: list[dict[str, object]] = [
    {"about": b"\xff\xfe"},
    {"about": sa.text("CAST(x'ff00fe' AS TEXT)")},
    {"about": sa.text("CAST(x'7b00' AS TEXT)")},
    {"model": sa.text("CAST(x'edb3bf' AS TEXT)"), "about": "{"},
    {"failure": sa.text("CAST(x'edb3bf' AS TEXT)")},
    {"created_at": "yesterday"},
    {"updated_at": b"\x00"},
    {"chunks_done": "many"},
    {"num_chunks": 1.5},
]


def damage(store: AnalysisStore, analysis_id: str, values: Mapping[str, object]) -> None:
    with store.database.writing() as connection:
        assignments = ", ".join(f"{name} = {_written(name, value)}" for name, value in values.items())
        plain = {name: value for name, value in values.items() if not isinstance(value, sa.TextClause)}
        query = f"UPDATE {ANALYSES.name} SET {assignments} WHERE id = :id"
        connection.execute(sa.text(query), plain | {"id": analysis_id})


def _written(name: str, value: object) -> str:
    return value.text if isinstance(value, sa.TextClause) else f":{name}"
