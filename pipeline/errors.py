"""Every error that Longtake raises on purpose.

LongtakeError
├── InvalidRequest              a parameter is wrong, or two of them contradict each other
│   ├── UnknownModel            the named model is not the one being served
│   ├── AnalysisNotFound        no stored analysis has this id, or it was deleted
│   ├── AnalysisNotCompleted    the stored analysis has no answer: it has not ended, or failed, or was cancelled
│   └── IdempotencyConflict     an Idempotency-Key was already used for another request
├── SourceError                 the bytes of the video are not available
│   ├── SourceNotFound          no such file, object, upload or host
│   ├── SourceForbidden         the operator's settings do not allow this place
│   ├── SourceTooLarge          more bytes than the operator allows
│   ├── UploadStoreFull         no room for this upload within the operator's quota
│   ├── UploadConflict          a resumable upload has another offset than the client sent, or is being written to
│   ├── SourceUnavailable       the origin failed or did not answer in time
│   └── SourceChanged           the bytes are no longer those of the plan
├── VideoError                  the bytes are not a usable video
│   ├── UnsupportedMedia        not a video, or a container or codec that is not allowed
│   ├── UnreadableVideo         a video that is damaged, truncated or empty
│   ├── VideoTooLong            longer, or with more pixels, than the operator allows
│   └── DecodeFailed            the frames of one chunk could not be decoded
└── ServiceError                Longtake's own side failed
    ├── EngineFailed            the engine refused or lost this generation
    ├── EngineDied              the engine's process ended; its replica must be replaced
    ├── EngineBusy              the queue is as long as the operator allows; the client may retry
    ├── ReplicaLost             a replica died and the retries are used up
    ├── RequestPoisoned         two replicas died of this request; it is not tried on a third
    ├── DeadlineExceeded        the work did not finish in time
    ├── StoreFailed             the database of analyses failed or does not respond
    └── LeaseLost               another runner has taken over the stored analysis

A message says what the server got, what it allows and what to do. `param` names the request field at fault. Messages
reach the client unchanged, so they carry no host path, address, secret or traceback.
"""

from __future__ import annotations

import re

from pipeline.unicode import encodable


class LongtakeError(Exception):
    """Base of all errors here.

    `param` has a default so that every class survives pickling across a Serve handle: required extra arguments of
    `__init__` do not (they arrive as ray's UnserializableException).

    Lone surrogates in the texts become escapes: Ray encodes an exception's text as UTF-8, and a worker dies if it
    cannot.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.message = encodable(message)
        self.param = None if param is None else encodable(param)
        super().__init__(self.message)

    @classmethod
    def type_name(cls) -> str:
        """The class name as clients see it: `SourceNotFound` is `source_not_found`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


class InvalidRequest(LongtakeError):
    pass


class UnknownModel(InvalidRequest):
    pass


class AnalysisNotFound(InvalidRequest):
    pass


class AnalysisNotCompleted(InvalidRequest):
    pass


class IdempotencyConflict(InvalidRequest):
    pass


class SourceError(LongtakeError):
    pass


class SourceNotFound(SourceError):
    pass


class SourceForbidden(SourceError):
    pass


class SourceTooLarge(SourceError):
    pass


class UploadStoreFull(SourceError):
    pass


class UploadConflict(SourceError):
    pass


class SourceUnavailable(SourceError):
    pass


class SourceChanged(SourceError):
    pass


class VideoError(LongtakeError):
    pass


class UnsupportedMedia(VideoError):
    pass


class UnreadableVideo(VideoError):
    pass


class VideoTooLong(VideoError):
    pass


class DecodeFailed(VideoError):
    pass


class ServiceError(LongtakeError):
    pass


class EngineFailed(ServiceError):
    pass


class EngineDied(ServiceError):
    pass


class EngineBusy(ServiceError):
    pass


class ReplicaLost(ServiceError):
    pass


class RequestPoisoned(ServiceError):
    pass


class DeadlineExceeded(ServiceError):
    pass


class StoreFailed(ServiceError):
    pass


class LeaseLost(ServiceError):
    pass
