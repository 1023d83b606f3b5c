"""Errors survive pickling, and the module's docstring lists all of them."""

import json
import pickle
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import errors
from pipeline.errors import LongtakeError
from pipeline.unicode import encodable
from tests.hostile_texts import ANY_TEXT, ERROR_CLASSES


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_error_crosses_processes_whole(error_class: type[LongtakeError]) -> None:
    error = pickle.loads(pickle.dumps(error_class("what was got", param="fps")))
    assert type(error) is error_class
    assert (str(error), error.message, error.param) == ("what was got", "what was got", "fps")


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_docstring_shows_the_error(error_class: type[LongtakeError]) -> None:
    assert errors.__doc__ is not None
    assert error_class.__name__ in errors.__doc__.split()


def test_names_that_clients_see() -> None:
    assert errors.SourceNotFound.type_name() == "source_not_found"
    assert errors.EngineDied.type_name() == "engine_died"
    assert len({error_class.type_name() for error_class in ERROR_CLASSES}) == len(ERROR_CLASSES)


@given(st.sampled_from(ERROR_CLASSES), ANY_TEXT, st.none() | ANY_TEXT)
@example(errors.SourceNotFound, "no such file: \udcff.mp4", "video_path")
@example(errors.InvalidRequest, "\x00\ud800", "metadata.\udfff")
def test_an_error_crosses_processes_whatever_it_carries(
    error_class: type[LongtakeError], message: str, param: str | None
) -> None:
    original = error_class(message, param=param)
    for error in (original, pickle.loads(pickle.dumps(original))):
        assert type(error) is error_class
        assert (error.message, str(error)) == (encodable(message), encodable(message))
        assert error.param == (None if param is None else encodable(param))
        json.dumps([error.message, error.param], ensure_ascii=False).encode()
        "".join(traceback.format_exception(error)).encode()
        repr(error).encode()
