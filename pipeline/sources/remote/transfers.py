"""The interface of a remote object, and copying one as a whole over any protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pipeline.errors import SourceChanged
from pipeline.sources.copies import check_size
from pipeline.sources.remote.retries import Deadline, RetryBudget, retry


@dataclass(frozen=True)
class RemoteVersion:
    """Identifies the bytes that an origin currently serves."""

    validator: str
    """The ETag, else the Last-Modified, else empty."""
    size_bytes: int | None
    accepts_ranges: bool = False
    """Whether the origin serves byte ranges."""

    @property
    def can_be_cut(self) -> bool:
        """Whether its parts can be fetched separately and still be known to belong to the same version."""
        return self.accepts_ranges and bool(self.validator) and self.size_bytes is not None

    def agrees_with(self, other: RemoteVersion) -> bool:
        sizes = {self.size_bytes, other.size_bytes} - {None}
        return self.validator == other.validator and len(sizes) < 2


@dataclass(frozen=True)
class Body:
    """The bytes of an object from `start` on, at least to the requested stop. An origin that cannot resume starts at 0
    again.
    """

    start: int
    blocks: Iterator[bytes]


class Origin(Protocol):
    """One remote object. Its methods raise SourceErrors; `body` alone also raises TransientFailure."""

    @property
    def name(self) -> str:
        """Identifies the object in messages; free of secrets."""

    @property
    def location(self) -> str:
        """The full location, secrets included: for hashing only."""

    @property
    def retry_budget(self) -> RetryBudget:
        """The budget of its host."""

    def version(self, deadline: Deadline) -> RemoteVersion: ...

    def body(
        self, version: RemoteVersion, offset: int, deadline: Deadline, *, stop: int | None = None
    ) -> AbstractContextManager[Body]:
        """The bytes from `offset` to `stop`, or to the end."""


@dataclass(frozen=True)
class CountedOrigin:
    """`origin`, reporting the bytes of its bodies to `on_fetched` as they arrive."""

    origin: Origin
    on_fetched: Callable[[int], None]

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def location(self) -> str:
        return self.origin.location

    @property
    def retry_budget(self) -> RetryBudget:
        return self.origin.retry_budget

    def version(self, deadline: Deadline) -> RemoteVersion:
        return self.origin.version(deadline)

    @contextmanager
    def body(
        self, version: RemoteVersion, offset: int, deadline: Deadline, *, stop: int | None = None
    ) -> Iterator[Body]:
        with self.origin.body(version, offset, deadline, stop=stop) as body:
            yield Body(body.start, self._counted(body.blocks))

    def _counted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.on_fetched(len(block))
            yield block


def copy_body(origin: Origin, version: RemoteVersion, file: BinaryIO, max_bytes: int, deadline: Deadline) -> None:
    """Write the object into `file`, block by block. A broken transfer resumes if the origin allows it.

    Raises SourceUnavailable, SourceTooLarge, SourceChanged, and UnreadableVideo for an empty object.
    """

    def attempt() -> None:
        with origin.body(version, file.tell(), deadline) as body:
            file.seek(body.start)
            file.truncate()
            for block in body.blocks:
                file.write(block)
                check_size(file.tell(), max_bytes, name=origin.name)
                deadline.check(origin.name)

    retry(attempt, name=origin.name, deadline=deadline, budget=origin.retry_budget)
    check_size(file.tell(), max_bytes, name=origin.name)
    if version.size_bytes not in (None, file.tell()):
        raise changed_in_transfer(origin.name)


def changed_in_transfer(name: str) -> SourceChanged:
    return SourceChanged(f"{name} changed while it was being copied. Try again when it is complete.")
