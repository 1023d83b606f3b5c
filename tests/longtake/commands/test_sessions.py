"""The server that a command talks to. `test_own_server.py` starts one for real."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from longtake import Longtake, ServerPath
from longtake.commands.sessions import NoServer, Session, connected, own_server


def test_without_the_servers_packages_it_asks_for_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtake.commands.sessions.SERVER_PACKAGES", ("no_such_package",))
    with pytest.raises(NoServer, match=r"no_such_package.*--server"), own_server(None, [], Console()):
        pass


def test_a_server_of_the_commands_own_reads_files_in_place() -> None:
    with Longtake("http://127.0.0.1:1") as client:
        own, other = Session(client, is_own=True), Session(client, is_own=False)
        assert own.named("cat.mp4") == ServerPath(str(Path("cat.mp4").resolve()))
        assert other.named("cat.mp4") == Path("cat.mp4")
        for session in (own, other):
            assert session.named("https://example.com/cat.mp4") == "https://example.com/cat.mp4"


def test_a_given_server_is_used(server: str) -> None:
    with connected(server, None, ["cat.mp4"], Console()) as session:
        assert not session.is_own
        assert session.client.check_ready() == "longtake-demo"
