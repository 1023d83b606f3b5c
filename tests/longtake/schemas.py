"""Compare JSON schemas of the server's OpenAPI document with Python types of the client."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from longtake.parsing import RAW

Schema = dict[str, Any]

SCALARS = {"string": str, "integer": int, "number": float, "boolean": bool}


@dataclasses.dataclass(frozen=True)
class Difference:
    where: str
    """The schema and its field, with a point between them."""
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Comparison:
    """Differences between the schemas of one OpenAPI document and Python types, found recursively."""

    def __init__(self, document: Schema) -> None:
        self._schemas: dict[str, Schema] = document["components"]["schemas"]

    def resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return self._schemas[reference.rsplit("/", 1)[1]] if reference else schema

    def of_result(self, schema: Schema, kind: Any) -> Iterator[Difference]:
        """What the client would not read as the server sends it."""
        yield from self._of(schema, kind, "", is_request=False)

    def of_options(self, schema: Schema, kind: Any) -> Iterator[Difference]:
        """What the client could not send as the server accepts it; null means a field that is left out."""
        yield from self._of(schema, kind, "", is_request=True)

    def _of(self, schema: Schema, kind: Any, where: str, *, is_request: bool) -> Iterator[Difference]:
        schema = self.resolved(schema)
        if "anyOf" in schema:
            choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
            is_nullable, takes_none = len(choices) < len(schema["anyOf"]), type(None) in typing.get_args(kind)
            if is_nullable and not takes_none and not is_request:
                yield Difference(where, f"null does not fit {kind}")
            if len(choices) != 1:
                yield Difference(where, f"the server has a union of {len(choices)}")
                return
            schema = self.resolved(choices[0])
        kind = _without_none(kind)
        if "properties" in schema:
            yield from self._of_object(schema, kind, where, is_request=is_request)
        elif schema.get("type") == "object":
            is_fitting = typing.get_origin(kind) is dict
            if not is_fitting:
                yield Difference(where, f"an object does not fit {kind}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from self._of(
                    schema["additionalProperties"], typing.get_args(kind)[1], where, is_request=is_request
                )
        elif schema.get("type") == "array":
            yield from self._of_array(schema, kind, where, is_request=is_request)
        elif "enum" in schema:
            if typing.get_origin(kind) is not Literal or set(typing.get_args(kind)) != set(schema["enum"]):
                yield Difference(where, f"{schema['enum']} does not fit {kind}")
        elif kind is not SCALARS[schema["type"]]:
            yield Difference(where, f"{schema['type']} does not fit {kind}")

    def _of_object(self, schema: Schema, kind: Any, where: str, *, is_request: bool) -> Iterator[Difference]:
        if not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
            yield Difference(where, f"{schema['title']} does not fit {kind}")
            return
        # A constant, such as `object`, tells a reader of JSON what a type tells a reader of Python.
        theirs = {name: field for name, field in schema["properties"].items() if "const" not in field}
        ours = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != RAW}
        for name in theirs.keys() | ours.keys():
            place = f"{schema['title']}.{name}"
            if name not in ours:
                yield Difference(place, f"{kind.__name__} lacks it")
            elif name not in theirs:
                yield Difference(place, f"{kind.__name__} has it, the server does not")
            else:
                yield from self._of(theirs[name], ours[name], place, is_request=is_request)

    def _of_array(self, schema: Schema, kind: Any, where: str, *, is_request: bool) -> Iterator[Difference]:
        if typing.get_origin(kind) not in (tuple, list):
            yield Difference(where, f"an array does not fit {kind}")
            return
        inner = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
        items = schema.get("prefixItems") or [schema["items"]]
        if len(items) != len(inner):
            yield Difference(where, f"an array of {len(items)} does not fit {kind}")
            return
        for item, item_kind in zip(items, inner, strict=True):
            yield from self._of(item, item_kind, where, is_request=is_request)


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind
    inner = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    return inner[0] if len(inner) == 1 else kind
