"""tus at `/v1/files/uploads` at the HTTP level, and through tuspy against a real server."""

from __future__ import annotations

import base64
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from tests.deployments.api.uploading import FILM, MIB, settings_with
from tests.deployments.api.wire import error_of
from tests.graph.processes import wait_until

TUS = {"Tus-Resumable": "1.0.0"}
UPLOADS = "/v1/files/uploads"


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
