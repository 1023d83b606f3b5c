"""`/v1/files`, on the wire; the official client and tuspy against a server for real."""

from __future__ import annotations

import base64
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from deployments.api.service import Service, _service
from pipeline.sources import REQUEST_PURPOSE, open_resumable_uploads, open_upload_store
from tests.deployments.api.wire import error_of
from tests.graph.processes import wait_until

MIB = 1024**2
FILM = os.urandom(2 * MIB + 11)
MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
TUS = {"Tus-Resumable": "1.0.0"}
UPLOADS = "/v1/files/uploads"


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """The application behind a real server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def settings_with(app: FastAPI, **sources: Any) -> None:
    """Lets the application have other settings of its sources."""
    service: Service = app.dependency_overrides[_service]()
    changed = service.settings.sources.model_copy(update=sources)
    settings = service.settings.model_copy(update={"sources": changed})
    other = replace(
        service,
        settings=settings,
        uploads=open_upload_store(changed),
        resumable_uploads=open_resumable_uploads(changed),
    )
    app.dependency_overrides[_service] = lambda: other


def upload(client: TestClient, content: bytes = b"video", name: str = "cat.mp4", **fields: str) -> dict[str, Any]:
    response = client.post("/v1/files", files={"file": (name, content)}, data=fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


# --- Lists, quota, expiry ---------------------------------------------------------------------------------------------


def test_the_last_file_is_listed_first(client: TestClient) -> None:
    ids = [upload(client, name=f"{number}.mp4")["id"] for number in range(5)]
    pages, after = [], None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = client.get("/v1/files", params=query).json()
        pages.append([file["id"] for file in page["data"]])
        assert (page["object"], page["first_id"], page["last_id"]) == ("list", pages[-1][0], pages[-1][-1])
        after = page["last_id"]
        if not page["has_more"]:
            break
    newest_first = ids[::-1]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert [file["id"] for file in client.get("/v1/files", params={"order": "asc"}).json()["data"]] == ids


def test_a_listed_file_is_the_file(client: TestClient) -> None:
    file = upload(client, purpose="user_data")
    assert client.get("/v1/files").json()["data"] == [file]
    assert client.get("/v1/files", params={"purpose": "user_data"}).json()["data"] == [file]
    assert client.get("/v1/files", params={"purpose": "vision"}).json()["data"] == []


def test_no_file_at_all(client: TestClient) -> None:
    empty = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert client.get("/v1/files").json() == empty


@pytest.mark.parametrize(
    ("query", "param"), [({"limit": 0}, "limit"), ({"limit": "many"}, "limit"), ({"after": "file-1"}, "after")]
)
def test_what_cannot_be_listed_is_said(query: dict[str, Any], param: str, client: TestClient) -> None:
    error = error_of(client.get("/v1/files", params=query), 400)
    assert (error["type"], error["param"]) == ("invalid_request", param)


def test_what_came_with_a_request_is_not_listed(client: TestClient, app: FastAPI) -> None:
    store = app.dependency_overrides[_service]().uploads
    store.save([b"video"], file_name="cat.mp4", purpose=REQUEST_PURPOSE)
    file = upload(client)
    assert client.get("/v1/files").json()["data"] == [file]


def test_a_full_store_says_what_to_do(client: TestClient, app: FastAPI, uploads: Path) -> None:
    settings_with(app, max_stored_bytes=1000)
    kept = upload(client, bytes(900))
    error = error_of(client.post("/v1/files", files={"file": ("cat.mp4", bytes(101))}), 413)
    assert error["type"] == "upload_store_full"
    assert "101 bytes; of the 1000 bytes that may be kept here 900 are taken" in error["message"]
    assert "Delete files" in error["message"]
    assert len(list(uploads.iterdir())) == 1
    client.delete(f"/v1/files/{kept['id']}")
    upload(client, bytes(101))


def test_a_file_expires(client: TestClient, app: FastAPI, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_with(app, keep_uploads_seconds=3600)
    file = upload(client)
    shorter = upload(client, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "600"})
    now = time.time()
    assert abs(file["expires_at"] - now - 3600) < 60
    assert abs(shorter["expires_at"] - now - 600) < 60
    store = app.dependency_overrides[_service]().uploads
    assert store.sweep() == 0
    monkeypatch.setattr(time, "time", lambda: now + 700)
    assert "has expired" in error_of(client.get(f"/v1/files/{shorter['id']}"), 404)["message"]
    assert client.get("/v1/files").json()["data"] == [file]
    assert store.sweep() == 1
    assert [path.name for path in uploads.iterdir()] == [file["id"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"expires_after[seconds]": "7200"}, "expires_after[seconds]"),
        ({"expires_after[seconds]": "soon"}, "expires_after[seconds]"),
        ({"expires_after[anchor]": "last_used"}, "expires_after[anchor]"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"purpos": "vision"}, "purpos"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, str], param: str, client: TestClient, app: FastAPI) -> None:
    settings_with(app, keep_uploads_seconds=3600)
    error = error_of(client.post("/v1/files", files={"file": ("cat.mp4", b"video")}, data=fields), 400)
    assert error["param"] == param


# --- Content ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-10", 10, 11),
        ("bytes=100-", 100, len(FILM)),
        ("bytes=-5", len(FILM) - 5, len(FILM)),
        (f"bytes=5-{10**12}", 5, len(FILM)),
        (f"bytes=-{10**12}", 0, len(FILM)),
    ],
)
def test_a_part_of_a_file(asked: str, start: int, stop: int, client: TestClient) -> None:
    content = f"/v1/files/{upload(client, FILM)['id']}/content"
    response = client.get(content, headers={"Range": asked})
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(FILM)}"
    assert response.headers["content-length"] == str(stop - start)
    assert response.content == FILM[start:stop]


def test_a_whole_file(client: TestClient) -> None:
    content = f"/v1/files/{upload(client, FILM)['id']}/content"
    head = client.head(content)
    for asked in ({}, {"Range": "seconds=1-2"}, {"Range": "bytes=5-2"}, {"Range": "bytes=0-1", "If-Range": '"other"'}):
        response = client.get(content, headers=asked)
        assert (response.status_code, response.content) == (200, FILM)
        assert response.headers["accept-ranges"] == "bytes"
        assert {**response.headers} == {**head.headers}
    assert client.get(content, headers={"Range": "bytes=0-1", "If-Range": head.headers["etag"]}).status_code == 206


def test_an_open_range_is_cut_for_a_player(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.api.files.MAX_OPEN_RANGE_BYTES", 1000)
    response = client.get(f"/v1/files/{upload(client, FILM)['id']}/content", headers={"Range": "bytes=7-"})
    assert response.headers["content-range"] == f"bytes 7-1006/{len(FILM)}"
    assert response.content == FILM[7:1007]


def test_a_range_behind_the_end(client: TestClient) -> None:
    response = client.get(f"/v1/files/{upload(client, FILM)['id']}/content", headers={"Range": f"bytes={len(FILM)}-"})
    assert (response.status_code, response.content) == (416, b"")
    assert response.headers["content-range"] == f"bytes */{len(FILM)}"


def test_the_type_is_told_by_the_content(client: TestClient) -> None:
    """And never such as would run on our origin, whatever it is called."""
    types = {}
    contents = {"film.html": MP4_HEAD, "cat.mp4": b"<script>alert(1)</script>", "a.mkv": b"\x1a\x45\xdf\xa3\0webm"}
    for name, content in contents.items():
        response = client.get(f"/v1/files/{upload(client, content + bytes(100), name)['id']}/content")
        types[name] = response.headers["content-type"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert types == {"film.html": "video/mp4", "cat.mp4": "application/octet-stream", "a.mkv": "video/webm"}


def test_a_name_is_only_shown(client: TestClient, uploads: Path) -> None:
    file = upload(client, name="../../Urlaub \u2600\r\nX: 1.mp4")
    told = client.get(f"/v1/files/{file['id']}/content").headers["content-disposition"]
    assert re.fullmatch(r"inline; filename\*=UTF-8''[\w.%-]+", told, re.ASCII)
    assert [path.name for path in uploads.iterdir()] == [file["id"]]


def test_content_that_is_not_there(client: TestClient) -> None:
    for file_id in ("file-" + "0" * 32, "..%2f..%2fetc", "uploads"):
        error_of(client.get(f"/v1/files/{file_id}/content"), 404)


# --- tus, on the wire -------------------------------------------------------------------------------------------------


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(client: TestClient, length: int = len(FILM), **headers: str) -> str:
    response = client.post(UPLOADS, headers=TUS | {"Upload-Length": str(length)} | headers)
    assert response.status_code == 201, response.text
    return response.headers["location"]


def send(client: TestClient, location: str, offset: int, content: bytes) -> httpx.Response:
    headers = TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    response: httpx.Response = client.patch(location, content=content, headers=headers)
    return response


def test_what_of_tus_is_spoken(client: TestClient) -> None:
    response = client.options(UPLOADS)
    assert response.status_code == 204
    assert response.headers["tus-version"] == response.headers["tus-resumable"] == "1.0.0"
    assert response.headers["tus-extension"] == "creation,creation-with-upload,expiration,termination"
    assert response.headers["tus-max-size"] == str(3 * MIB)


def test_an_uploads_life(client: TestClient, uploads: Path) -> None:
    location = create(client, **{"Upload-Metadata": metadata(filename="../Urlaub \u2600.mp4", purpose="user_data")})
    assert location.startswith(f"{UPLOADS}/upload-")
    for offset, stop in [(0, 5), (5, MIB + 9), (MIB + 9, len(FILM))]:
        told = client.head(location, headers=TUS)
        assert (told.status_code, told.headers["upload-offset"]) == (200, str(offset))
        assert (told.headers["upload-length"], told.headers["cache-control"]) == (str(len(FILM)), "no-store")
        assert "upload-expires" in told.headers
        pending = client.get(location).json()
        assert (pending["status"], pending["offset"], pending["file"]) == ("pending", offset, None)
        sent = send(client, location, offset, FILM[offset:stop])
        assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(stop))
    file_id = sent.headers["longtake-file-id"]
    assert client.head(location, headers=TUS).headers["longtake-file-id"] == file_id
    completed = client.get(location).json()
    file = client.get(f"/v1/files/{file_id}").json()
    assert (completed["status"], completed["file"]) == ("completed", file)
    assert (file["filename"], file["purpose"], file["bytes"]) == ("../Urlaub \u2600.mp4", "user_data", len(FILM))
    assert client.get(f"/v1/files/{file_id}/content").content == FILM
    assert [path.name for path in uploads.iterdir()] == [file_id]


def test_the_first_piece_may_come_at_once(client: TestClient) -> None:
    headers = TUS | {"Upload-Length": str(len(FILM)), "Content-Type": "application/offset+octet-stream"}
    response = client.post(UPLOADS, content=FILM[:100], headers=headers)
    assert (response.status_code, response.headers["upload-offset"]) == (201, "100")
    sent = send(client, response.headers["location"], 100, FILM[100:])
    assert client.get(f"/v1/files/{sent.headers['longtake-file-id']}/content").content == FILM


def test_an_upload_is_given_up(client: TestClient, uploads: Path) -> None:
    location = create(client)
    send(client, location, 0, FILM[:100])
    assert client.delete(location, headers=TUS).status_code == 204
    assert list(uploads.iterdir()) == []
    assert error_of(client.head(location, headers=TUS) and client.get(location), 404)["type"] == "source_not_found"


def test_a_resumable_upload_expires_as_a_file_does(client: TestClient, app: FastAPI) -> None:
    settings_with(app, keep_uploads_seconds=3600)
    location = create(client, 5, **{"Upload-Metadata": metadata(expires_after="600")})
    file = client.get(f"/v1/files/{send(client, location, 0, b'video').headers['longtake-file-id']}").json()
    assert abs(file["expires_at"] - time.time() - 600) < 60


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"Upload-Length": "many"}, 400, "number of bytes"),
        ({"Upload-Length": "-1"}, 400, "number of bytes"),
        ({"Upload-Length": "0"}, 400, "empty"),
        ({"Upload-Length": str(4 * MIB)}, 413, "allowed"),
        ({"Upload-Defer-Length": "1"}, 400, "Upload-Length"),
        ({"Upload-Length": "5", "Upload-Metadata": "filename ?"}, 400, "base64"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(purpose="batch")}, 400, "vision"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(filename="a" * 256)}, 400, "Shorten"),
        ({"Upload-Length": "5", "Tus-Resumable": "0.2"}, 412, "1.0.0"),
    ],
)
def test_uploads_that_are_not_begun(
    headers: dict[str, str], status: int, words: str, client: TestClient, uploads: Path
) -> None:
    response = client.post(UPLOADS, headers=TUS | headers)
    assert words in error_of(response, status)["message"]
    assert response.headers["tus-resumable"] == "1.0.0"
    assert list(uploads.iterdir()) == []


def test_pieces_that_are_refused(client: TestClient) -> None:
    location = create(client, 10)
    assert error_of(send(client, location, 3, b"video"), 409)["type"] == "upload_conflict"
    assert "3 bytes beyond" in error_of(send(client, location, 0, bytes(13)), 400)["message"]
    response = client.patch(location, content=b"video", headers=TUS | {"Upload-Offset": "0"})
    assert "application/offset+octet-stream" in error_of(response, 415)["message"]
    error_of(client.patch(location, content=b"video", headers={"Upload-Offset": "0"}), 412)
    assert client.get(location).json()["offset"] == 0


# --- The clients ------------------------------------------------------------------------------------------------------


def test_tuspy_uploads(url: str, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(FILM)
    uploader = TusClient(f"{url}{UPLOADS}").uploader(
        str(tmp_path / "film.mp4"), chunk_size=MIB // 2, metadata={"filename": "film.mp4"}
    )
    uploader.upload()
    file = httpx.get(uploader.url, trust_env=False).json()["file"]
    assert file["filename"] == "film.mp4"
    assert httpx.get(f"{url}/v1/files/{file['id']}/content", trust_env=False).content == FILM


def test_tuspy_goes_on_after_a_connection_that_broke(url: str, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(FILM)
    with BreakingProxy(url, after_bytes=MIB + MIB // 2) as proxy:
        uploader = TusClient(f"{proxy.url}{UPLOADS}").uploader(str(tmp_path / "film.mp4"))  # in one piece
        with pytest.raises((TusUploadFailed, TusCommunicationError)):
            uploader.upload()
    direct = uploader.url.replace(proxy.url, url)
    wait_until(lambda: tuspy_offset(direct) >= MIB, timeout_seconds=10, what="what the broken connection carried")
    again = TusClient(f"{url}{UPLOADS}").uploader(str(tmp_path / "film.mp4"), url=direct)
    assert MIB <= again.offset < len(FILM)
    again.upload()
    file = httpx.get(direct, trust_env=False).json()["file"]
    assert httpx.get(f"{url}/v1/files/{file['id']}/content", trust_env=False).content == FILM


def tuspy_offset(location: str) -> int:
    return int(httpx.head(location, headers=TUS, trust_env=False).headers["Upload-Offset"])


def test_the_official_client(url: str, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(FILM)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        stored = [
            client.files.create(
                file=tmp_path / "film.mp4",
                purpose="user_data",
                expires_after={"anchor": "created_at", "seconds": 3600},
            )
            for _ in range(3)
        ]
        assert [file.id for file in client.files.list(limit=2)] == [file.id for file in reversed(stored)]  # two pages
        assert client.files.retrieve(stored[0].id) == stored[0]
        assert client.files.content(stored[0].id).read() == FILM
        assert client.files.delete(stored[0].id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(stored[0].id)


class BreakingProxy:
    """Passes a client's bytes on, and resets its connections when there were `after_bytes`."""

    def __init__(self, target: str, *, after_bytes: int) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = host, int(port)
        self._left = after_bytes
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> BreakingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                target.sendall(block)
                if is_counted:
                    self._left -= len(block)
                    if self._left <= 0:
                        break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
