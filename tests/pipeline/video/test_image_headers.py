"""Read the kind and size of an image from its headers, and reject unsupported images."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.video.image_headers import ImageHeader, ImageRefused, image_header
from tests.images import drawn, encoded

ORIENTATION = Image.ExifTags.Base.Orientation
JPEG, PNG = encoded(drawn(1)), encoded(drawn(1), "PNG")


def exif_of(orientation: int, *, is_big_endian: bool = True) -> bytes:
    """Exif data with one more tag before the orientation."""
    order = "big" if is_big_endian else "little"
    entries = [(0x0100, 640), (ORIENTATION, orientation)]
    body = b"".join(
        tag.to_bytes(2, order) + (3).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(2, order) + bytes(2)
        for tag, value in entries
    )
    mark = b"MM\0\x2a" if is_big_endian else b"II\x2a\0"
    return mark + (8).to_bytes(4, order) + len(entries).to_bytes(2, order) + body + bytes(4)


def with_exif(exif: bytes) -> bytes:
    """The JPEG with Exif data in front."""
    payload = b"Exif\0\0" + exif
    return JPEG[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + JPEG[2:]


@pytest.mark.parametrize(
    ("image", "header"),
    [
        (JPEG, ImageHeader("mjpeg", 192, 128)),
        (encoded(drawn(1, 64, 32), progressive=True), ImageHeader("mjpeg", 64, 32)),
        (encoded(drawn(1).convert("L")), ImageHeader("mjpeg", 192, 128)),
        (encoded(drawn(1).convert("CMYK")), ImageHeader("mjpeg", 192, 128)),
        (encoded(drawn(1), comment=b"x" * 60_000, icc_profile=bytes(100_000)), ImageHeader("mjpeg", 192, 128)),
        (PNG, ImageHeader("png", 192, 128)),
        (encoded(drawn(1, 33, 17).convert("P"), "PNG"), ImageHeader("png", 33, 17)),
    ],
    ids=["baseline", "progressive", "grey", "CMYK", "large metadata", "PNG", "palette"],
)
def test_kind_and_size_are_read(image: bytes, header: ImageHeader) -> None:
    assert image_header(image) == header
    opened = Image.open(io.BytesIO(image))
    assert opened.size == (header.width_px, header.height_px)


def test_filling_between_segments_is_allowed() -> None:
    assert image_header(JPEG[:2] + b"\xff\xff\xff" + JPEG[2:]) == ImageHeader("mjpeg", 192, 128)


@pytest.mark.parametrize("is_big_endian", [True, False])
def test_an_image_to_be_turned_is_refused(is_big_endian: bool) -> None:
    for orientation in range(2, 9):
        exif = exif_of(orientation, is_big_endian=is_big_endian)
        with pytest.raises(ImageRefused, match=rf"orientation {orientation}\)"):
            image_header(with_exif(exif))
    assert image_header(with_exif(exif_of(1, is_big_endian=is_big_endian))).codec == "mjpeg"


@pytest.mark.parametrize("exif", [b"", b"MM", b"XX\0\x2a" + bytes(20), exif_of(6)[:12], b"MM\0\x2a\xff\xff\xff\xff"])
def test_exif_data_that_says_nothing_turns_nothing(exif: bytes) -> None:
    assert image_header(with_exif(exif)).codec == "mjpeg"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"GIF89a" + bytes(20), "is not a JPEG or PNG image"),
        (JPEG[:100], "a JPEG that is damaged, or cut off before its picture"),
        (PNG[:20], "a PNG without a header"),
        (encoded(drawn(1).convert("RGBA"), "PNG"), "a PNG with transparency"),
        (encoded(Image.new("I;16", (8, 8)), "PNG"), "a PNG of 16 bits a sample"),
    ],
    ids=["GIF", "cut-off JPEG", "cut-off PNG", "transparent", "16 bits"],
)
def test_a_refusal_goes_on_from_the_images_name(image: bytes, words: str) -> None:
    with pytest.raises(ImageRefused, match=f"^is {words.removeprefix('is ')}"):
        image_header(image)


@given(st.sampled_from([JPEG, PNG]), st.integers(0, 400), st.binary(max_size=8))
def test_damage_is_refused_or_harmless(image: bytes, place: int, damage: bytes) -> None:
    damaged = image[:place] + damage + image[place + len(damage) :]
    with suppress(ImageRefused):  # and nothing else is raised
        header = image_header(damaged)
        assert header.width_px > 0 and header.height_px > 0
