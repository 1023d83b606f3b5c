"""Files below the media roots can be read, and no others."""

import os
from pathlib import Path

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import (
    InvalidRequest,
    LongtakeError,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    SourceTooLarge,
    UnreadableVideo,
)
from pipeline.sources import VideoLibrary
from pipeline.types import LocalVideo


@pytest.fixture
def media(settings: SourceSettings) -> Path:
    """The media root, with files inside and tempting ones around it."""
    media = settings.media_roots[0]
    (media / "a.mp4").write_bytes(b"video")
    (media / "shows").mkdir()
    (media / "shows" / "b.mp4").write_bytes(b"longer video")
    (media / "empty.mp4").touch()
    (media / "inner_link.mp4").symlink_to(media / "shows" / "b.mp4")
    outside = media.parent / "media-secret"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"secret")
    (media / "link_out.mp4").symlink_to(outside / "secret.mp4")
    (media / "link_nowhere.mp4").symlink_to(outside / "missing.mp4")
    (media / "folder_out").symlink_to(outside)
    (media / "dangling.mp4").symlink_to(media / "gone.mp4")
    (media / "loop").symlink_to(media / "loop")
    (media / "zero").symlink_to("/dev/zero")
    os.mkfifo(media / "fifo")
    with (media / "sparse.mp4").open("wb") as file:
        file.truncate(2**40)
    return media


def refusal(settings: SourceSettings, path: str) -> LongtakeError:
    with pytest.raises(LongtakeError) as caught, VideoLibrary(settings).open(LocalVideo(path)):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("a.mp4", "a.mp4"),
        ("shows/../a.mp4", "a.mp4"),
        ("./shows//b.mp4", "shows/b.mp4"),
        ("inner_link.mp4", "shows/b.mp4"),
        ("{media}/a.mp4", "a.mp4"),
        ("{media}/../media/a.mp4", "a.mp4"),
    ],
)
def test_files_below_a_root_are_used_in_place(settings: SourceSettings, media: Path, path: str, real: str) -> None:
    with VideoLibrary(settings).open(LocalVideo(path.format(media=media))) as copy:
        assert copy.file == media / real
        assert copy.size_bytes == (media / real).stat().st_size


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/etc/passwd", SourceForbidden),
        ("/etc/no_such_file", SourceForbidden),
        ("/proc/self/environ", SourceForbidden),
        ("/dev/zero", SourceForbidden),
        ("..", SourceForbidden),
        (".", SourceForbidden),
        ("../media-secret/secret.mp4", SourceForbidden),
        ("../media-secret/missing.mp4", SourceForbidden),
        ("shows/../../media-secret/secret.mp4", SourceForbidden),
        ("{media}-secret/secret.mp4", SourceForbidden),
        ("link_out.mp4", SourceForbidden),
        ("link_nowhere.mp4", SourceForbidden),
        ("folder_out/secret.mp4", SourceForbidden),
        ("folder_out/missing.mp4", SourceForbidden),
        ("zero", SourceForbidden),
        ("fifo", SourceForbidden),
        ("shows", SourceForbidden),
        ("loop", SourceForbidden),
        ("missing.mp4", SourceNotFound),
        ("dangling.mp4", SourceNotFound),
        ("a.mp4/x", SourceNotFound),
        ("%2e%2e/media-secret/secret.mp4", SourceNotFound),
        ("..\\media-secret\\secret.mp4", SourceNotFound),
        ("file:///etc/passwd", SourceNotFound),
        ("concat:a.mp4|/etc/passwd", SourceNotFound),
        ("http://127.0.0.1/a.mp4", SourceNotFound),
        ("~/a.mp4", SourceNotFound),
        ("x" * 5000, SourceNotFound),
        ("", InvalidRequest),
        ("a.mp4\0.png", InvalidRequest),
        ("empty.mp4", UnreadableVideo),
        ("sparse.mp4", SourceTooLarge),
    ],
)
@pytest.mark.timeout(5)
def test_refused_paths(settings: SourceSettings, media: Path, path: str, error: type[LongtakeError]) -> None:
    refused = refusal(settings, path.format(media=media))
    assert type(refused) is error
    assert refused.param == "video_path"
    if "{media}" not in path:
        assert str(media.parent) not in refused.message


def test_outside_tells_nothing_about_existence(settings: SourceSettings, media: Path) -> None:
    there = refusal(settings, "../media-secret/secret.mp4").message
    missing = refusal(settings, "../media-secret/absent.mp4").message
    assert there.replace("secret.mp4", "") == missing.replace("absent.mp4", "")
    assert "media_roots" in there


def test_no_roots_allow_nothing(settings: SourceSettings, media: Path) -> None:
    closed = settings.model_copy(update={"media_roots": ()})
    assert type(refusal(closed, "a.mp4")) is SourceForbidden
    assert type(refusal(closed, str(media / "a.mp4"))) is SourceForbidden


def test_relative_path_is_tried_below_each_root(settings: SourceSettings, media: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    both = settings.model_copy(update={"media_roots": (first, media)})
    with VideoLibrary(both).open(LocalVideo("a.mp4")) as copy:
        assert copy.file == media / "a.mp4"


def test_root_may_itself_be_a_link(settings: SourceSettings, media: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(media)
    aliased = settings.model_copy(update={"media_roots": (tmp_path / "alias",)})
    with VideoLibrary(aliased).open(LocalVideo(str(tmp_path / "alias" / "a.mp4"))) as copy:
        assert copy.file == media / "a.mp4"


def test_fingerprint_follows_the_file(settings: SourceSettings, media: Path) -> None:
    library = VideoLibrary(settings)
    with library.open(LocalVideo("a.mp4")) as copy:
        first = copy.fingerprint
    with library.open(LocalVideo("shows/../a.mp4"), first) as copy:
        assert copy.fingerprint == first
    (media / "a.mp4").write_bytes(b"other")
    with pytest.raises(SourceChanged, match=r"a\.mp4 is no longer"), library.open(LocalVideo("a.mp4"), first):
        pass
