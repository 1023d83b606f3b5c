"""Fixtures that all tests share, and which tests run on which of pytest-xdist's workers.

Nothing here starts Ray or needs the network, unless a test asks for the running graph.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

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

ROOT = Path(__file__).parents[1]
OWN_SERVERS, GRAPH = "own_servers", "graph"
"""Markers, and names of groups: one worker runs all tests of a group, one after the other."""
GROUPS = {
    "tests/deployments/engine/test_engine.py": OWN_SERVERS,
    "tests/deployments/serving/test_chunk_affinity.py": OWN_SERVERS,
    "tests/multi_node/test_engine_across_nodes.py": OWN_SERVERS,
    "tests/graph": GRAPH,
    "tests/multi_node/test_labels.py": GRAPH,
    "tests/truth/test_truth.py": GRAPH,
}
"""The group of a file or folder. Each other file is a group of its own."""
PROCESSES = "processes"
STARTING_PROCESSES = (
    "tests/benchmarks",
    "tests/deployments/engine",
    "tests/deployments/jobs/test_killed_runners.py",
    "tests/deployments/serving/test_local_server.py",
    "tests/deployments/test_frame_decoder.py",
    "tests/longtake/commands",
    "tests/longtake/test_cli.py",
    "tests/longtake/test_package.py",
    "tests/pipeline/decoding/test_disposable_pictures.py",
    "tests/pipeline/decoding/test_ffmpeg_errors.py",
    "tests/pipeline/decoding/test_isolated_backends.py",
    "tests/pipeline/decoding/test_torchcodec_decoder.py",
    "tests/pipeline/decoding/test_worker.py",
    "tests/pipeline/isolation",
    "tests/pipeline/sources/remote/test_node_cache.py",
    "tests/pipeline/sources/remote/test_s3_objects.py",
    "tests/pipeline/store/test_migrating.py",
    "tests/pipeline/video/test_isolated_probing.py",
    "tests/pipeline/video/test_video_files.py",
    "tests/test_layering.py",
    "tests/truth/test_clips.py",
)
"""Files and folders of tests that start processes or import vLLM: half of the time of all tests without a graph."""
SERVICES = {"s3", "postgresql"}
"""Parameters by which tests run on a service that they start."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they start or ask, and order them.

    One process connects to one Ray instance at a time, and the running graph lives until the session ends. So tests
    with servers of their own come before it. With pytest-xdist the two long groups start first, each on a worker; the
    other tests fill the worker that ends first. Without it the running graph comes last.
    """
    if missing := [path for path in (*GROUPS, *STARTING_PROCESSES) if not (ROOT / path).exists()]:
        raise pytest.UsageError(f"tests/conftest.py lists {', '.join(missing)}, which do not exist.")
    for item in items:
        if _starts_processes(item):
            item.add_marker(PROCESSES)
        if "running_graph" in getattr(item, "fixturenames", ()):
            item.add_marker(GRAPH)
    order = (OWN_SERVERS, GRAPH, "") if "PYTEST_XDIST_WORKER" in os.environ else (OWN_SERVERS, "", GRAPH)
    items.sort(key=lambda item: order.index(_long_group(item)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope`, distribute the groups above.

    `--dist loadgroup` would read them from marks, but pytest-xdist 3.8 cannot name groups in the ids of pytest 9.2.
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return _group_of(path) or path

    return Groups(config, log)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what imports and collection leave behind: it would look at millions of objects."""
    gc.freeze()


def _long_group(item: pytest.Item) -> str:
    """OWN_SERVERS, GRAPH or nothing, by the item's markers; `GROUPS` must agree, which knows the path alone."""
    group = next((name for name in (OWN_SERVERS, GRAPH) if item.get_closest_marker(name)), "")
    path = item.nodeid.partition("::")[0]
    if group and group != _group_of(path):
        raise pytest.UsageError(f"{path} has tests marked {group!r}: list it in GROUPS of tests/conftest.py.")
    return group


def _starts_processes(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec else ()
    is_listed = any(path in STARTING_PROCESSES for path in _with_parents(item.nodeid.partition("::")[0]))
    return is_listed or any(value in SERVICES for value in parameters if isinstance(value, str))


def _group_of(path: str) -> str:
    return next((GROUPS[parent] for parent in _with_parents(path) if parent in GROUPS), "")


def _with_parents(path: str) -> tuple[str, ...]:
    return (path, *map(str, PurePosixPath(path).parents))


@pytest.fixture(scope="session", autouse=True)
def _our_test_run() -> None:
    """All that a test starts inherits it."""
    os.environ[TEST_RUN] = str(os.getpid())


@pytest.fixture(scope="session")
def running_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    """The whole graph, started once for all tests that only ask it something."""
    from tests.graph.running import run_graph  # Ray, moto and an encoder: seconds for tests that need none

    with run_graph(tmp_path_factory.mktemp("graph")) as graph:
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
