"""Lists of stored analyses as clients see them. tests/deployments/api/test_stored.py has each field of an analysis."""

from __future__ import annotations

from deployments.wire.stored_bodies import AnalysisListBody, DeletedAnalysisBody


def test_an_empty_page() -> None:
    assert AnalysisListBody.of([], has_more=False).model_dump() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_a_deleted_analysis() -> None:
    body = DeletedAnalysisBody(id="analysis-1").model_dump()
    assert body == {"id": "analysis-1", "object": "analysis", "deleted": True}
