"""The dataclasses that are stored, as JSON: field by field, never pickled, so that a database can run no code."""

from __future__ import annotations

import json
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from pipeline.store.records import AnalysisAbout, StoredJob
from pipeline.types import ChunkAnswer

Document = TypeVar("Document")


class _Documents(Generic[Document]):
    """Fields that a later release adds need a default: then what an earlier one wrote can still be read."""

    def __init__(self, adapter: TypeAdapter[Document]) -> None:
        self._adapter = adapter

    def dump(self, document: Document) -> str:
        # Not dump_json: it makes null of a log probability of -inf.
        return json.dumps(self._adapter.dump_python(document, mode="json"))

    def load(self, text: str) -> Document:
        return self._adapter.validate_python(json.loads(text))


ABOUTS = _Documents(TypeAdapter(AnalysisAbout))
JOBS = _Documents(TypeAdapter(StoredJob))
CHUNK_ANSWERS = _Documents(TypeAdapter(ChunkAnswer))
