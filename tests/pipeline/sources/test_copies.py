"""Fingerprints, size limits and local copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import SourceChanged, SourceTooLarge, UnreadableVideo
from pipeline.sources.copies import LocalCopy, check_fingerprint, check_size, fingerprint_of
from pipeline.video.video_files import BlockFile


def test_parts_of_a_fingerprint_do_not_run_into_each_other() -> None:
    digests = {fingerprint_of(*parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc")]}
    assert len(digests) == 5
    assert fingerprint_of("a", "\udcff") == fingerprint_of("a", "\udcff")


def test_another_fingerprint_is_another_video() -> None:
    check_fingerprint("a", None, name="cat.mp4")
    check_fingerprint("a", "a", name="cat.mp4")
    with pytest.raises(SourceChanged, match=r"^cat\.mp4 is no longer"):
        check_fingerprint("a", "b", name="cat.mp4")


def test_sizes() -> None:
    check_size(1, 1, name="cat.mp4")
    with pytest.raises(SourceTooLarge, match=r"^cat\.mp4 has more than the 1 bytes"):
        check_size(2, 1, name="cat.mp4")
    with pytest.raises(UnreadableVideo, match=r"^cat\.mp4 is empty"):
        check_size(0, 1, name="cat.mp4")


def test_a_whole_file_is_read_as_it_is(tmp_path: Path) -> None:
    assert LocalCopy(tmp_path / "a", 1, "f").video == tmp_path / "a"


def test_blocks_need_what_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="blocks come with what fetches them"):
        _ = LocalCopy(BlockFile(tmp_path / "a", 1), 1, "f").video
