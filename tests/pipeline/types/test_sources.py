"""Names of S3 objects."""

from __future__ import annotations

import pytest

from pipeline.errors import InvalidRequest
from pipeline.types import S3Video


@pytest.mark.parametrize("bucket", ["arn:aws:s3:us-east-1:123456789012:accesspoint/x", "UP", "ab", "", "a" * 64, "a_b"])
def test_malformed_buckets_are_refused(bucket: str) -> None:
    with pytest.raises(InvalidRequest, match="The S3 bucket has no valid name"):
        S3Video(bucket, "a")


def test_a_pasted_query_is_not_public() -> None:
    video = S3Video("videos", "a b.mp4?X-Amz-Signature=canary")
    assert video.public_name == "s3://videos/a b.mp4"
    assert str(video) == "s3://videos/a b.mp4?X-Amz-Signature=canary"
