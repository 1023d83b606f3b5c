"""`response_format`, as in OpenAI's API: structured output."""

import json
from typing import Any, Literal, Self

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.wire.request_bodies import from_form
from pipeline.errors import InvalidRequest
from pipeline.types import JsonFormat

MAX_SCHEMA_BYTES = 64 * 1024


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
        schema = json.dumps(self.json_schema.schema_)
        if len(schema) > MAX_SCHEMA_BYTES:
            raise InvalidRequest(
                f"The JSON schema takes {len(schema)} bytes; {MAX_SCHEMA_BYTES} are allowed.", param="response_format"
            )
        try:
            jsonschema.Draft202012Validator.check_schema(self.json_schema.schema_)
        except jsonschema.SchemaError as error:
            raise InvalidRequest(
                f"response_format.json_schema.schema is not a JSON schema: {error.message[:200]}.",
                param="response_format",
            ) from None
        return JsonFormat(schema)
