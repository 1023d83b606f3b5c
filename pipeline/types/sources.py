"""Where a video comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalVideo:
    """A file on the server, below one of the configured media roots."""

    path: str


@dataclass(frozen=True)
class HttpVideo:
    """A video behind an http or https URL."""

    url: str


@dataclass(frozen=True)
class S3Video:
    """An object in S3 or in a store that speaks its protocol."""

    bucket: str
    key: str


@dataclass(frozen=True)
class StoredVideo:
    """A file that a client sent earlier, kept in the upload store."""

    file_id: str
    is_frame_list: bool = False
    """Whether it was made of images that a client chose: all are looked at where no rate is asked for."""


VideoSource = LocalVideo | HttpVideo | S3Video | StoredVideo
