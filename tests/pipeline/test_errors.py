"""Errors survive pickling, and the module's docstring lists all of them."""

import inspect
import pickle

import pytest

from pipeline import errors
from pipeline.errors import LongtakeError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, LongtakeError)]


@pytest.mark.parametrize("error_class", CLASSES)
def test_error_crosses_processes_whole(error_class: type[LongtakeError]) -> None:
    error = pickle.loads(pickle.dumps(error_class("what was got", param="fps")))
    assert type(error) is error_class
    assert (str(error), error.message, error.param) == ("what was got", "what was got", "fps")


@pytest.mark.parametrize("error_class", CLASSES)
def test_docstring_shows_the_error(error_class: type[LongtakeError]) -> None:
    assert errors.__doc__ is not None
    assert error_class.__name__ in errors.__doc__.split()


def test_names_that_clients_see() -> None:
    assert errors.SourceNotFound.type_name() == "source_not_found"
    assert errors.EngineDied.type_name() == "engine_died"
    assert len({error_class.type_name() for error_class in CLASSES}) == len(CLASSES)
