"""The client of a Longtake server: light, without the server's dependencies."""

from longtake.client import Longtake, ServerError, ServerEvent

__all__ = ["Longtake", "ServerError", "ServerEvent"]
