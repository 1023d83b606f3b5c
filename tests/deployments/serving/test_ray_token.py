"""The mode of Ray's token file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.serving.ray_token import keep_ray_token_private


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = os.umask(0)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("granted", [0o644, 0o664, 0o666, 0o640, 0o604])
def test_a_token_that_others_may_read_becomes_private(granted: int, home: Path) -> None:
    token = home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("token")
    token.chmod(granted)
    keep_ray_token_private()
    assert mode(token) == 0o600
    assert token.read_text() == "token"
    assert mode(token.parent) == 0o777, "the folder holds other files of Ray's"


def test_a_token_that_is_written_later_lies_in_a_private_folder(home: Path) -> None:
    keep_ray_token_private()
    assert mode(home / ".ray") == 0o700
    assert list((home / ".ray").iterdir()) == []


def test_a_private_token_and_one_elsewhere_are_left_alone(home: Path) -> None:
    token, elsewhere = home / ".ray" / "auth_token", home / "operators"
    token.parent.mkdir()
    token.touch(0o400)
    elsewhere.touch(0o644)
    keep_ray_token_private()
    assert (mode(token), mode(elsewhere)) == (0o400, 0o644)
    token.unlink()
    token.symlink_to(elsewhere)
    keep_ray_token_private()
    assert mode(elsewhere) == 0o644


def test_a_home_that_cannot_be_written_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "missing" / "home"))
    keep_ray_token_private()
