"""A model's text as elements."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.services


def test_a_time_that_no_chunk_bears_out_is_marked(page: Page) -> None:
    html = page.evaluate(
        """async () => {
            const { prose } = await import("/page/views/prose.js");
            const times = [
                { seconds: 5, start: 0, stop: 7, isDoubtful: false },
                { seconds: 9, start: 11, stop: 18, isDoubtful: true },
            ];
            return prose("[00:05] A, [00:09] B.", times, () => {}).map(block => block.innerHTML).join("");
        }"""
    )
    marked = html.split("is-doubtful")
    assert len(marked) == 2
    assert "00:09" in marked[1] and "not borne out" in marked[1]
