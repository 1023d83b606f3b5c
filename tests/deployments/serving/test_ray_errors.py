"""Ray's own errors, as Longtake classifies them."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ray import cloudpickle
from ray.exceptions import RayTaskError
from ray.serve.exceptions import RayServeException

from deployments.serving.ray_errors import (
    UnencodableError,
    crashed_replica,
    encodable_errors,
    is_replica_loss,
    own_error,
)
from pipeline.errors import EngineFailed, InvalidRequest, LongtakeError
from tests.deployments.serving.replica_errors import LOSSES, OTHERS, STOPPED, chained, died, from_replica
from tests.hostile_texts import ANY_TEXT, ERROR_CLASSES


@pytest.mark.parametrize("error", LOSSES, ids=lambda error: type(error).__name__)
def test_losses(error: Exception) -> None:
    assert is_replica_loss(error)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_what_is_no_loss(error: Exception | None) -> None:
    assert not is_replica_loss(error)


def test_causes_in_a_circle() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert not is_replica_loss(first)


@pytest.mark.parametrize("error", [EngineFailed("refused", param="prompt"), InvalidRequest("fps is 0", param="fps")])
def test_an_error_of_ours_loses_rays_wrapper(error: LongtakeError) -> None:
    arrived = from_replica(error)
    assert "ip=" in str(arrived)
    own = own_error(arrived)
    assert type(own) is type(error)
    assert isinstance(own, LongtakeError)
    assert (str(own), own.param) == (error.message, error.param)


def test_other_errors_stay_as_they_are() -> None:
    for error in (ValueError(), from_replica(ValueError())):
        assert own_error(error) is error


@pytest.mark.parametrize("error", STOPPED, ids=lambda error: type(error).__name__)
def test_a_replica_that_died_of_something_else(error: Exception | None) -> None:
    assert error is None or crashed_replica(error) is None


def test_a_replica_that_died_of_its_work() -> None:
    arrivals = [
        died(1),
        chained(RayServeException("a request failed"), died(1)),
    ]
    assert {crashed_replica(error) for error in arrivals} == {"01" * 16}
    assert all(is_replica_loss(error) for error in arrivals)


# --- Encoding ---------------------------------------------------------------------------------------------------------


def leave(error: Exception, cause: Exception | None = None) -> Exception:
    """Return what a replica raises in place of `error`."""
    try:
        with encodable_errors():
            raise error from cause
    except Exception as caught:
        return caught


def sent(error: Exception) -> Exception:
    """Send an error as Ray does, which encodes its traceback, and return it as the caller gets it."""
    text = "".join(traceback.format_exception(error))
    wrapped = RayTaskError("plan", text, cloudpickle.loads(cloudpickle.dumps(error)))
    arrived: Exception = RayTaskError.from_bytes(wrapped.to_bytes())
    return arrived


def test_ray_cannot_send_a_lone_surrogate() -> None:
    """If this fails, `encodable_errors` has become superfluous."""
    with pytest.raises(UnicodeEncodeError):
        sent(ValueError("\udcff.mp4"))


@given(st.sampled_from(ERROR_CLASSES), ANY_TEXT, ANY_TEXT)
@example(InvalidRequest, "\udcff.mp4", "\ud800")
def test_errors_of_ours_reach_the_caller(error_class: type[LongtakeError], message: str, cause: str) -> None:
    """Also if they come from an exception of another library, with bytes of a file in its text."""
    for error in (
        leave(error_class(message, param=message)),
        leave(error_class(message, param=message), ValueError(cause)),
        leave(from_replica(error_class(message, param=message)), ValueError(cause)),
    ):
        own = own_error(error)
        assert type(own) is error_class
        assert isinstance(own, LongtakeError)
        assert own.message == own.param == error_class(message).message
        assert isinstance(sent(error), RayTaskError)


@given(ANY_TEXT, ANY_TEXT)
@example("\udcff.mp4", "")
@example("", "\udcff.mp4")
def test_other_errors_reach_the_caller(message: str, cause: str) -> None:
    error = leave(RuntimeError(message), ValueError(cause))
    assert isinstance(error, RuntimeError | UnencodableError)
    assert isinstance(sent(error), RayTaskError)


def test_an_error_that_is_replaced_says_what_it_was() -> None:
    error = leave(RuntimeError("cannot open \udcff.mp4"))
    assert isinstance(error, UnencodableError)
    assert "RuntimeError: cannot open \\udcff.mp4" in str(error)


def test_other_errors_leave_unchanged() -> None:
    plain = RuntimeError("cannot open 🎬.mp4")
    assert leave(plain) is plain
