"""Objects in S3 and in stores that speak its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as StoreConnectionError

from pipeline.config import SourceSettings
from pipeline.errors import (
    InvalidRequest,
    SourceChanged,
    SourceError,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
)
from pipeline.sources.remote.retries import (
    Deadline,
    RetryBudgets,
    TransientFailure,
    is_transient,
    retry,
    retry_after_seconds,
)
from pipeline.sources.remote.transfers import Body, RemoteVersion
from pipeline.types import S3Video

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

_BLOCK_BYTES = 1024**2
_SLOW_REQUEST = "RequestTimeout"
"""The code of a 400 response for a connection that was too slow."""


def s3_client(settings: SourceSettings, *, max_attempts: int) -> S3Client:
    """A client with the operator's endpoint and timeouts. Credentials come from boto3's own chain.

    With several attempts, botocore retries in its standard mode, with its own budget and jitter. It knows neither our
    deadline nor `Retry-After`, and its budget covers this client alone, so `S3Origin` retries by itself.

    A new client may request credentials from the cloud's metadata service, so callers create it when they first need
    S3.
    """
    config = Config(
        connect_timeout=settings.connect_timeout_seconds,
        read_timeout=settings.read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        # Since botocore 1.36 uploads carry CRC trailers by default, which other stores may refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of its own: boto3's default session is not safe across threads.
    return boto3.session.Session().client(
        "s3", endpoint_url=settings.s3_endpoint_url, region_name=settings.s3_region, config=config
    )


class S3Origin:
    """An `Origin` for one object. `client` makes single attempts; `name` identifies the object in messages."""

    def __init__(self, client: S3Client, video: S3Video, budgets: RetryBudgets, *, name: str) -> None:
        self.name = name
        self.retry_budget = budgets.of(client.meta.endpoint_url)
        self.location = str(video)
        self._client = client
        self._video = video

    def version(self, deadline: Deadline) -> RemoteVersion:
        return retry(self._ask_version, name=self.name, deadline=deadline, budget=self.retry_budget)

    def _ask_version(self) -> RemoteVersion:
        with translated_errors(self.name), _transient_failures():
            head = self._client.head_object(Bucket=self._video.bucket, Key=self._video.key)
        return RemoteVersion(head["ETag"], head["ContentLength"], accepts_ranges=True)

    @contextmanager
    def body(
        self, version: RemoteVersion, offset: int, deadline: Deadline, *, stop: int | None = None
    ) -> Iterator[Body]:
        deadline.check(self.name)
        request: GetObjectRequestTypeDef = {
            "Bucket": self._video.bucket,
            "Key": self._video.key,
            "IfMatch": version.validator,
        }
        if offset or stop is not None:
            request["Range"] = f"bytes={offset}-{'' if stop is None else stop - 1}"
        with translated_errors(self.name), _transient_failures():
            stream = self._client.get_object(**request)["Body"]
        try:
            yield Body(offset, stream.iter_chunks(_BLOCK_BYTES))
        except BotoCoreError as error:
            raise TransientFailure("broke off") from error
        finally:
            stream.close()


@contextmanager
def translated_errors(name: str) -> Iterator[None]:
    """The one place that translates errors of boto3."""
    try:
        yield
    except ClientError as error:
        raise _refused(error, name) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SourceForbidden(
            f"{name} cannot be read: the server has no S3 credentials. Have the operator set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the server a role."
        ) from error
    except ParamValidationError as error:
        raise InvalidRequest(f"{name} is not a valid S3 location. Use s3://bucket/key.") from error
    except BotoCoreError as error:
        raise SourceUnavailable(f"{name} cannot be read: the S3 store does not answer. Try again later.") from error


@contextmanager
def _transient_failures() -> Iterator[None]:
    """Raise TransientFailure for the errors after which botocore's own modes would retry."""
    try:
        yield
    except ClientError as error:
        status = _status(error)
        if not is_transient(status) and error.response.get("Error", {}).get("Code") != _SLOW_REQUEST:
            raise
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        raise TransientFailure(
            f"was refused by the S3 store with status {status}",
            retry_after_seconds=retry_after_seconds(headers.get("retry-after", "")),
        ) from error
    except (StoreConnectionError, HTTPClientError) as error:
        raise TransientFailure("cannot be read: the S3 store did not answer") from error


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)


def _refused(error: ClientError, name: str) -> SourceError:
    status = _status(error)
    if status == 404:
        return SourceNotFound(f"{name} does not exist in the S3 store. Check bucket and key.")
    if status in (401, 403):
        return SourceForbidden(
            f"{name} may not be read with the server's S3 credentials, or does not exist. Check the name, "
            "have the operator allow it, or send a presigned https URL."
        )
    if status == 412:
        return SourceChanged(f"{name} changed while it was being copied. Try again when it is complete.")
    return SourceUnavailable(f"{name} cannot be read: the S3 store answered {status}. Try again later.")
