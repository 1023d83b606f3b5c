"""A stuck event loop answers no health check; a free one does."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from deployments.serving.event_loops import EventLoopHealth


@pytest.mark.parametrize("is_stuck", [False, True])
def test_the_check_returns_only_on_a_free_loop(is_stuck: bool) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    if is_stuck:
        loop.call_soon_threadsafe(time.sleep, 1.0)
    check = asyncio.run_coroutine_threadsafe(EventLoopHealth().check_health(), loop)
    if is_stuck:
        with pytest.raises(TimeoutError):
            check.result(0.2)
    assert check.result(20) is None
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
