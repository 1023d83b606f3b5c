"""Uploads through Serve's proxy and Ingress: large ones pass by their memory, broken ones go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from tests.graph.processes import private_bytes, replicas, serve_proxies

MB = 1024**2
GB = 1024**3
SLACK_MB = 100
BLOCK = os.urandom(MB)
SAMPLING_SECONDS = 0.1


def form(size_bytes: int) -> tuple[dict[str, str], Callable[[], Iterator[bytes]]]:
    """A multipart body that is never in memory, as no client should have it."""
    head = b'--b0\r\nContent-Disposition: form-data; name="file"; filename="big.mp4"\r\n\r\n'
    tail = b"\r\n--b0--\r\n"

    def blocks() -> Iterator[bytes]:
        yield head
        for _ in range(size_bytes // MB):
            yield BLOCK
        yield tail

    length = len(head) + size_bytes + len(tail)
    return {"content-type": "multipart/form-data; boundary=b0", "content-length": str(length)}, blocks


@pytest.mark.slow
def test_two_gigabytes_pass_by_the_servers_memory(client: httpx.Client) -> None:
    headers, blocks = form(2 * GB)
    grown, response = watched(lambda: client.post("/v1/files", content=blocks(), headers=headers))
    assert response.status_code == 200, response.text
    file = response.json()
    assert file["bytes"] == 2 * GB
    client.delete(f"/v1/files/{file['id']}")
    print({name: f"+{size / MB:.0f} MB" for name, size in grown.items()})
    assert sum(grown.values()) < SLACK_MB * MB, grown


@pytest.mark.slow
def test_so_do_they_in_one_resumable_piece(client: httpx.Client) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    location = client.post("/v1/files/uploads", headers=tus | {"Upload-Length": str(2 * GB)}).headers["location"]
    headers = tus | {
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(2 * GB),
    }
    blocks = (BLOCK for _ in range(2048))
    grown, response = watched(lambda: client.patch(location, content=blocks, headers=headers))
    assert response.status_code == 204, response.text
    client.delete(f"/v1/files/{response.headers['longtake-file-id']}")
    print({name: f"+{size / MB:.0f} MB" for name, size in grown.items()})
    assert sum(grown.values()) < SLACK_MB * MB, grown


def test_a_film_comes_in_pieces_and_is_asked_about(server: str, client: httpx.Client, media: Path) -> None:
    uploader = TusClient(f"{server}/v1/files/uploads").uploader(str(media / "short.mp4"), chunk_size=100_000)
    uploader.upload()
    file = client.get(uploader.url).json()["file"]
    answer = client.post("/v1/analyses", json={"file_id": file["id"], "prompt": "What happens?", "max_tokens": 4})
    assert answer.status_code == 200, answer.text
    played = client.get(f"/v1/files/{file['id']}/content", headers={"Range": "bytes=10-19"})
    assert (played.status_code, played.content) == (206, (media / "short.mp4").read_bytes()[10:20])
    client.delete(f"/v1/files/{file['id']}")


def watched(send: Callable[[], httpx.Response]) -> tuple[dict[str, int], httpx.Response]:
    """By how much the private memory of Serve's proxy and of Ingress grew at most, while `send` ran."""
    processes = {"proxy": serve_proxies(), "Ingress": replicas("Ingress")}
    before = {name: sum(map(private_bytes, found)) for name, found in processes.items()}
    peaks, is_over = dict(before), threading.Event()

    def watch() -> None:
        while not is_over.wait(SAMPLING_SECONDS):
            for name, found in processes.items():
                peaks[name] = max(peaks[name], sum(map(private_bytes, found)))

    watching = threading.Thread(target=watch)
    watching.start()
    response = send()
    is_over.set()
    watching.join()
    return {name: peaks[name] - before[name] for name in before}, response
