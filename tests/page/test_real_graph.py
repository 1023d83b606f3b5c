"""The page over the whole graph: Ray, all deployments, vLLM on the embedded model. Its pictures are the README's."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from playwright.sync_api import Browser, Page, expect

from deployments.model_choice import DEMO_MODEL
from deployments.serving.embedded_server import embedded_server
from tests.page.asking import ask, axe_findings, choose, overflow_px, photograph, told, wait_for_answers, wait_until
from tests.page.conftest import BUILD
from tools.demo_model.language import LIST_PROMPT
from tools.demo_model.scenes import Film, Split, random_film
from tools.truth.clips import Clip

pytestmark = pytest.mark.services

FOLLOW_UP = "Describe what happens, with times."
FILM_SECONDS, FILM_FPS = 240.0, Fraction(10)
RIGHT_SHARE = 0.9
"""Of the scenes: the model's card says what it reaches, and this asks whether the page shows it."""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sources = {"upload_store": str(tmp_path_factory.mktemp("uploads"))}
    store = {"data_dir": str(tmp_path_factory.mktemp("data"))}
    with embedded_server({"model": str(DEMO_MODEL), "sources": sources, "store": store}) as url:
        yield url


@pytest.fixture
def real_page(browser: Browser, graph: str, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(graph)
    yield page
    context.close()
    assert complaints == []


def test_a_film_is_asked_about(real_page: Page) -> None:
    film = random_film(Split.DEMO, 0, width_px=640, height_px=360, duration_seconds=FILM_SECONDS)
    page = real_page
    choose(page, Clip("demo-film", film, "h264", FILM_FPS).written(BUILD))
    page.click("#options summary")
    page.fill("[name=chunk_duration]", "30")
    expect(page.locator("#plan-words")).to_contain_text("9 chunks of up to 30 s")
    page.click("#options summary")
    ask(page, LIST_PROMPT)
    page.wait_for_selector(".cell[data-state=answered]", timeout=120_000)
    photograph(page, "graph-going")
    page.wait_for_selector(".turn[data-status=completed]", timeout=120_000)
    assert _right_share(page, film, turn=0) > RIGHT_SHARE
    ask(page, FOLLOW_UP)
    wait_for_answers(page, 2)
    expect(page.locator(".turn").nth(1)).to_contain_text("frames of all chunks kept from before")
    assert axe_findings(page) == []
    page.locator(".turn").nth(0).get_by_role("button", name="On the timeline").click()
    page.locator(".answer .time").nth(17).click()
    wait_until(page, "!document.getElementById('video').seeking")
    page.locator(".thread").evaluate("thread => thread.scrollTo(0, 0)")
    page.locator(".ask").evaluate("() => document.activeElement.blur()")
    photograph(page, "graph-light")
    page.emulate_media(color_scheme="dark")
    page.locator("#stages").scroll_into_view_if_needed()
    photograph(page, "graph-dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert overflow_px(page) == 0
    photograph(page, "graph-phone")


def _right_share(page: Page, film: Film, *, turn: int) -> float:
    said = {text for _, text in told(page, turn)}
    return sum(f"{scene.colour} {scene.shape}." in said for scene in film.scenes) / len(film.scenes)
