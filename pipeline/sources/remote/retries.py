"""Retry failed requests to an origin: how often, after which pauses, and within which budget."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from cachetools import LRUCache

from pipeline.errors import SourceUnavailable

MAX_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_RETRIES_AT_FIRST = 20.0
_RETRIES_PER_SUCCESS = 0.2
"""At most 1.2 requests reach an origin for each one intended, once the first retries are spent. An origin that fails
every tenth request gets 1.11."""
_MOST_HOSTS = 1000
_TRANSIENT_STATUSES = frozenset({408, 425, 429})

Result = TypeVar("Result")


class TransientFailure(Exception):
    """An attempt failed, and the next may succeed. Its text continues a sentence that starts with the source's name."""

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """The pause that the origin asks for."""


class Deadline:
    """The time by which a video must have arrived."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining_seconds(self) -> float:
        """Negative after the deadline."""
        return self._end - time.monotonic()

    def bound(self, timeout_seconds: float | None) -> float:
        """`timeout_seconds`, cut to the remaining time. Always positive: a socket takes 0 for "do not wait"."""
        remaining = self.remaining_seconds
        return max(0.001, remaining if timeout_seconds is None else min(timeout_seconds, remaining))

    def check(self, name: str) -> None:
        """Raise SourceUnavailable after the deadline."""
        if self.remaining_seconds <= 0:
            raise SourceUnavailable(
                f"{name} did not arrive within {self._seconds:g} seconds. Try a nearer or faster origin, or "
                "have the operator raise download_timeout_seconds."
            )


class RetryBudget:
    """The retries that all transfers of this process may make at one host.

    Each transfer bounds its own attempts, but a host that is down would get that many from every transfer. So each
    retry takes one from this budget, and each success returns a part of one (like gRPC's retry throttling and the AWS
    SDKs' standard mode). First attempts are free: they detect that a host has recovered.
    """

    def __init__(self) -> None:
        self._retries = _RETRIES_AT_FIRST
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Spend one retry; False if none is left."""
        with self._lock:
            is_left = self._retries >= 1
            self._retries -= is_left
            return is_left

    def put_back(self) -> None:
        """Return a part of a retry after a success."""
        with self._lock:
            self._retries = min(_RETRIES_AT_FIRST, self._retries + _RETRIES_PER_SUCCESS)


class RetryBudgets:
    """A budget for each of the hosts used last. Thread-safe."""

    def __init__(self) -> None:
        self._budgets: LRUCache[str, RetryBudget] = LRUCache(_MOST_HOSTS)
        self._lock = threading.Lock()

    def of(self, host: str) -> RetryBudget:
        """`host` with its port: another port is another service."""
        with self._lock:
            return self._budgets.setdefault(host, RetryBudget())


def retry(attempt: Callable[[], Result], *, name: str, deadline: Deadline, budget: RetryBudget) -> Result:
    """Return the result of `attempt`, retried after a TransientFailure.

    Raises SourceUnavailable after `MAX_ATTEMPTS`, when `budget` is spent, and when the origin asks for a pause beyond
    `deadline`.
    """
    count = 1
    while True:
        try:
            result = attempt()
        except TransientFailure as failure:
            deadline.check(name)
            pause_seconds = _pause_seconds(failure, count)
            if reason := _reason_to_stop(failure, count, deadline, budget):
                raise SourceUnavailable(f"{name} {failure}{reason} Try again later.") from failure
        else:
            budget.put_back()
            return result
        time.sleep(deadline.bound(pause_seconds))
        count += 1


def _pause_seconds(failure: TransientFailure, count: int) -> float:
    """Exponential pause with full jitter, added to the origin's own pause, which other clients got, too."""
    return failure.retry_after_seconds + random.uniform(0, _FIRST_PAUSE_SECONDS * 2 ** (count - 1))


def _reason_to_stop(failure: TransientFailure, count: int, deadline: Deadline, budget: RetryBudget) -> str:
    """The end of the error message if no attempt is left; otherwise empty, and a retry is taken from `budget`."""
    if count == MAX_ATTEMPTS:
        return f", {count} times in a row."
    if failure.retry_after_seconds > deadline.remaining_seconds:
        return (
            f", and asks for a pause of {failure.retry_after_seconds:.0f} seconds, of which "
            f"{max(0.0, deadline.remaining_seconds):.0f} are left."
        )
    if not budget.take():
        return ". Its host has failed so often recently that its retry budget is spent."
    return ""


def is_transient(status: int) -> bool:
    """Whether the same request may succeed later, by its HTTP status."""
    return status in _TRANSIENT_STATUSES or status >= 500


def retry_after_seconds(header: str) -> float:
    """The pause in a `Retry-After` header, which holds seconds or a date (RFC 9110, 10.2.3). 0 if it holds neither."""
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:  # "-0000": UTC, with the local time zone unknown
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
