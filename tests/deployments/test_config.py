"""The arguments of the application."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.config import ARGS_WITH_SETTINGS, AppSettings


@pytest.mark.parametrize("name", ARGS_WITH_SETTINGS)
def test_an_engine_argument_by_which_gpus_are_reserved_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"set {name} by {ARGS_WITH_SETTINGS[name]}"):
        AppSettings(engine_args={name: 2})
