"""What someone does on the page, and what they see there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
WAIT_SECONDS = 15.0


def choose(page: Page, film: Path) -> None:
    """Until the plan is there."""
    page.set_input_files("#file", film)
    page.wait_for_selector(".cell")


def ask(page: Page, prompt: str) -> None:
    page.fill("#prompt", prompt)
    page.click("#ask-button")


def wait_for_answers(page: Page, number: int = 1) -> None:
    page.wait_for_selector(f".turn[data-status=completed] >> nth={number - 1}")


def wait_until(page: Page, condition: str) -> None:
    """Playwright's own way evaluates texts, which the page's Content-Security-Policy forbids."""
    until = time.monotonic() + WAIT_SECONDS
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"{condition} did not come true"
        page.wait_for_timeout(50)


def told(page: Page, turn: int = 0) -> list[tuple[str, str]]:
    """The times and words of an answer that is a list."""
    items = page.locator(".turn").nth(turn).locator(".answer .timed li")
    return [tuple(text.split("\n", 1)) for text in items.evaluate_all("all => all.map(item => item.innerText)")]


def photograph(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def axe_findings(page: Page) -> list[tuple[str, list[str]]]:
    """Every rule that the page breaks as it stands, and where."""
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [(found["id"], [node["html"][:200] for node in found["nodes"]]) for found in violations]


def overflow_px(page: Page) -> int:
    """By how much the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
