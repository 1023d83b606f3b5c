"""Analyses as clients see them: asked for, found, listed, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.analysis import Progress
from pipeline.errors import AnalysisNotFound, EngineBusy, IdempotencyConflict, StoreFailed
from pipeline.store import AnalysisFailure, AnalysisStatus, AnalysisStore, EventKind, IdempotencyKey
from pipeline.store.analyses import UNREADABLE_RECORD
from pipeline.unicode import UNSAFE
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.damage import DAMAGE, SQLITE_DAMAGE, damage
from tests.pipeline.store.samples import MODEL, PLAN_EVENT, RESULT_BODY, chunk_event, new


def test_what_was_asked_is_found(store: AnalysisStore, opened: Callable[[], AnalysisStore]) -> None:
    record, is_new = store.analyses.create(new())
    assert is_new
    assert record == opened().analyses.get(record.analysis_id)
    assert record.about == new().about
    assert (record.status, record.model, record.chunks_done, record.num_chunks) == (
        AnalysisStatus.QUEUED,
        MODEL,
        0,
        None,
    )


def test_an_unknown_one(store: AnalysisStore) -> None:
    for call in (store.analyses.get, store.analyses.delete):
        with pytest.raises(AnalysisNotFound):
            call("analysis-0")
    assert not store.analyses.cancel("analysis-0")
    assert store.analyses.events("analysis-0") == []


def test_pages_newest_first(store: AnalysisStore) -> None:
    ids = [store.analyses.create(new(number))[0].analysis_id for number in range(5)]
    store.analyses.cancel(ids[1])
    first = store.analyses.page(limit=2)
    assert [record.analysis_id for record in first.records] == [ids[4], ids[3]]
    assert first.has_more
    rest = store.analyses.page(limit=3, after=ids[3])
    assert [record.analysis_id for record in rest.records] == [ids[2], ids[1], ids[0]]
    assert not rest.has_more
    cancelled = store.analyses.page(limit=10, status=AnalysisStatus.CANCELLED)
    assert [record.analysis_id for record in cancelled.records] == [ids[1]]
    with pytest.raises(AnalysisNotFound) as caught:
        store.analyses.page(limit=1, after="analysis-0")
    assert caught.value.param == "after"


def test_a_key_is_for_one_analysis(store: AnalysisStore, clock: FakeClock) -> None:
    key = IdempotencyKey("key", "digest", keep_seconds=100)
    first, _ = store.analyses.create(new(), key)
    again, is_new = store.analyses.create(new(), key)
    assert (again.analysis_id, is_new) == (first.analysis_id, False)
    with pytest.raises(IdempotencyConflict, match=first.analysis_id):
        store.analyses.create(new(1), IdempotencyKey("key", "another", keep_seconds=100))
    clock.now += 101
    later, is_new = store.analyses.create(new(), key)
    assert is_new and later.analysis_id != first.analysis_id


def test_a_key_that_comes_many_times_at_once(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(4)]
    key = IdempotencyKey("key", "digest", keep_seconds=100)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda turn: stores[turn % 4].analyses.create(new(), key), range(32)))
    assert len({record.analysis_id for record, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


def test_too_many_wait(store: AnalysisStore) -> None:
    for number in range(50):
        store.analyses.create(new(number))
    with pytest.raises(EngineBusy, match="50"):
        store.analyses.create(new())
    assert store.leases.claim([MODEL])
    store.analyses.create(new())


def test_cancelling_ends_it_once(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.leases.claim([MODEL])
    assert claimed
    store.leases.append(claimed.lease, [PLAN_EVENT], Progress(0, 3))
    assert store.analyses.cancel(analysis_id)
    record = store.analyses.get(analysis_id)
    assert (record.status, record.chunks_done, record.num_chunks) == (AnalysisStatus.CANCELLED, 0, 3)
    assert record.completed_at and record.expires_at == record.completed_at + 1000
    assert [event.kind for event in store.analyses.events(analysis_id)] == ["plan", "cancelled"]
    assert not store.analyses.cancel(analysis_id)
    assert store.leases.held([claimed.lease]) == frozenset()


def test_one_that_runs_is_not_deleted(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new(owned_file_id="file-1"))[0].analysis_id
    with pytest.raises(AnalysisNotFound):
        store.analyses.delete(analysis_id)
    store.analyses.cancel(analysis_id)
    assert store.analyses.delete(analysis_id) == "file-1"
    assert store.analyses.events(analysis_id) == []
    with pytest.raises(AnalysisNotFound):
        store.analyses.get(analysis_id)


def test_events_from_anywhere(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.leases.claim([MODEL])
    assert claimed
    store.leases.append(claimed.lease, [PLAN_EVENT, chunk_event(0)])
    store.leases.append(claimed.lease, [chunk_event(1)])
    store.leases.complete(claimed.lease, RESULT_BODY)
    events = store.analyses.events(analysis_id)
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert [event.kind for event in events] == ["plan", "chunk", "chunk", "result"]
    assert store.analyses.events(analysis_id, after=2, limit=1) == events[2:3]
    assert store.analyses.events(analysis_id, kinds=[EventKind.RESULT]) == events[3:]
    assert store.analyses.last_events([analysis_id, "analysis-0"]) == {analysis_id: 4}


def test_a_database_that_is_gone(store: AnalysisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.database, "_engine", _unreachable())
    with pytest.raises(StoreFailed) as caught:
        store.analyses.page(limit=1)
    assert "host-of-the-database" not in caught.value.message


def _unreachable() -> object:
    import sqlalchemy

    return sqlalchemy.create_engine("postgresql+psycopg://user:secret@host-of-the-database.invalid/name")


# --- Rows that cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", DAMAGE)
def test_an_unreadable_record_is_shown_by_its_id(store: AnalysisStore, values: dict[str, object]) -> None:
    check_list(store, values)


@pytest.mark.parametrize("values", SQLITE_DAMAGE)
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_values_that_sqlite_alone_can_hold(store: AnalysisStore, values: dict[str, object]) -> None:
    check_list(store, values)


def check_list(store: AnalysisStore, values: dict[str, object]) -> None:
    """All analyses are listed, by pages of any size, however the one in the middle was damaged; it can be deleted."""
    ids = [store.analyses.create(new(number))[0].analysis_id for number in range(3)]
    store.analyses.cancel(ids[1])
    damage(store, ids[1], values)
    records = store.analyses.page(limit=10).records
    assert {record.analysis_id for record in records} == set(ids)
    damaged = store.analyses.get(ids[1])
    assert damaged in records
    assert damaged.failure == UNREADABLE_RECORD
    assert damaged.is_finished
    assert not UNSAFE.search(f"{damaged.model}{damaged.about}")
    assert {record.analysis_id: record.failure for record in records if record != damaged} == {
        ids[0]: None,
        ids[2]: None,
    }
    if "created_at" not in values:
        first = store.analyses.page(limit=2)
        assert [record.analysis_id for record in first.records] == [ids[2], ids[1]]
        rest = store.analyses.page(limit=2, after=ids[1])
        assert [record.analysis_id for record in rest.records] == [ids[0]]
    store.analyses.delete(ids[1])
    assert len(store.analyses.page(limit=10).records) == 2


def test_an_unreadable_record_is_logged(store: AnalysisStore, caplog: pytest.LogCaptureFixture) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    damage(store, analysis_id, {"about": "{"})
    assert store.analyses.get(analysis_id).status == AnalysisStatus.QUEUED
    assert analysis_id in caplog.text


def test_surrogates_of_earlier_releases_are_shown_as_escapes(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    about = '{"prompt": "What?\\u0000", "video": "\\udcff.mp4", "file_id": null, "metadata": [["a\\ud800", "b"]]}'
    failure = '{"type": "source_not_found", "message": "no file \\udcff.mp4", "param": "video_path"}'
    damage(store, analysis_id, {"status": "failed", "about": about, "failure": failure})
    record = store.analyses.get(analysis_id)
    assert store.analyses.page(limit=1).records == (record,)
    assert (record.about.prompt, record.about.video) == ("What?\0", "\\udcff.mp4")
    assert record.about.metadata == (("a\\ud800", "b"),)
    assert record.failure == AnalysisFailure("source_not_found", "no file \\udcff.mp4", "video_path")
