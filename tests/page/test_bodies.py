"""The page's types of the server's bodies, against the server's own models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from deployments.api.estimates import EstimateBody
from deployments.api.files import FileBody
from deployments.api.openai import ModelListBody
from deployments.wire.errors import ErrorBody
from deployments.wire.stored_bodies import AnalysisListBody, AnalysisObjectBody, DeletedAnalysisBody

BODIES = Path(__file__).resolve().parents[2] / "web" / "types" / "bodies.d.ts"

ROOTS: dict[str, type[BaseModel]] = {
    "StoredAnalysis": AnalysisObjectBody,
    "AnalysisList": AnalysisListBody,
    "DeletedAnalysis": DeletedAnalysisBody,
    "Estimate": EstimateBody,
    "StoredFile": FileBody,
    "ModelList": ModelListBody,
    "ErrorBody": ErrorBody,
}
"""What routes answer with. The other models are found through their fields."""

_DECLARATION = re.compile(r"export interface (\w+)(?: extends (\w+))? \{\n(.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"  (\w+)(\??): (.+);")
_ALIAS = re.compile(r"export type (\w+) =\s*(.+?);\n", re.DOTALL)
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}


@dataclass(frozen=True)
class Field:
    type: str
    is_optional: bool


def _interfaces() -> dict[str, dict[str, Field]]:
    """Every interface's fields, inherited ones included."""
    declared: dict[str, dict[str, Field]] = {}
    for name, parent, body in _DECLARATION.findall(BODIES.read_text()):
        own = {field: Field(kind, bool(optional)) for field, optional, kind in _FIELD.findall(body)}
        assert len(own) == len(body.splitlines()), f"{name} has a line that is not a field"
        declared[name] = declared.get(parent, {}) | own
    return declared


INTERFACES = _interfaces()
ALIASES = {name: " ".join(text.split()) for name, text in _ALIAS.findall(BODIES.read_text())}


def _written_types(text: str) -> set[str]:
    """The members of a union, aliases resolved."""
    members: set[str] = set()
    for member in text.split(" | "):
        element = member.removesuffix("[]")
        alias = ALIASES.get(element)
        if alias is None:
            members.add(member)
        elif element == member:
            members |= _written_types(alias)
        else:
            members.add(f"{alias}[]")
    return members


def _models(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each interface that is reached from `name`, and the model that it stands for."""
    yield name, model
    for field, declared in INTERFACES[name].items():
        annotation = model.model_fields[field].annotation if field in model.model_fields else None
        for inner in _inner_models(annotation):
            for written in _written_types(declared.type):
                if (inner_name := written.removesuffix("[]")) in INTERFACES:
                    yield from _models(inner_name, inner)


def _inner_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _inner_models(argument)]


def _typescript(annotation: Any, written: set[str]) -> set[str]:
    """The TypeScript types of a field's annotation. Models keep the name that the page gives them."""
    if annotation in _PLAIN:
        return {_PLAIN[annotation]}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return written & INTERFACES.keys()
    if isinstance(annotation, type) and issubclass(annotation, str):  # an enumeration
        return {f'"{member}"' for member in annotation}
    arguments = get_args(annotation)
    match get_origin(annotation):
        case origin if origin in (Union, UnionType):
            return {kind for argument in arguments for kind in _typescript(argument, written)}
        case origin if origin is Literal:
            return {str(value).lower() if isinstance(value, bool) else f'"{value}"' for value in arguments}
        case origin if origin is list:
            (element,) = _typescript(arguments[0], {kind.removesuffix("[]") for kind in written})
            return _written_types(f"{element}[]")
        case origin if origin is tuple:
            return {f"[{', '.join(kind for argument in arguments for kind in _typescript(argument, written))}]"}
        case origin if origin is dict:
            key, value = (next(iter(_typescript(argument, written))) for argument in arguments)
            return {f"Record<{key}, {value}>"}
    raise AssertionError(f"no TypeScript type is known for {annotation}")


PAIRS = sorted({pair for name, model in ROOTS.items() for pair in _models(name, model)}, key=lambda pair: pair[0])


def test_every_interface_stands_for_one_model() -> None:
    assert [name for name, _ in PAIRS] == sorted(INTERFACES)


@pytest.mark.parametrize(("name", "model"), PAIRS, ids=[name for name, _ in PAIRS])
def test_the_page_reads_what_the_server_writes(name: str, model: type[BaseModel]) -> None:
    for field, declared in INTERFACES[name].items():
        assert field in model.model_fields, f"{model.__name__} has no {field}"
        found = model.model_fields[field]
        written = _written_types(declared.type)
        assert written == _typescript(found.annotation, written), f"{name}.{field}"
        is_optional = not found.is_required() and get_origin(found.annotation) is not Literal
        assert declared.is_optional == is_optional, f"{name}.{field}"
