"""Checks of a machine; `commands/test_doctor.py` runs them all on this one."""

from __future__ import annotations

import socket
import sys

import pytest

from longtake import checks
from longtake.checks import Verdict


def test_missing_parts_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_library", lambda name: None)
    monkeypatch.setattr(checks, "output_of", lambda command: None)
    monkeypatch.setattr(checks, "is_port_free", lambda port: False)
    findings = {finding.what: finding for finding in checks.server_findings()}
    assert findings["ffmpeg"].found == "no libavcodec, libavformat, libavutil"
    assert findings["torchcodec"].verdict is Verdict.MISSING
    assert findings["gpu"].verdict is findings["port 8000"].verdict is Verdict.NOTE
    assert all(finding.remedy for finding in findings.values() if finding.verdict is not Verdict.OK)


def test_a_port_is_free_until_something_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not checks.is_port_free(port)
    assert checks.is_port_free(port)


def test_a_command_that_fails_has_no_output() -> None:
    assert checks.output_of([sys.executable, "-c", "print('x')"]) == "x"
    assert checks.output_of([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert checks.output_of(["/no/such/command"]) is None


def test_an_unreachable_server(closed_port: int) -> None:
    (finding,) = checks.remote_findings(f"http://127.0.0.1:{closed_port}")
    assert (finding.verdict, finding.what) == (Verdict.MISSING, "server")
    assert "server unreachable" in finding.found and "longtake serve" in finding.remedy
