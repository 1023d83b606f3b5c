"""Errors of the client."""

from __future__ import annotations

import pickle

import pytest

from longtake import AnalysisCancelled, ServerError, ServerUnreachable


def test_the_servers_error() -> None:
    error = ServerError.of({"error": {"type": "decode_failed", "message": "It is damaged.", "param": "video_url"}}, 422)
    assert (str(error), error.status, error.type, error.param) == ("It is damaged.", 422, "decode_failed", "video_url")


@pytest.mark.parametrize("body", [None, [], "text", {}, {"error": None}, {"error": "text"}, {"error": {}}])
def test_another_servers_error(body: object) -> None:
    error = ServerError.of(body, 502)
    assert (error.status, error.type, error.param) == (502, "unknown", None)
    assert "502, but not like a Longtake server" in str(error)


def test_every_error_says_what_to_do_and_is_a_server_error() -> None:
    unreachable, cancelled = ServerUnreachable("http://a:1", "refused"), AnalysisCancelled("analysis-1")
    assert "http://a:1 (refused)" in str(unreachable) and "longtake serve" in str(unreachable)
    assert "analysis-1" in str(cancelled)
    assert (unreachable.type, cancelled.type) == ("server_unreachable", "cancelled")
    assert isinstance(unreachable, ServerError) and isinstance(cancelled, ServerError)


def test_a_server_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ServerError("It died.", status=503, type="engine_died", param="x")))
    assert (str(error), error.status, error.type, error.param) == ("It died.", 503, "engine_died", "x")
