"""Webhooks against a real receiver on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.config import AppSettings
from deployments.jobs import webhook_sender
from deployments.jobs.webhook_sender import WebhookSender
from pipeline.config import SourceSettings, StoreSettings
from pipeline.store import AnalysisStore, AsyncAnalysisStore, open_store
from tests.pipeline.store.samples import new

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """Notes what it is sent, and answers with `statuses`, the last of them for ever."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses = [204]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> AppSettings:
    return AppSettings(
        sources=SourceSettings(allow_private_addresses=True),
        store=StoreSettings(data_dir=tmp_path, webhook_secret=SecretStr(SECRET), webhook_attempts=3),
    )


@pytest.fixture
def store(settings: AppSettings) -> Iterator[AnalysisStore]:
    store = open_store(settings.store)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_sender, "pause_seconds", lambda attempt: 0.0)


def ended(store: AnalysisStore, url: str) -> str:
    analysis_id = store.analyses.create(new(webhook_url=url))[0].analysis_id
    store.analyses.cancel(analysis_id)
    return analysis_id


def sender_of(store: AnalysisStore, settings: AppSettings) -> WebhookSender:
    return WebhookSender(AsyncAnalysisStore(store), settings)


async def test_the_receiver_can_trust_it(store: AnalysisStore, settings: AppSettings, receiver: Receiver) -> None:
    analysis_id = ended(store, receiver.url)
    sender = sender_of(store, settings)
    assert await sender.send_one()
    assert not await sender.send_one()
    ((headers, body),) = receiver.received
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    assert (headers["webhook-id"], headers["content-type"]) == (analysis_id, "application/json")
    told = json.loads(body)
    assert set(told) == {"type", "timestamp", "data"}
    assert told["type"] == "analysis.cancelled"
    assert (told["data"]["id"], told["data"]["status"]) == (analysis_id, "cancelled")
    assert told["data"]["metadata"] == {"who": "me"}
    assert b"secret" not in body


@pytest.mark.parametrize("status", [500, 404, 301, 429])
async def test_it_is_tried_again_by_whoever_comes(
    store: AnalysisStore, settings: AppSettings, receiver: Receiver, status: int
) -> None:
    ended(store, receiver.url)
    receiver.statuses = [status, status, 200]
    for _ in range(3):  # as after a restart each time
        assert await sender_of(store, settings).send_one()
    assert not await sender_of(store, settings).send_one()
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert len(receiver.received) == 3


async def test_it_is_given_up_in_the_end(store: AnalysisStore, settings: AppSettings, receiver: Receiver) -> None:
    ended(store, receiver.url)
    receiver.statuses = [500]
    sender = sender_of(store, settings)
    assert [await sender.send_one() for _ in range(4)] == [True, True, True, False]


async def test_who_is_gone_is_asked_no_more(store: AnalysisStore, settings: AppSettings, receiver: Receiver) -> None:
    ended(store, receiver.url)
    receiver.statuses = [410]
    sender = sender_of(store, settings)
    assert [await sender.send_one() for _ in range(2)] == [True, False]


async def test_nobody_listens(store: AnalysisStore, settings: AppSettings, receiver: Receiver) -> None:
    receiver.server.shutdown()
    receiver.server.server_close()
    ended(store, receiver.url)
    assert [await sender_of(store, settings).send_one() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001"])
async def test_the_servers_own_network_is_out_of_reach(
    store: AnalysisStore, settings: AppSettings, receiver: Receiver, host: str
) -> None:
    guarded = settings.model_copy(update={"sources": SourceSettings()})
    ended(store, receiver.url.replace("127.0.0.1", host))
    sender = sender_of(store, guarded)
    assert [await sender.send_one() for _ in range(2)] == [True, False]
    assert receiver.received == []


async def test_its_url_is_not_kept_longer_than_needed(
    store: AnalysisStore, settings: AppSettings, receiver: Receiver
) -> None:
    import sqlalchemy

    ended(store, receiver.url)
    await sender_of(store, settings).send_one()
    with store.database.reading() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT webhook_url FROM analyses")).all()
    assert [tuple(row) for row in rows] == [(None,)]
