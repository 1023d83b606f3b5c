"""When and where a broken event stream resumes."""

from __future__ import annotations

import pytest

from longtake import AnswerEvent, DeltaEvent, ServerUnreachable
from longtake.resumption import PAUSES_SECONDS, Resumption
from tests.longtake.fake_server import ID

BROKEN = ServerUnreachable("http://example.com", "it broke")


def test_it_asks_for_what_has_not_arrived() -> None:
    resumption = Resumption(ID, None)
    assert resumption.request.headers == {"Last-Event-ID": None}
    resumption.record(DeltaEvent("delta", {}, "3"))
    assert resumption.request.headers == {"Last-Event-ID": "3"}
    assert resumption.request.path == f"/v1/analyses/{ID}/events"
    assert Resumption(ID, "7").request.headers == {"Last-Event-ID": "7"}


def test_pauses_grow_until_an_event_arrives() -> None:
    resumption = Resumption(ID, None)
    assert [resumption.pause_seconds(BROKEN) for _ in range(3)] == [*PAUSES_SECONDS[:3]]
    resumption.record(DeltaEvent("delta", {}, "1"))
    assert [resumption.pause_seconds(BROKEN) for _ in PAUSES_SECONDS] == [*PAUSES_SECONDS]
    with pytest.raises(ServerUnreachable) as caught:
        resumption.pause_seconds(BROKEN)
    assert caught.value is BROKEN


def test_after_the_last_event_a_broken_connection_is_no_failure() -> None:
    resumption = Resumption(ID, None)
    for _ in PAUSES_SECONDS:
        resumption.pause_seconds(BROKEN)
    assert not resumption.is_over
    resumption.record(AnswerEvent("answer", {}, "9"))
    assert resumption.is_over and resumption.pause_seconds(BROKEN) == 0.0
