"""What all tests share. Nothing here starts Ray or needs the network."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.clips import BrokenFiles, ClipFolder
from tests.postgresql import postgresql_server
from tests.worker_hosts import TEST_RUN

# A gate says the same twice, and cores are shared: the time one example takes means nothing.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gate")


@pytest.fixture(scope="session", autouse=True)
def _our_test_run() -> None:
    """All that a test starts inherits it."""
    os.environ[TEST_RUN] = str(os.getpid())


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
