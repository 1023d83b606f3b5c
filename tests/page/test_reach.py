"""The page for everyone: small screens, dark rooms, keyboards, screen readers, still pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.asking import ask, axe_findings, choose, overflow_px, photograph, wait_for_answers
from tests.page.conftest import FakeServer

pytestmark = pytest.mark.services

PHONE = {"width": 360, "height": 740}


def _start(page: Page, film: Path) -> None:
    expect(page.locator("#model-words")).to_contain_text("longtake-demo")


def _planned(page: Page, film: Path) -> None:
    choose(page, film)
    page.click("#options summary")


def _answered(page: Page, film: Path) -> None:
    choose(page, film)
    ask(page, "What happens, and when?")
    wait_for_answers(page)
    page.click(".stages summary")


def _keys(page: Page, film: Path) -> None:
    page.click("#open-shortcuts")


def _history(page: Page, film: Path) -> None:
    page.click("#open-history")


STATES = pytest.mark.parametrize("state", [_start, _planned, _answered, _keys, _history])
State = Callable[[Page, Path], None]


@STATES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, film_path: Path, server: FakeServer, state: State, scheme: str) -> None:
    server.orchestrator.failing, server.orchestrator.damaged = {4}, {6}
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    state(page, film_path)
    photograph(page, f"{state.__name__.strip('_')}-{scheme}")
    assert axe_findings(page) == []


@STATES
def test_a_phone_shows_it_all(page: Page, film_path: Path, server: FakeServer, state: State) -> None:
    server.orchestrator.failing, server.orchestrator.damaged = {4}, {6}
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.emulate_media(reduced_motion="reduce")
    state(page, film_path)
    photograph(page, f"{state.__name__.strip('_')}-phone")
    assert overflow_px(page) == 0
    assert axe_findings(page) == []


def test_on_a_phone_the_player_stays_in_sight(page: Page, film_path: Path) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    _answered(page, film_path)
    page.locator(".answer .time").nth(60).scroll_into_view_if_needed()
    page.locator(".answer .time").nth(60).click()
    box = page.locator("#player").bounding_box()
    assert box and 0 <= box["y"] < PHONE["height"] / 2


def test_everything_can_be_done_by_keyboard(page: Page, film_path: Path, server: FakeServer) -> None:
    with film_path.open("rb") as file:
        stored = server.http.post("/v1/files", files={"file": ("film.mp4", file)}).json()
    _tab_to(page, "address")
    page.keyboard.type(stored["id"])
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell")
    assert page.evaluate("document.activeElement.id") == "prompt"
    expect(page.locator("#video-name")).to_have_text("film.mp4")
    page.keyboard.type("What happens?")
    page.keyboard.press("Control+Enter")
    wait_for_answers(page)
    _tab_to(page, "cell", backwards=True)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".cell").nth(2)).to_have_attribute("data-now", "")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator(".cell").nth(10)).to_have_attribute("data-now", "")


def test_the_focus_is_always_seen(page: Page, film_path: Path) -> None:
    _answered(page, film_path)
    page.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name, width = page.evaluate(
            "[document.activeElement.outerHTML.slice(0, 80), getComputedStyle(document.activeElement).outlineWidth]"
        )
        if not name.startswith(("<body", "<video")):  # the browser's own controls show theirs inside the player
            assert width != "0px", f"{name} shows no focus"
            seen.add(name)
    assert len(seen) > 20


def test_keys(page: Page, film_path: Path) -> None:
    choose(page, film_path)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(".")
    assert page.evaluate("document.getElementById('video').currentTime") > 50
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_the_theme_is_the_systems_until_one_chooses(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert dark != light
    page.click("#theme")
    assert page.evaluate(background) == light
    page.reload()
    assert page.evaluate(background) == light
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) == dark


def test_nothing_moves_for_who_wants_it_still(page: Page, film_path: Path, server: FakeServer) -> None:
    page.emulate_media(reduced_motion="reduce")
    server.orchestrator.chunk_seconds = 0.4
    choose(page, film_path)
    ask(page, "What happens?")
    page.wait_for_selector(".cell[data-state=answered]")
    assert page.evaluate("document.getAnimations().length") == 0


def test_progress_is_spoken(page: Page, film_path: Path) -> None:
    choose(page, film_path)
    expect(page.locator("#live")).to_have_text("Planned: 11 chunks")
    ask(page, "What happens?")
    wait_for_answers(page)
    expect(page.locator("#live")).to_have_text("The answer is there")
    assert page.locator("#live").get_attribute("aria-live") == "polite"


def _tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    """Presses Tab until the focus is on the element of that id or class."""
    for _ in range(150):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        found = page.evaluate("[document.activeElement.id, ...document.activeElement.classList]")
        if name in found:
            return
    raise AssertionError(f"Tab does not lead to {name}")
