"""JSON to dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from longtake import ServerError
from longtake.parsing import parsed


@dataclass(frozen=True)
class Inner:
    seconds: float


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    spans: tuple[tuple[float, float], ...] = ()
    inners: tuple[Inner, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)


def test_nested_values() -> None:
    data = {"name": "a", "inner": {"seconds": 1}, "spans": [[0, 1], [2, 3]], "inners": [{"seconds": 2.5}]}
    outer = parsed(Outer, data)
    assert outer == Outer("a", Inner(1.0), ((0.0, 1.0), (2.0, 3.0)), (Inner(2.5),), data)
    assert outer.inner is not None and isinstance(outer.inner.seconds, float)


def test_defaults_and_null() -> None:
    assert parsed(Outer, {"name": "a", "inner": None, "spans": None}) == Outer(
        "a", None, raw={"name": "a", "inner": None, "spans": None}
    )


def test_unknown_fields_are_ignored() -> None:
    data = {"name": "a", "inner": {"seconds": 1, "newer": 2}, "newer": 3}
    assert parsed(Outer, data) == Outer("a", Inner(1.0), raw=data)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ServerError, match=r"Outer\.inner\.seconds"):
        parsed(Outer, {"name": "a", "inner": {}})
    with pytest.raises(ServerError, match=r"Outer\.name.*older"):
        parsed(Outer, {})


@pytest.mark.parametrize("data", [None, [], "text"])
def test_what_is_no_object(data: object) -> None:
    with pytest.raises(ServerError, match="Outer is not a JSON object"):
        parsed(Outer, data)
