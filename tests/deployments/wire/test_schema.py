"""The base class of bodies documents their fields."""

from __future__ import annotations

from deployments.wire.schema import Schema


class Body(Schema):
    time: float
    """Seconds from the first frame."""


def test_docstrings_below_fields_are_their_descriptions() -> None:
    assert Body.model_json_schema()["properties"]["time"]["description"] == "Seconds from the first frame."
