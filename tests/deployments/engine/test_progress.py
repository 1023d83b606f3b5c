"""When an engine counts as stalled."""

from __future__ import annotations

from deployments.engine.progress import Progress


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_idle_engine_is_never_stalled() -> None:
    clock = Clock()
    progress = Progress(clock)
    clock.seconds += 3600
    assert progress.stalled_seconds == 0


def test_the_time_counts_from_the_first_request_and_from_each_step() -> None:
    clock = Clock()
    progress = Progress(clock)
    clock.seconds += 3600
    with progress.working():
        assert progress.stalled_seconds == 0
        clock.seconds += 20
        assert progress.stalled_seconds == 20
        progress.step()
        assert progress.stalled_seconds == 0
        clock.seconds += 5
        assert progress.stalled_seconds == 5
    assert progress.stalled_seconds == 0


def test_requests_that_keep_coming_do_not_hide_a_stalled_engine() -> None:
    clock = Clock()
    progress = Progress(clock)
    with progress.working():
        for _ in range(10):
            clock.seconds += 3
            with progress.working():
                clock.seconds += 1
        assert progress.stalled_seconds == 40
