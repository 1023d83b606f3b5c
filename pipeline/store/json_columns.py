"""Values stored as JSON text. Nothing is pickled, so that reading a database runs no code."""

from __future__ import annotations

import json
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from pipeline.errors import LongtakeError
from pipeline.store.records import AnalysisAbout, AnalysisFailure, StoredJob
from pipeline.types import ChunkAnswer
from pipeline.unicode import encodable_json

Value = TypeVar("Value")


UNREADABLE = (ValueError, TypeError, RecursionError, LongtakeError)
"""What the values of a damaged row raise, or those of a row that another release wrote."""


class _JsonColumn(Generic[Value]):
    """Converts values of one type. Fields added in a later release need a default, so that old rows still load."""

    def __init__(self, adapter: TypeAdapter[Value]) -> None:
        self._adapter = adapter

    def dump(self, value: Value) -> str:
        # Not dump_json: it turns a log probability of -inf into null.
        return json.dumps(self._adapter.dump_python(value, mode="json"))

    def load(self, text: str) -> Value:
        """Return the stored value. Raises UNREADABLE.

        Lone surrogates come back as escapes: earlier releases stored some, and no response can hold them.
        """
        return self._adapter.validate_python(encodable_json(json.loads(text)))

    def load_optional(self, text: str | None) -> Value | None:
        return None if text is None else self.load(text)


ABOUTS = _JsonColumn(TypeAdapter(AnalysisAbout))
JOBS = _JsonColumn(TypeAdapter(StoredJob))
FAILURES = _JsonColumn(TypeAdapter(AnalysisFailure))
CHUNK_ANSWERS = _JsonColumn(TypeAdapter(ChunkAnswer))
TEXTS = _JsonColumn(TypeAdapter(str))
"""Text that may hold NUL characters, which PostgreSQL's text columns reject."""
