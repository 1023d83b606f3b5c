"""Sources of videos."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.errors import InvalidRequest
from pipeline.types.http_url import HttpUrl


@dataclass(frozen=True)
class LocalVideo:
    """A file on the server, below one of the configured media roots."""

    path: str


@dataclass(frozen=True)
class HttpVideo:
    """A video behind an http or https URL."""

    url: HttpUrl


@dataclass(frozen=True)
class S3Video:
    """An object in S3, or in a store that speaks its protocol. Raises InvalidRequest for a malformed bucket name."""

    bucket: str
    key: str

    def __post_init__(self) -> None:
        # An ARN instead of a name leads to other hosts and accounts.
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", self.bucket):
            raise InvalidRequest(
                "The S3 bucket has no valid name. Use s3://bucket/key with 3 to 63 lowercase letters, digits, "
                "dots and hyphens for the bucket."
            )

    @property
    def public_name(self) -> str:
        """What messages may show. It ends at a question mark, in case the client pasted a presigned URL's query."""
        return f"s3://{self.bucket}/{self.key.partition('?')[0]}"

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class StoredVideo:
    """A file that a client uploaded, kept in the upload store."""

    file_id: str
    is_frame_list: bool = False
    """Whether it was made of images that the client chose. All of them are sampled unless the request sets a rate."""


VideoSource = LocalVideo | HttpVideo | S3Video | StoredVideo
