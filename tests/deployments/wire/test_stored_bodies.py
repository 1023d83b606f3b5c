"""The bodies of stored analyses."""

from __future__ import annotations

from deployments.wire.stored_bodies import AnalysisListBody, DeletedAnalysisBody, summary_of
from pipeline.store import AnalysisAbout, AnalysisFailure, AnalysisRecord, AnalysisStatus

ABOUT = AnalysisAbout("What happens?", "cat.mp4", None, (("who", "me"),))


def record(
    status: AnalysisStatus,
    *,
    number: int = 1,
    completed_at: float | None = None,
    failure: AnalysisFailure | None = None,
) -> AnalysisRecord:
    return AnalysisRecord(
        f"analysis-{number}", status, 10.9, 20.0, 12.5, completed_at, None, "model", ABOUT, 1, 3, True, failure
    )


def test_a_summary_field_by_field() -> None:
    failure = AnalysisFailure("decode_failed", "No frame.", "video_url")
    assert summary_of(record(AnalysisStatus.FAILED, completed_at=19.9, failure=failure)).model_dump() == {
        "id": "analysis-1",
        "object": "analysis",
        "status": "failed",
        "created_at": 10,
        "updated_at": 20,
        "started_at": 12,
        "completed_at": 19,
        "expires_at": None,
        "model": "model",
        "prompt": "What happens?",
        "video": "cat.mp4",
        "file_id": None,
        "progress": {"chunks_done": 1, "num_chunks": 3, "merging": True},
        "error": {"type": "decode_failed", "message": "No frame.", "param": "video_url"},
        "metadata": {"who": "me"},
    }
    assert summary_of(record(AnalysisStatus.RUNNING)).error is None


def test_a_list_names_its_ends() -> None:
    summaries = [summary_of(record(AnalysisStatus.RUNNING, number=number)) for number in (3, 2, 1)]
    page = AnalysisListBody.of(summaries, has_more=True)
    assert (page.first_id, page.last_id, page.has_more) == ("analysis-3", "analysis-1", True)
    empty = AnalysisListBody.of([], has_more=False)
    assert (empty.first_id, empty.last_id) == (None, None)


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
