"""`response_format`, as in OpenAI's API: structured output."""

import json
from functools import lru_cache
from typing import Any, Literal, Self

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.wire.json_texts import extent_of
from deployments.wire.request_bodies import from_form
from pipeline.errors import InvalidRequest
from pipeline.types import JsonFormat

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 64
"""Limit on nested objects and lists. jsonschema takes up to eight Python frames for each, and fails at 125."""
MAX_SCHEMA_VALUES = 2000
"""Limit on objects, lists and plain values together. jsonschema takes up to 0.5 ms for each."""


class JsonSchemaBody(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: str = "answer"
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
    """Ignored: answers always follow the schema."""


class ResponseFormatBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_form(cls, value: Any) -> Any:
        return from_form(value)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.json_schema is None) == (self.type == "json_schema"):
            raise InvalidRequest(
                f"response_format is of type {self.type} and json_schema is {'not ' * (not self.json_schema)}given; "
                "give it with type json_schema, and with no other.",
                param="response_format",
            )
        return self

    def json_format(self) -> JsonFormat | None:
        """Return the format for the engine, which checks whether it supports the schema. Raises InvalidRequest for an
        invalid schema.
        """
        if self.type == "text":
            return None
        if self.json_schema is None:
            return JsonFormat()
        _check_extent(self.json_schema.schema_)
        schema = json.dumps(self.json_schema.schema_)
        if len(schema) > MAX_SCHEMA_BYTES:
            raise InvalidRequest(
                f"The JSON schema takes {len(schema)} bytes; {MAX_SCHEMA_BYTES} are allowed.", param="response_format"
            )
        _check_schema(schema)
        return JsonFormat(schema)


def _check_extent(schema: dict[str, Any]) -> None:
    """Raise InvalidRequest before a library recurses into the schema."""
    extent = extent_of(schema)
    for number, limit, unit in (
        (extent.depth, MAX_SCHEMA_DEPTH, "levels of nested objects and lists"),
        (extent.num_values, MAX_SCHEMA_VALUES, "values"),
    ):
        if number > limit:
            raise InvalidRequest(
                f"The JSON schema has {number} {unit}; at most {limit} are allowed. Simplify it.",
                param="response_format",
            )


@lru_cache(maxsize=16)
def _check_schema(schema: str) -> None:
    """Raise InvalidRequest unless it is a JSON schema. Cached: one request needs the same format several times."""
    try:
        jsonschema.Draft202012Validator.check_schema(json.loads(schema))
    except jsonschema.SchemaError as error:
        raise InvalidRequest(
            f"response_format.json_schema.schema is not a JSON schema: {error.message[:200]}.", param="response_format"
        ) from None
    except RecursionError:
        raise InvalidRequest(
            "response_format.json_schema.schema is nested too deeply. Nest it less.", param="response_format"
        ) from None
