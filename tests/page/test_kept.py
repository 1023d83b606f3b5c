"""What the server keeps: reloads, broken connections, history."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.asking import ask, choose, photograph, told, wait_for_answers, wait_until
from tests.page.conftest import FakeServer
from tools.demo_model.scenes import Film

pytestmark = pytest.mark.services

PROMPT = "What happens, and when?"


def test_an_answer_is_there_after_a_reload(page: Page, film: Film, film_path: Path) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    before = told(page)
    ask(page, "And what is red?")
    wait_for_answers(page, 2)
    page.reload()
    wait_for_answers(page, 2)
    assert page.locator(".turn h3").all_inner_texts() == [PROMPT, "And what is red?"]
    assert told(page) == before
    assert len(before) == len(film.scenes)
    expect(page.locator("#video-name")).to_have_text(film_path.name)
    wait_until(page, "document.getElementById('video').readyState >= 1")
    assert page.evaluate("document.getElementById('video').duration") == pytest.approx(600, abs=1)
    ask(page, "And what is blue?")
    wait_for_answers(page, 3)


def test_a_page_that_is_left_in_the_middle_goes_on(page: Page, film_path: Path, server: FakeServer) -> None:
    server.orchestrator.chunk_seconds = 0.4
    choose(page, film_path)
    ask(page, PROMPT)
    page.wait_for_selector(".cell[data-state=answered] >> nth=1")
    page.reload()
    page.wait_for_selector(".cell[data-state=waiting]")
    wait_for_answers(page)
    assert page.locator(".cell[data-state=answered]").count() == 11


def test_events_go_on_after_a_broken_connection(page: Page, film: Film, film_path: Path, server: FakeServer) -> None:
    choose(page, film_path)
    asked = []

    def break_once(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) > 1:
            return route.continue_()
        request = {"file_id": server.http.get("/v1/files").json()["data"][0]["id"]}
        plan = server.http.post("/v1/estimate", json=request).json()["plan"]
        body = f"id: 1\nevent: plan\ndata: {json.dumps(plan)}\n\n"
        return route.fulfill(content_type="text/event-stream", body=body)

    page.route(re.compile("/events$"), break_once)
    ask(page, PROMPT)
    expect(page.locator(".turn")).to_contain_text("Connection lost; the analysis goes on.")
    wait_for_answers(page)
    assert asked == [None, "1"]
    assert len(told(page)) == len(film.scenes)


def test_a_question_whose_response_is_lost_is_asked_once(
    page: Page, film_path: Path, server: FakeServer, complaints: list[str]
) -> None:
    choose(page, film_path)
    lost = []

    def lose_once(route: Route) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch().json()["id"])
        return route.abort()

    page.route(re.compile("wait=false"), lose_once)
    ask(page, PROMPT)
    wait_for_answers(page)
    assert [analysis["id"] for analysis in server.http.get("/v1/analyses").json()["data"]] == lost
    complaints.clear()  # the browser tells of the lost response


def test_an_analysis_can_be_cancelled(page: Page, film_path: Path, server: FakeServer) -> None:
    server.orchestrator.chunk_seconds = 1.0
    choose(page, film_path)
    ask(page, PROMPT)
    page.wait_for_selector(".cell[data-state=answered]")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".turn[data-status=cancelled]")
    expect(page.locator(".turn")).to_contain_text("Cancelled. What was answered until then stands below.")
    assert page.locator(".cell[data-state=skipped]").count() > 5
    assert server.http.get("/v1/analyses").json()["data"][0]["status"] == "cancelled"


def test_history_opens_and_deletes(page: Page, film_path: Path, server: FakeServer) -> None:
    choose(page, film_path)
    ask(page, PROMPT)
    wait_for_answers(page)
    page.click("#home")
    recent = page.locator("#recent-list li")
    expect(recent).to_have_count(1)
    expect(recent).to_contain_text(PROMPT)
    expect(recent).to_contain_text(film_path.name)
    photograph(page, "recent")
    page.click("#open-history")
    page.locator("#history-list a").click()
    wait_for_answers(page)
    expect(page.locator("#history")).to_be_hidden()
    page.go_back()
    expect(page.locator("#start")).to_be_visible()
    page.go_forward()
    wait_for_answers(page)
    page.click("#open-history")
    page.get_by_role("button", name=f"Delete: {PROMPT}").first.click()
    expect(page.locator("#history-words")).to_have_text("")
    expect(page.locator("#start")).to_be_visible()
    assert server.http.get("/v1/analyses").json()["data"] == []


def test_an_upload_that_nobody_asked_about_is_deleted(page: Page, film_path: Path, server: FakeServer) -> None:
    choose(page, film_path)
    assert len(server.http.get("/v1/files").json()["data"]) == 1
    with page.expect_response(re.compile("/v1/files/file-")):
        page.click("#other-video")
    assert server.http.get("/v1/files").json()["data"] == []
