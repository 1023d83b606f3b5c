"""What a remote object is, and copying one whole, for every protocol alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pipeline.errors import SourceChanged
from pipeline.sources.copies import check_size
from pipeline.sources.remote.attempts import Deadline, RetryBudget, retry


@dataclass(frozen=True)
class RemoteVersion:
    """Which bytes an origin offers at the moment."""

    validator: str
    """The ETag, or the Last-Modified where there is none; empty when there is neither."""
    size_bytes: int | None
    accepts_ranges: bool = False
    """Whether parts of it can be asked for."""

    @property
    def can_be_cut(self) -> bool:
        """Whether it can be had in parts of which each is known to belong to the same version."""
        return self.accepts_ranges and bool(self.validator) and self.size_bytes is not None

    def agrees_with(self, other: RemoteVersion) -> bool:
        sizes = {self.size_bytes, other.size_bytes} - {None}
        return self.validator == other.validator and len(sizes) < 2


@dataclass(frozen=True)
class Body:
    """The bytes of an object from `start` on, at least as far as was asked for. An origin that cannot resume starts at
    0 again.
    """

    start: int
    blocks: Iterator[bytes]


class Origin(Protocol):
    """One remote object. Its methods raise SourceErrors, and TransientFailure only from `body`."""

    @property
    def name(self) -> str:
        """For messages: no secrets."""

    @property
    def location(self) -> str:
        """In full, with any secrets: only to be hashed."""

    @property
    def retry_budget(self) -> RetryBudget:
        """Of its host."""

    def version(self, deadline: Deadline) -> RemoteVersion: ...

    def body(
        self, version: RemoteVersion, offset: int, deadline: Deadline, *, stop: int | None = None
    ) -> AbstractContextManager[Body]:
        """The bytes from `offset` on, up to `stop` where it is given."""


@dataclass(frozen=True)
class CountedOrigin:
    """`origin`, with the bytes of its bodies told to `on_fetched` as they come."""

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
    """Writes the object into `file`, block by block; goes on after a break where the origin allows it.

    Raises SourceUnavailable, SourceTooLarge, SourceChanged, UnreadableVideo when it is empty.
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
        raise changed_meanwhile(origin.name)


def changed_meanwhile(name: str) -> SourceChanged:
    return SourceChanged(f"{name} changed while it was being copied. Try again when it is complete.")
