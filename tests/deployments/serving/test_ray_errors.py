"""Ray's own errors, as Longtake classifies them."""

from __future__ import annotations

import pytest

from deployments.serving.ray_errors import is_replica_loss, own_error
from pipeline.errors import EngineFailed, InvalidRequest, LongtakeError
from tests.deployments.serving.replica_errors import LOSSES, OTHERS, from_replica


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
