"""Errors of the client.

ServerError                 the server refused or failed a request
├── ServerUnreachable       no server answers at the address, or the connection broke
└── AnalysisCancelled       a stored analysis was cancelled before it had an answer
"""

from __future__ import annotations

from typing import Any


class ServerError(Exception):
    """The server refused or failed a request. The message says what it got, what it allows and what to do."""

    def __init__(self, message: str, *, status: int = 0, type: str = "unknown", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; 0 without a response."""
        self.type = type
        """One of the API's error types, such as `unreadable_video`."""
        self.param = param
        """The request field at fault."""

    @classmethod
    def of(cls, body: Any, status: int) -> ServerError:
        """The error in the body of a response or of an `error` event."""
        error = body.get("error") if isinstance(body, dict) else None
        error = error if isinstance(error, dict) else {}
        return cls(
            error.get("message") or f"The server answered {status}, but not like a Longtake server. Check its address.",
            status=status,
            type=error.get("type") or "unknown",
            param=error.get("param"),
        )


class ServerUnreachable(ServerError):
    """No server answers at the address, or the connection broke."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(
            f"No answer from a Longtake server at {base_url} ({reason}). Start one with `longtake serve`, or give "
            "the address of another.",
            type="server_unreachable",
        )


class AnalysisCancelled(ServerError):
    """A stored analysis was cancelled before it had an answer."""

    def __init__(self, analysis_id: str) -> None:
        super().__init__(f"The analysis {analysis_id} was cancelled.", type="cancelled")
