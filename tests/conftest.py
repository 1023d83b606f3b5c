"""Fixtures that all tests share, and which tests run on which of pytest-xdist's workers.

Nothing here starts Ray or needs the network, unless a test asks for the running graph.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.clips import BrokenFiles, ClipFolder
from tests.postgresql import postgresql_server
from tests.worker_hosts import TEST_RUN

if TYPE_CHECKING:
    from tests.graph.running import RunningGraph

# The gate gives the same result twice, and cores are shared: the time of one example means nothing.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gate")

OWN_SERVERS, GRAPH = "own_servers", "graph"
"""Markers, and names of groups: a worker runs one whole group after the other."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of the running graph by their fixture, and order all tests by what they start.

    One process connects to one Ray instance at a time, and the running graph lives until the session ends. So tests
    with servers of their own come before it. With pytest-xdist the two long groups start first, each on a worker; the
    other tests, in groups by file, fill the worker that ends first. Without it the running graph comes last.
    """
    for item in items:
        if "graph" in getattr(item, "fixturenames", ()):
            item.add_marker(GRAPH)
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    has_workers = "PYTEST_XDIST_WORKER" in os.environ
    order = (OWN_SERVERS, GRAPH, "") if has_workers else (OWN_SERVERS, "", GRAPH)
    items.sort(key=lambda item: order.index(_start(item)))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what imports and collection leave behind: it would look at millions of objects."""
    gc.freeze()


def _start(item: pytest.Item) -> str:
    """The marker that says what `item` starts; empty if it is pure."""
    return next((name for name in (OWN_SERVERS, GRAPH) if item.get_closest_marker(name)), "")


def _group(item: pytest.Item) -> str:
    return _start(item) or item.nodeid.partition("::")[0]


@pytest.fixture(scope="session", autouse=True)
def _our_test_run() -> None:
    """All that a test starts inherits it."""
    os.environ[TEST_RUN] = str(os.getpid())


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    """The whole graph, started once for all tests that only ask it something."""
    from tests.graph.running import running_graph  # Ray, moto and an encoder: seconds for tests that need none

    with running_graph(tmp_path_factory.mktemp("graph")) as graph:
        yield graph


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipFolder:
    """The videos of `tests/clips.py`, each made when it is first asked for."""
    return ClipFolder(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server, which ends with the tests."""
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def broken_files(clips: ClipFolder) -> BrokenFiles:
    """Files that are no whole videos."""
    return BrokenFiles(clips)
