"""The breaks can still be made: what they mean to do to the source has not moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.truth.mutations import BREAKS, Break

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.what)
def test_the_line_to_break_is_there_once(broken: Break) -> None:
    assert (ROOT / broken.path).read_text().count(broken.line) == 1
    assert broken.broken != broken.line
