"""Work whose process dies, hangs or grows fails alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import psutil
import pytest

from pipeline.errors import DecodeFailed, SourceUnavailable
from pipeline.isolation.process import Cancellation, IsolatedProcess, WorkAborted, WorkCrashed, WorkLimits, WorkLost
from tests.pipeline.isolation.fake_worker import LIMITS
from tests.timing import keeps_within


def test_a_worker_is_kept_from_call_to_call(process: IsolatedProcess) -> None:
    first, second = process.call(("count", None), LIMITS), process.call(("count", None), LIMITS)
    assert (first[0], second[0]) == (1, 2)
    assert first[1] == second[1] != os.getpid()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (("die", signal.SIGSEGV), "crashed (signal 11)"),
        (("die", signal.SIGKILL), "crashed (signal 9)"),
        (("exit", 3), "crashed (status 3)"),
    ],
)
def test_a_death_is_an_error_of_its_work(process: IsolatedProcess, request_: tuple[str, int], message: str) -> None:
    def seconds_to_replace() -> float:
        _, before = process.call(("count", None), LIMITS)
        with pytest.raises(WorkCrashed) as caught:
            process.call(request_, LIMITS)
        assert str(caught.value) == message
        started = time.perf_counter()
        count, after = process.call(("count", None), LIMITS)
        seconds = time.perf_counter() - started
        assert count == 1
        assert after != before
        assert not psutil.pid_exists(before)
        return seconds

    assert keeps_within(0.5, seconds_to_replace)


def test_work_that_never_ends_is_ended(process: IsolatedProcess) -> None:
    with pytest.raises(WorkLost, match="took more than 1 s of a core"):
        process.call(("spin", None), WorkLimits(1, LIMITS.memory_bytes))
    assert process.call(("count", None), LIMITS)[0] == 1


def test_work_that_only_waits_is_ended(process: IsolatedProcess) -> None:
    with pytest.raises(WorkLost, match=r"took more than 1 s") as caught:
        process.call(("sleep", 60), WorkLimits(0.2, LIMITS.memory_bytes))
    assert not isinstance(caught.value, WorkCrashed)
    assert process.call(("count", None), LIMITS)[0] == 1


def test_errors_of_ours_come_through_and_others_by_name_alone(process: IsolatedProcess) -> None:
    with pytest.raises(DecodeFailed, match="for a reason"):
        process.call(("raise", DecodeFailed("for a reason")), LIMITS)
    with pytest.raises(WorkLost) as caught:
        process.call(("raise", OSError("/secret/path")), LIMITS)
    assert str(caught.value) == "failed with OSError"


def test_losses_are_counted_but_not_cancelled_work(process: IsolatedProcess) -> None:
    for request in (("exit", 3), ("spin", None), ("raise", OSError())):
        with pytest.raises(WorkLost):
            process.call(request, WorkLimits(0.5, LIMITS.memory_bytes))
    with pytest.raises(WorkLost):
        process.call(("sleep", 60), WorkLimits(0.1, LIMITS.memory_bytes))
    work = Cancellation()
    threading.Timer(0.2, process.cancel, [work]).start()
    with pytest.raises(WorkAborted):
        process.call(("sleep", 30), LIMITS, cancellation=work)
    assert process.num_workers_lost == 3  # the worker outlives an error


def test_a_worker_can_ask(process: IsolatedProcess) -> None:
    asked: list[Any] = []
    process.call(("ask", (1, 2)), LIMITS, serve=asked.append)
    assert asked == [(1, 2)]


def test_what_a_worker_asks_for_in_vain_is_the_error_of_its_work(process: IsolatedProcess) -> None:
    def refuse(_: Any) -> None:
        raise SourceUnavailable("The origin is gone.")

    with pytest.raises(SourceUnavailable, match="The origin is gone"):
        process.call(("ask", None), LIMITS, serve=refuse)
    assert process.call(("count", None), LIMITS)[0] == 2


def test_work_can_be_cancelled(process: IsolatedProcess) -> None:
    process.call(("count", None), LIMITS)
    work = Cancellation()
    threading.Timer(0.3, process.cancel, [work]).start()
    started = time.perf_counter()
    with pytest.raises(WorkAborted):
        process.call(("sleep", 30), LIMITS, cancellation=work)
    assert time.perf_counter() - started < 2
    assert process.call(("count", None), LIMITS)[0] == 1


def test_giving_work_up_ends_no_other_work(process: IsolatedProcess) -> None:
    done, other = Cancellation(), Cancellation()
    process.call(("count", None), LIMITS, cancellation=done)
    threading.Timer(0.2, process.cancel, [done]).start()
    process.call(("sleep", 0.6), LIMITS, cancellation=other)
    assert process.call(("count", None), LIMITS)[0] == 3
