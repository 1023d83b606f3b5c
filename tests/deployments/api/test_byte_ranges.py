"""The `Range` header, as players send it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.deployments.api.uploading import FILM, upload


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
