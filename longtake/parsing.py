"""Parse the server's JSON into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from longtake.errors import ServerError

Result = TypeVar("Result")

RAW = "raw"
"""The field that keeps the whole JSON of a result, including fields that this version does not know."""


def parsed(kind: type[Result], data: Any) -> Result:
    """`data` as a `kind`. Ignores unknown fields, which a newer server sends.

    Raises ServerError if a field without a default is missing.
    """
    value: Result = _value(kind, data, kind.__name__)
    return value


def _value(kind: Any, data: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if data is None else _value(inner, data, where)
    if origin is tuple:
        items = data or ()
        kinds = arguments[:1] * len(items) if arguments[-1] is Ellipsis else arguments
        return tuple(_value(item_kind, item, where) for item_kind, item in zip(kinds, items, strict=True))
    return float(data) if kind is float else data


def _dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise ServerError(f"The server's {where} is not a JSON object. Check that the address is a Longtake server's.")
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name == RAW:
            values[RAW] = dict(data)
        elif field.name in data:
            values[field.name] = _value(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ServerError(f"The server sent no {where}.{field.name}. Its version may be older than this client's.")
    return kind(**values)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
