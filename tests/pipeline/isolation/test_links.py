"""Replicas find the host of their group, and leave nothing behind."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psutil
import pytest

from pipeline.isolation.process import IsolatedProcess, WorkCrashed
from tests.pipeline.isolation.fake_worker import FAKE_WORKER, LIMITS, wait_for
from tests.worker_hosts import worker_hosts


def test_memory_is_shared(process: IsolatedProcess) -> None:
    fd = os.memfd_create("test")
    os.ftruncate(fd, 5)
    assert process.call(("write", b"there"), LIMITS, memory_fd=fd) == 5
    assert os.pread(fd, 5, 0) == b"there"
    os.close(fd)


def test_credentials_stay_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary")
    process = IsolatedProcess(FAKE_WORKER)
    for name in ("AWS_SECRET_ACCESS_KEY", "OTEL_EXPORTER_OTLP_HEADERS"):
        assert process.call(("environment", name), LIMITS) is None
    process.close()


def test_a_lost_host_is_replaced(process: IsolatedProcess) -> None:
    _, worker = process.call(("count", None), LIMITS)
    psutil.Process(worker).parent().kill()  # type: ignore[union-attr]
    wait_for(lambda: not psutil.pid_exists(worker), "a worker outlived its host")
    with pytest.raises(WorkCrashed):
        process.call(("count", None), LIMITS)
    assert process.call(("count", None), LIMITS)[0] == 1


def test_nothing_is_left_behind(process: IsolatedProcess) -> None:
    us = psutil.Process()
    before = us.num_fds()
    for _ in range(20):
        process.call(("count", None), LIMITS)
        with pytest.raises(WorkCrashed):
            process.call(("exit", 1), LIMITS)
    process.close()
    assert us.num_fds() <= before
    wait_for(lambda: not worker_hosts(FAKE_WORKER), "a host outlived its last client")


def test_those_of_a_group_share_a_host_and_nothing_else() -> None:
    first, second, other = (IsolatedProcess(FAKE_WORKER, group) for group in ("a", "a", "b"))
    with closing(first), closing(second), closing(other):
        (_, host, worker), (_, same_host, its_worker), (_, other_host, _) = (
            process.call(("has", "sys"), LIMITS) for process in (first, second, other)
        )
        assert host == same_host != other_host
        assert worker != its_worker
        with pytest.raises(WorkCrashed):
            first.call(("die", signal.SIGSEGV), LIMITS)
        first.close()
        assert second.call(("has", "sys"), LIMITS) == (True, host, its_worker)
        assert first.call(("has", "sys"), LIMITS)[1] == host  # it may be used again
    wait_for(lambda: not psutil.pid_exists(host), "a host outlived its last client")


def test_many_may_begin_at_once() -> None:
    """None of them finds a host, and each starts one."""
    processes = [IsolatedProcess(FAKE_WORKER, "crowd") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda process: process.call(("has", "sys"), LIMITS), processes))
    assert len({host for _, host, _ in found}) == 1
    assert len({worker for _, _, worker in found}) == 8
    for process in processes:
        process.close()
