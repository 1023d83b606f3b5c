"""From a film to its answer, in a real browser."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline.errors import SourceChanged, UnreadableVideo
from tests.page.asking import ask, choose, photograph, told, wait_for_answers
from tests.page.conftest import FakeServer
from tools.demo_model.scenes import Film, Split, random_film
from tools.truth.clips import Clip

pytestmark = pytest.mark.services

PLAN_SECONDS = 2.0
PROMPT = "What happens, and when?"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _truth(film: Film) -> list[tuple[str, str]]:
    return [(_clock(round(scene.start_seconds, 1)), f"{scene.colour} {scene.shape}.") for scene in film.scenes]


def test_a_film_of_ten_minutes_shows_its_plan_within_two_seconds(page: Page, film_path: Path) -> None:
    started = time.perf_counter()
    choose(page, film_path)
    seconds = time.perf_counter() - started
    print(f"plan after {seconds:.2f} s")
    assert seconds < PLAN_SECONDS
    assert page.locator(".cell").count() == 11
    expect(page.locator("#plan-words")).to_have_text("11 chunks of up to 60 s · 1,238 frames")
    expect(page.locator("#plan")).to_contain_text("Frames")
    expect(page.locator("#video-facts")).to_contain_text("10:00 · 426×240 · h264")


def test_the_first_answers_show_while_others_are_awaited(
    page: Page, film: Film, film_path: Path, server: FakeServer
) -> None:
    server.orchestrator.chunk_seconds = 0.5
    choose(page, film_path)
    page.evaluate("window.neverReloaded = true")
    ask(page, PROMPT)
    page.wait_for_selector(".cell[data-state=answered]")
    assert page.locator(".turn").get_attribute("data-status") == "running"
    expect(page.locator("#chunk-list li .prose").first).to_contain_text(
        f"{film.scenes[0].colour} {film.scenes[0].shape}"
    )
    assert page.locator(".cell[data-state=waiting]").count() > 0
    photograph(page, "going")
    wait_for_answers(page)
    assert page.locator(".cell[data-state=answered]").count() == 11
    assert told(page) == _truth(film)
    assert page.evaluate("window.neverReloaded") is True
    photograph(page, "answered")


def test_times_become_links_once_the_answer_is_complete(page: Page, film: Film, film_path: Path) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    expect(page.locator(".answer[data-writing]")).to_contain_text(f"{film.scenes[0].colour} {film.scenes[0].shape}")
    assert page.locator(".answer[data-writing] .time").count() == 0
    wait_for_answers(page)
    expect(page.locator(".answer .time")).to_have_count(len(film.scenes))


def test_each_chunk_gets_its_picture(page: Page, film_path: Path) -> None:
    choose(page, film_path)
    expect(page.locator(".cell canvas[data-drawn]")).to_have_count(11, timeout=15_000)
    pictures = page.locator(".cell canvas").evaluate_all("all => all.map(canvas => canvas.toDataURL())")
    assert len(set(pictures)) == 11


def test_a_click_on_a_time_goes_there(page: Page, film: Film, film_path: Path) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    page.locator(".answer .time").nth(20).click()
    shown = page.evaluate("document.getElementById('video').currentTime")
    assert shown == pytest.approx(film.scenes[20].start_seconds, abs=0.06)
    page.locator(".cell").nth(7).click()
    chunk_start = page.evaluate("document.getElementById('video').currentTime")
    expect(page.locator(".cell").nth(7)).to_have_attribute("data-now", "")
    assert chunk_start == pytest.approx(401.4, abs=1)  # 6:41, as the cell says


def test_gaps_and_damage_are_said_in_words(page: Page, film_path: Path, server: FakeServer) -> None:
    server.orchestrator.failing, server.orchestrator.damaged = {4}, {6}
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    remarks = page.locator("#remarks")
    expect(remarks).to_contain_text("Not covered 3:49 to 4:45")
    expect(remarks).to_contain_text("Failed 3:47 to 4:47: No frame could be decoded.")
    expect(remarks).to_contain_text("Damaged 5:43 to 6:43")
    expect(page.locator(".cell").nth(4)).to_have_attribute("aria-label", "3:47 to 4:47, failed")
    expect(page.locator(".cell").nth(6)).to_have_attribute("aria-label", "5:43 to 6:43, damaged")
    assert page.locator("#gaps span").count() == 1
    expect(page.locator(".turn")).to_contain_text("10 of 11 chunks answered")
    photograph(page, "gaps")


def test_a_second_question_says_what_the_first_one_saved_it(page: Page, film_path: Path) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    ask(page, "And what is red?")
    wait_for_answers(page, 2)
    second = page.locator(".turn").nth(1)
    expect(second).to_contain_text("times quicker than the first question")
    expect(second).to_contain_text("frames of all chunks kept from before · 96 % of the prompt kept from before")
    marked = page.locator(".turn[data-marked] h3")
    expect(marked).to_have_text("And what is red?")
    page.locator(".turn").first.get_by_role("button", name="On the timeline").click()
    expect(marked).to_have_text(PROMPT)  # drawn with the next frame


def test_options_reach_the_plan_and_wrong_ones_are_marked(page: Page, film_path: Path, complaints: list[str]) -> None:
    choose(page, film_path)
    page.click("#options summary")
    page.fill("[name=video_end]", "2:00")
    page.fill("[name=chunk_duration]", "30")
    expect(page.locator("#plan-words")).to_contain_text("5 chunks of up to 30 s")
    page.fill("[name=chunk_overlap]", "40")
    expect(page.locator("#ask-problem")).to_contain_text(
        "chunk_overlap (40 s) must be shorter than chunk_duration (30 s)"
    )
    expect(page.locator("[name=chunk_overlap]")).to_have_attribute("aria-invalid", "true")
    page.fill("[name=chunk_overlap]", "often")
    expect(page.locator("#ask-problem")).to_contain_text("“often” is not a number.")
    assert all("400" in complaint for complaint in complaints)  # the browser tells of every refusal
    complaints.clear()


def test_the_servers_words_about_a_bad_video_are_shown(
    page: Page, film_path: Path, server: FakeServer, complaints: list[str]
) -> None:
    server.orchestrator.refusal = UnreadableVideo("The video ends in the middle of its index; send it whole.")
    page.set_input_files("#file", film_path)
    expect(page.locator("#ask-problem")).to_have_text("The video ends in the middle of its index; send it whole.")
    assert all("422" in complaint for complaint in complaints)  # the browser tells of every refusal
    complaints.clear()


def test_an_analysis_that_breaks_keeps_what_it_had(page: Page, film_path: Path, server: FakeServer) -> None:
    server.orchestrator.breaks = SourceChanged("The video changed while it was analysed; ask again.")
    choose(page, film_path)
    ask(page, PROMPT)
    page.wait_for_selector(".turn[data-status=failed]")
    expect(page.locator(".turn .problem")).to_have_text("The video changed while it was analysed; ask again.")
    assert page.locator(".cell[data-state=answered]").count() == 1
    assert page.locator(".cell[data-state=skipped]").count() == 10


def test_what_people_and_models_write_is_text(page: Page, film_path: Path) -> None:
    choose(page, film_path)
    ask(page, "<img src=x onerror=alert(1)> **what**?")
    wait_for_answers(page)
    assert page.locator(".turn h3").inner_text() == "<img src=x onerror=alert(1)> **what**?"
    assert page.locator(".turn img").count() == 0


def test_a_video_that_the_browser_cannot_play_can_be_asked_about(page: Page, film: Film, tmp_path: Path) -> None:
    short = random_film(Split.TEST, 30_001, width_px=320, height_px=180, duration_seconds=12)
    choose(page, Clip("hevc", short, "hevc", Fraction(5)).written(tmp_path))
    expect(page.locator("#player-none")).to_contain_text("This browser cannot play the video")
    ask(page, PROMPT)
    wait_for_answers(page)


def test_a_large_file_goes_in_pieces(page: Page, film_path: Path, tmp_path: Path) -> None:
    free_bytes = 40 * 1024**2
    large = tmp_path / "large.mp4"
    large.write_bytes(film_path.read_bytes() + free_bytes.to_bytes(4, "big") + b"free" + bytes(free_bytes - 8))
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.headers.get("upload-offset"))))
    choose(page, large)
    pieces = [offset for method, offset in sent if method == "PATCH"]
    assert pieces == ["0", str(16 * 1024**2), str(32 * 1024**2)]
    assert page.locator(".cell").count() == 11


@pytest.mark.parametrize("name", ["JSON", "Markdown", "SRT", "VTT", "CSV"])
def test_answers_can_be_taken_away(page: Page, film: Film, film_path: Path, name: str) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    with page.expect_download() as downloading:
        page.get_by_role("link", name=name, exact=True).click()
    text = Path(downloading.value.path()).read_text()
    first, second = film.scenes[:2]
    match name:
        case "JSON":
            assert json.loads(text)["num_chunks"] == 11
        case "Markdown":
            assert text.startswith(f"# {PROMPT}\n")
            assert f"{second.colour} {second.shape}" in text
        case "SRT":
            assert len(text.strip().split("\n\n")) == len(film.scenes)
            stop = f"00:00:{round(second.start_seconds, 1):06.3f}".replace(".", ",")
            assert text.startswith(f"1\n00:00:00,000 --> {stop}\n{first.colour} {first.shape}.\n")
        case "VTT":
            assert text.startswith("WEBVTT\n")
            assert text.count(" --> ") == len(film.scenes)
        case "CSV":
            assert len(text.strip().splitlines()) == 1 + len(film.scenes)
            assert f"{first.colour} {first.shape}" in text
