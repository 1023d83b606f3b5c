"""The page's files are served with their headers, and comply with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from deployments.api.page import WEB
from tests.deployments.api.wire import error_of

FILES = [
    "index.html",
    *sorted(path.relative_to(WEB).as_posix() for path in (WEB / "page").rglob("*") if path.is_file()),
]
INDEX = (WEB / "index.html").read_text()


def test_the_page_is_at_the_root(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.text == INDEX


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_a_file_comes_with_its_type_and_is_asked_for_again_each_time(client: TestClient, name: str) -> None:
    response = client.get(f"/{name}")
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert response.headers["content-type"].split(";")[0] == types[Path(name).suffix]
    assert response.headers["cache-control"] == "no-cache"
    again = client.get(f"/{name}", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/page/app.js"])
def test_nothing_but_our_own_scripts_may_run(client: TestClient, path: str) -> None:
    policy = dict(part.strip().split(" ", 1) for part in client.get(path).headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)


def test_the_page_has_nothing_inline_and_loads_nothing_from_elsewhere() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", INDEX)
    for name in FILES:
        text = (WEB / name).read_text()
        loaded = re.findall(r"""(?:src=|href=|from |import\(|@import |url\()["']?([^"')\s>]+)""", text)
        elsewhere = [address for address in loaded if "//" in address]
        assert elsewhere == [], name


def test_every_file_that_is_loaded_is_there() -> None:
    for name in FILES:
        for target in re.findall(r'^import [^"]*"(\.[^"]+)"', (WEB / name).read_text(), re.MULTILINE):
            assert ((WEB / name).parent / target).is_file(), f"{name} imports {target}"
    for target in re.findall(r'(?:src|href)="(page/[^"]+)"', INDEX):
        assert (WEB / target).is_file()


@pytest.mark.parametrize(
    "path", ["/page/none.js", "/page/", "/page/..%2f..%2fserve_config.yaml", "/page/%2e%2e/index.html"]
)
def test_what_is_no_file_of_the_page_is_not_found(client: TestClient, path: str) -> None:
    assert error_of(client.get(path), 404)["type"] == "not_found"


def test_the_api_keeps_its_errors(client: TestClient) -> None:
    error_of(client.get("/nothing"), 404)
    error_of(client.post("/nothing"), 404)
