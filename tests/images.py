"""Single images for tests, each showing its number."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from tests.clips import picture

WIDTH, HEIGHT = 192, 128


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(number: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return Image.fromarray(picture(number, width, height))


def jpegs(count: int) -> list[bytes]:
    return [encoded(drawn(number)) for number in range(count)]
