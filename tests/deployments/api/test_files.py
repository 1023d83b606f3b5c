"""`/v1/files` at the HTTP level, and through the official client against a real server."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.api.service import current_service
from pipeline.sources import REQUEST_PURPOSE
from tests.deployments.api.uploading import FILM, settings_with, upload
from tests.deployments.api.wire import error_of

MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"


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
    store = app.dependency_overrides[current_service]().uploads
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
    store = app.dependency_overrides[current_service]().uploads
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


def test_a_files_life(client: TestClient, uploads: Path) -> None:
    response = client.post("/v1/files", files={"file": ("../cat.mp4", b"video")}, data={"purpose": "vision"})
    assert response.status_code == 200
    file = response.json()
    assert client.get(f"/v1/files/{file['id']}").json() == file
    assert isinstance(file["created_at"], int)
    assert (file["object"], file["bytes"], file["purpose"]) == ("file", 5, "vision")
    assert [path.name for path in uploads.iterdir()] == [file["id"]]
    deleted = client.delete(f"/v1/files/{file['id']}").json()
    assert deleted == {"id": file["id"], "object": "file", "deleted": True}
    assert list(uploads.iterdir()) == []
    for answer in (client.get(f"/v1/files/{file['id']}"), client.delete(f"/v1/files/{file['id']}")):
        assert error_of(answer, 404)["type"] == "source_not_found"


def test_uploads_that_are_refused(client: TestClient, uploads: Path) -> None:
    assert error_of(client.post("/v1/files", json={}), 400)["param"] == "file"
    assert error_of(client.post("/v1/files", files={"file": ("a.mp4", b"")}), 400)["param"] == "file"
    assert error_of(client.post("/v1/files", files={"file": ("a.mp4", b"x" * 2**23)}), 413)
    error_of(client.get("/v1/files/..%2f..%2fetc"), 404)
    assert list(uploads.iterdir()) == []


# --- Records that cannot be read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"file_name": 1}', b"[" * 5000])
def test_a_file_whose_record_is_damaged_breaks_no_list(client: TestClient, uploads: Path, about: bytes) -> None:
    ids = [upload(client, name=f"{number}.mp4")["id"] for number in range(3)]
    (uploads / ids[1] / "about.json").write_bytes(about)
    listed = {file["id"]: file for file in client.get("/v1/files").json()["data"]}
    assert listed.keys() == set(ids)
    assert [listed[file_id]["status"] for file_id in ids] == ["processed", "error", "processed"]
    assert listed[ids[1]] == client.get(f"/v1/files/{ids[1]}").json()
    assert (listed[ids[1]]["bytes"], listed[ids[1]]["filename"]) == (len(b"video"), "")
    assert client.get("/v1/files", params={"limit": 1, "after": client.get("/v1/files").json()["first_id"]}).json()[
        "data"
    ]
    assert client.get(f"/v1/files/{ids[1]}/content").content == b"video"
    assert client.delete(f"/v1/files/{ids[1]}").json()["deleted"]
    assert upload(client)


def test_a_name_that_an_earlier_release_stored_is_listed(client: TestClient, uploads: Path) -> None:
    file_id = upload(client)["id"]
    about = {"file_name": "\udcff.mp4", "created_at": 1, "purpose": "vision", "expires_at": None}
    (uploads / file_id / "about.json").write_text(json.dumps(about))
    assert client.get("/v1/files").json()["data"][0]["filename"] == "\\udcff.mp4"
    assert client.get(f"/v1/files/{file_id}/content").status_code == 200
