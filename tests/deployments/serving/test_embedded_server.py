"""The parts of the embedded server that need no Ray."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deployments.serving import embedded_server as embedded


def test_the_port_is_none_that_the_system_gives_to_others() -> None:
    """Ray's processes take ephemeral ports while the graph starts, and took Serve's own once."""
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(not lowest <= embedded.free_port() <= highest for _ in range(20))


def test_a_port_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        in_use = taken.getsockname()[1]
        monkeypatch.setattr(embedded, "_PORTS", range(in_use, in_use + 1))
        with pytest.raises(embedded.ServerFailed, match=str(in_use)):
            embedded.free_port()
