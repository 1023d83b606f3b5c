"""The README names every setting, option and error that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployments.api.native import AnalysisRequest
from deployments.config import AnalysisSettings, AppSettings
from deployments.wire.errors import STATUS
from pipeline.config import DecodingSettings, SourceSettings, StoreSettings, VideoLimits
from tests.deployments.telemetry.fake_metrics import all_metrics

README = (Path(__file__).parent.parent / "README.md").read_text()
TABLE_NAMES = set(re.findall(r"`([\w.]+)`", README))


def _settings() -> list[str]:
    groups = {
        "sources": SourceSettings,
        "limits": VideoLimits,
        "decoding": DecodingSettings,
        "analysis": AnalysisSettings,
        "store": StoreSettings,
    }
    nested = [f"{name}.{field}" for name, group in groups.items() for field in group.model_fields]
    return nested + [field for field in AppSettings.model_fields if field not in groups]


@pytest.mark.parametrize("name", [*_settings(), *AnalysisRequest.model_fields])
def test_a_name_stands_in_a_table(name: str) -> None:
    assert name in TABLE_NAMES


@pytest.mark.parametrize("name", sorted(all_metrics().kinds))
def test_a_metric_stands_in_the_table(name: str) -> None:
    assert name.removeprefix("longtake_") in TABLE_NAMES


def test_every_error_type_is_listed_under_its_status() -> None:
    rows = {cells[1].strip(): cells[2] for line in README.splitlines() if (cells := line.split("|"))[1:2]}
    base_classes = {"longtake_error", "source_error", "video_error"}  # never raised themselves
    for error, status in STATUS.items():
        if error.type_name() not in base_classes:
            (row,) = [text for key, text in rows.items() if str(status) in key]
            assert f"`{error.type_name()}`" in row
