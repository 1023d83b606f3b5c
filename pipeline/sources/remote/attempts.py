"""Trying again what an origin failed at: how often, after which pauses, and how much of it altogether."""

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
"""So an origin gets at most 1.2 times the requests that were meant for it, once the first retries are spent. One that
fails at every tenth takes 1.11 times."""
_MOST_HOSTS = 1000
_TRANSIENT_STATUSES = frozenset({408, 425, 429})

Result = TypeVar("Result")


class TransientFailure(Exception):
    """An attempt failed in a way in which the next may not. Its text goes on from the name of the source."""

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """How long the origin asked to be left alone."""


class Deadline:
    """The moment by which a video has to be here."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining_seconds(self) -> float:
        """Below 0 when it is over."""
        return self._end - time.monotonic()

    def bound(self, timeout_seconds: float | None) -> float:
        """The shorter one of a timeout and of what is left, above 0: a socket takes 0 for "do not wait"."""
        remaining = self.remaining_seconds
        return max(0.001, remaining if timeout_seconds is None else min(timeout_seconds, remaining))

    def check(self, name: str) -> None:
        """Raises SourceUnavailable when it is over."""
        if self.remaining_seconds <= 0:
            raise SourceUnavailable(
                f"{name} did not arrive within {self._seconds:g} seconds. Try a nearer or faster origin, or "
                "have the operator raise download_timeout_seconds."
            )


class RetryBudget:
    """What may be tried again at one host, by all transfers of this process together.

    Each transfer counts its own attempts; a host that is down would get that many from every one of them. So a retry
    takes one from here, and a success puts a part of one back (as gRPC's retry throttling and the AWS SDKs' standard
    mode do). First attempts are free: by them a host that has recovered is noticed.
    """

    def __init__(self) -> None:
        self._retries = _RETRIES_AT_FIRST
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether there was a retry left, which is now spent."""
        with self._lock:
            is_left = self._retries >= 1
            self._retries -= is_left
            return is_left

    def put_back(self) -> None:
        """After a success."""
        with self._lock:
            self._retries = min(_RETRIES_AT_FIRST, self._retries + _RETRIES_PER_SUCCESS)


class RetryBudgets:
    """One budget for each host, of the hosts asked last. Used by many threads."""

    def __init__(self) -> None:
        self._budgets: LRUCache[str, RetryBudget] = LRUCache(_MOST_HOSTS)
        self._lock = threading.Lock()

    def of(self, host: str) -> RetryBudget:
        """`host` with its port: another port is another service."""
        with self._lock:
            return self._budgets.setdefault(host, RetryBudget())


def retry(attempt: Callable[[], Result], *, name: str, deadline: Deadline, budget: RetryBudget) -> Result:
    """What `attempt` returns.

    Raises SourceUnavailable when `MAX_ATTEMPTS` have failed in a transient way, when `budget` has nothing left, and
    when the origin asks for a longer pause than there is time.
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
    """Full jitter: any pause up to one that doubles. After one that was asked for, too: others were told the same."""
    return failure.retry_after_seconds + random.uniform(0, _FIRST_PAUSE_SECONDS * 2 ** (count - 1))


def _reason_to_stop(failure: TransientFailure, count: int, deadline: Deadline, budget: RetryBudget) -> str:
    """How the message goes on when there is no further attempt; empty when there is one, which is then taken."""
    if count == MAX_ATTEMPTS:
        return f", {count} times in a row."
    if failure.retry_after_seconds > deadline.remaining_seconds:
        return (
            f", and asks for a pause of {failure.retry_after_seconds:.0f} seconds, of which "
            f"{max(0.0, deadline.remaining_seconds):.0f} are left."
        )
    if not budget.take():
        return ". Its host has failed so often of late that it is not asked again: its retry budget is spent."
    return ""


def is_transient(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in _TRANSIENT_STATUSES or status >= 500


def retry_after_seconds(header: str) -> float:
    """Of a `Retry-After` header: seconds or a date (RFC 9110, 10.2.3). 0 where it is missing or says neither."""
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:  # "-0000": in UTC, of a clock whose place is not told
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
