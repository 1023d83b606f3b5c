"""What becomes of work whose process dies, hangs or grows: an error of that work, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, ClassVar

import psutil
import pytest

from pipeline.errors import DecodeFailed, ServiceError, SourceUnavailable
from pipeline.isolation.process import (
    Ask,
    Cancellation,
    IsolatedProcess,
    WorkAborted,
    WorkCrashed,
    WorkLimits,
    WorkLost,
)
from tests.worker_hosts import worker_hosts

LIMITS = WorkLimits(cpu_seconds=5, memory_bytes=200 * 1024**2)


class FakeWorker:
    """Does what it is told, which no handler of ours does."""

    def __init__(self) -> None:
        self.num_calls = 0

    def __call__(self, request: tuple[str, Any], memory_fd: int | None, ask: Ask) -> Any:
        self.num_calls += 1
        act: dict[str, Callable[[Any], Any]] = {
            "count": lambda _: (self.num_calls, os.getpid()),
            "die": lambda number: os.kill(os.getpid(), number),
            "exit": os._exit,
            "spin": lambda _: _spin(),
            "sleep": time.sleep,
            "grow": lambda size: len(bytearray(size)),
            "raise": _raise,
            "ask": ask,
            "log": _log,
            "environment": os.environ.get,
            "has": lambda module: (module in sys.modules, os.getppid(), os.getpid()),
            "keep": self.keep,
            "write": lambda text: os.pwrite(memory_fd or -1, text, 0),
        }
        return act[request[0]](request[1])

    kept: ClassVar[list[bytearray]] = []

    def keep(self, size: int) -> int:
        self.kept.append(bytearray(size))
        return len(self.kept)


def _log(size: int) -> int:
    with tempfile.TemporaryFile() as log:
        try:
            for _ in range(size // 1024):
                os.write(log.fileno(), bytes(1024))
        except OSError:
            pass
        return os.fstat(log.fileno()).st_size


def _spin() -> None:
    while True:
        pass


def _raise(error: Exception) -> None:
    raise error


@pytest.fixture
def process() -> Iterator[IsolatedProcess]:
    process = IsolatedProcess(f"{__name__}:FakeWorker")
    yield process
    process.close()


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
    _, before = process.call(("count", None), LIMITS)
    with pytest.raises(WorkCrashed) as caught:
        process.call(request_, LIMITS)
    assert str(caught.value) == message
    started = time.perf_counter()
    count, after = process.call(("count", None), LIMITS)
    assert time.perf_counter() - started < 0.5
    assert count == 1
    assert after != before
    assert not psutil.pid_exists(before)


def test_work_that_never_ends_is_ended(process: IsolatedProcess) -> None:
    with pytest.raises(WorkLost, match="took more than 1 s of a core"):
        process.call(("spin", None), WorkLimits(1, LIMITS.memory_bytes))
    assert process.call(("count", None), LIMITS)[0] == 1


def test_work_that_only_waits_is_ended(process: IsolatedProcess) -> None:
    with pytest.raises(WorkLost, match=r"took more than 1 s") as caught:
        process.call(("sleep", 60), WorkLimits(0.2, LIMITS.memory_bytes))
    assert not isinstance(caught.value, WorkCrashed)
    assert process.call(("count", None), LIMITS)[0] == 1


def test_the_limit_counts_one_call_and_not_all(process: IsolatedProcess) -> None:
    for _ in range(3):
        process.call(("count", None), LIMITS)
        with pytest.raises(WorkLost):
            process.call(("spin", None), WorkLimits(0.5, LIMITS.memory_bytes))


def test_memory_is_refused_above_the_limit(process: IsolatedProcess) -> None:
    assert process.call(("grow", 100 * 1024**2), LIMITS) == 100 * 1024**2
    with pytest.raises(WorkLost, match="failed with MemoryError"):
        process.call(("grow", 400 * 1024**2), LIMITS)
    assert process.call(("count", None), LIMITS)[0] == 3  # the same worker


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


def test_memory_is_shared(process: IsolatedProcess) -> None:
    fd = os.memfd_create("test")
    os.ftruncate(fd, 5)
    assert process.call(("write", b"there"), LIMITS, memory_fd=fd) == 5
    assert os.pread(fd, 5, 0) == b"there"
    os.close(fd)


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


def test_the_log_has_an_end(process: IsolatedProcess) -> None:
    assert process.call(("log", 50 * 1024**2), LIMITS) <= 1024**2


def test_credentials_stay_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary")
    process = IsolatedProcess(f"{__name__}:FakeWorker")
    for name in ("AWS_SECRET_ACCESS_KEY", "OTEL_EXPORTER_OTLP_HEADERS"):
        assert process.call(("environment", name), LIMITS) is None
    process.close()


def test_what_is_kept_is_not_the_next_works_memory(process: IsolatedProcess) -> None:
    for count in range(1, 5):
        assert process.call(("keep", 150 * 1024**2), LIMITS) == count


def test_a_module_is_imported_once_and_for_all_workers(process: IsolatedProcess) -> None:
    module = "colorsys"
    before, _, first = process.call(("has", module), LIMITS)
    has_it, host, second = process.call(("has", module), LIMITS, module=module)
    assert (before, has_it) == (False, True)
    assert first != second
    assert process.call(("has", module), LIMITS, module=module) == (True, host, second)
    process.close_worker()
    assert process.call(("has", module), LIMITS)[:2] == (True, host)


def test_a_module_that_cannot_be_imported_is_an_error_and_not_the_end(process: IsolatedProcess) -> None:
    with pytest.raises(ServiceError):
        process.call(("has", "sys"), LIMITS, module="pipeline.nothing_of_this_name")
    assert process.call(("has", "sys"), LIMITS)[0]


def test_a_lost_host_is_replaced(process: IsolatedProcess) -> None:
    _, worker = process.call(("count", None), LIMITS)
    psutil.Process(worker).parent().kill()  # type: ignore[union-attr]
    _wait_for(lambda: not psutil.pid_exists(worker), "a worker outlived its host")
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
    _wait_for(lambda: not worker_hosts("test_isolation"), "a host outlived its last client")


def test_those_of_a_group_share_a_host_and_nothing_else() -> None:
    first, second, other = (IsolatedProcess(f"{__name__}:FakeWorker", group) for group in ("a", "a", "b"))
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
    _wait_for(lambda: not psutil.pid_exists(host), "a host outlived its last client")


def test_many_may_begin_at_once() -> None:
    """None of them finds a host, and each starts one."""
    processes = [IsolatedProcess(f"{__name__}:FakeWorker", "crowd") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda process: process.call(("has", "sys"), LIMITS), processes))
    assert len({host for _, host, _ in found}) == 1
    assert len({worker for _, _, worker in found}) == 8
    for process in processes:
        process.close()


def test_clients_that_say_nothing_or_nonsense_hold_nobody_up() -> None:
    process = IsolatedProcess(f"{__name__}:FakeWorker")
    with closing(process):
        _, host, _ = process.call(("has", "sys"), LIMITS)
        name = psutil.Process(host).cmdline()[-1]
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(f"\0{name}")
            process.close_worker()
            assert process.call(("count", None), LIMITS)[0] == 1
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(f"\0{name}")
            rude.sendall(b"what?")
            with suppress(ConnectionResetError):
                assert rude.recv(1) == b""
        process.close_worker()
        assert process.call(("has", "sys"), LIMITS)[1] == host


def test_a_worker_dies_with_who_asked() -> None:
    """As a replica that is killed: its socket closes, the host ends, and the worker with it."""
    script = (
        "import os, signal, sys\n"
        "from pipeline.isolation.process import Ask, Cancellation, IsolatedProcess, WorkLimits\n"
        f"process = IsolatedProcess('{__name__}:FakeWorker')\n"
        "_, pid = process.call(('count', None), WorkLimits(5, 10**9))\n"
        "print(pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    worker = int(found.stdout)
    _wait_for(lambda: not psutil.pid_exists(worker), "a worker outlived who asked for its work")


def _wait_for(condition: Callable[[], bool], what_else: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what_else
        time.sleep(0.01)
