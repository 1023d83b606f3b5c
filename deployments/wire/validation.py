"""Validate a request's fields, and report everything that is wrong in one InvalidRequest."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.errors import InvalidRequest

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(
    model: type[ModelT],
    fields: Mapping[str, Any],
    *,
    allowed: Sequence[str] | None = None,
    tags: frozenset[str] = frozenset(),
) -> ModelT:
    """Return `fields` as a `model`.

    `allowed` lists the fields that the message about an unknown field names; by default those of `model`. `tags` are
    the values that discriminate the members of a union; they are not part of a field's path in the request.

    Raises InvalidRequest, which names the first field at fault and describes all of them.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _invalid_request(error, allowed or sorted(model.model_fields), tags) from None


def refuse_unsupported(fields: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Raise InvalidRequest if the request contains a field that another API supports and this one does not."""
    for name, reason in reasons.items():
        if fields.get(name):
            raise InvalidRequest(f"{name} is not supported: {reason}; leave it out.", param=name)


def _invalid_request(error: ValidationError, allowed: Sequence[str], tags: frozenset[str]) -> InvalidRequest:
    found: list[Any] = [dict(item) for item in error.errors(include_url=False, include_context=False)]
    for item in found:
        item["loc"] = _without_tags(item["loc"], tags)
    messages = [_describe(item, allowed) for item in found]
    return InvalidRequest("; ".join(messages) + ".", param=_param(found[0]))


def _without_tags(path: tuple[str | int, ...], tags: frozenset[str]) -> tuple[str | int, ...]:
    """Remove tags from a path. A tag follows the index of the list member that it belongs to."""
    return tuple(
        part
        for before, part in zip((None, *path), path, strict=False)
        if part not in tags or not isinstance(before, int)
    )


def _param(item: Any) -> str | None:
    return ".".join(str(part) for part in item["loc"]) or None


def _describe(item: Any, allowed: Sequence[str]) -> str:
    param, got = _param(item), repr(item["input"])[:80]
    if item["type"] == "extra_forbidden":
        is_top_level = len(item["loc"]) == 1
        return f"{param} is not a field" + (f"; the fields are {', '.join(allowed)}" if is_top_level else "")
    if item["type"] == "missing":
        return f"{param} is missing"
    message: str = item["msg"].removeprefix("Value error, ")
    if param is None:
        return message
    return f"{param} is {got}; {message[0].lower()}{message[1:]}"
