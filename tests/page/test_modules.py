"""The page's DOM-free modules: places of times, lines of a text, addresses, server-sent events."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.wire.time_bodies import FoundTimeBody
from tests.page.modules import evaluate

TIMES = "m.placedTimes(a.text, a.found, a.duration)"


def _placed(text: str, duration_seconds: float) -> list[dict[str, Any]]:
    """The times that the server finds in a text, as the page places them."""
    found = [time.model_dump() for time in FoundTimeBody.in_text(text)]
    placed: list[dict[str, Any]] = evaluate(
        "text/places", TIMES, {"text": text, "found": found, "duration": duration_seconds}
    )
    return placed


def _lines(text: str, duration_seconds: float) -> list[dict[str, Any]]:
    """Each line's kind, its time in seconds, and its words."""
    lines = evaluate(
        "text/lines", "m.linesOf(a.text, a.times)", {"text": text, "times": _placed(text, duration_seconds)}
    )
    units = text.encode("utf-16-le")
    return [
        {
            "kind": line["kind"],
            "seconds": line["time"] and line["time"]["seconds"],
            "text": units[2 * line["start"] : 2 * line["stop"]].decode("utf-16-le"),
        }
        for line in lines
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[04:07] A cat.", [247]),
        ("At [1:02:03] and [00:05], or 12:30.", [3723, 5, 750]),
        ("0.2 white star. 6.3 magenta circle.", [0.2, 6.3]),
        ("- 12.4 red circle\n- 15.0 blue ring", [12.4, 15.0]),
        ("It starts at 12 s and ends at 14.5 seconds.", [12, 14.5]),
        ("There are 3 cats and 2.5 dogs; 16:9 is a format.", []),
        ("[99:00] is after the end, 10:75 no time.", []),
    ],
)
def test_times_of_a_text_are_placed(text: str, seconds: list[float]) -> None:
    assert [time["seconds"] for time in _placed(text, 4000)] == seconds


@pytest.mark.parametrize("text", ["🎬 [00:05] A. 👩‍👩‍👧 At 0:09, é𝄞 and 12:30!", "[00:05] A.", "𝄞𝄞 0:07"])
def test_places_count_utf_16_code_units(text: str) -> None:
    units = text.encode("utf-16-le")
    shown = [units[2 * time["start"] : 2 * time["stop"]].decode("utf-16-le") for time in _placed(text, 4000)]
    assert shown == [found.text for found in FoundTimeBody.in_text(text)] != []


def test_a_time_without_a_place_is_left_out() -> None:
    found = [{"text": "0:05", "time": 5, "start": None, "stop": None}, {"text": "0:09", "time": 9}]
    assert evaluate("text/places", TIMES, {"text": "0:05 0:09", "found": found, "duration": 60}) == []


def test_only_a_citation_that_is_not_supported_is_doubtful() -> None:
    place = {"text": "0:05", "time": 5, "start": 0, "stop": 4}
    found = [place, place | {"supported": True}, place | {"supported": False}]
    placed = evaluate("text/places", TIMES, {"text": "0:05", "found": found, "duration": 60})
    assert [time["isDoubtful"] for time in placed] == [False, False, True]


def test_a_text_that_runs_on_has_a_line_for_each_time() -> None:
    assert _lines("Scenes: see below.\n0.2 white star. 6.3 red ring.\n[00:20] End.", 60) == [
        {"kind": "paragraph", "seconds": None, "text": "Scenes: see below."},
        {"kind": "timed", "seconds": 0.2, "text": "white star."},
        {"kind": "timed", "seconds": 6.3, "text": "red ring."},
        {"kind": "timed", "seconds": 20, "text": "End."},
    ]


def test_a_line_starts_at_a_sentence_that_starts_with_a_time() -> None:
    assert _lines("🎬 Two scenes. [00:05] – A cat at 0:07.  It sleeps! 0:12: a dog", 60) == [
        {"kind": "paragraph", "seconds": None, "text": "🎬 Two scenes."},
        {"kind": "timed", "seconds": 5, "text": "A cat at 0:07.  It sleeps!"},
        {"kind": "timed", "seconds": 12, "text": "a dog"},
    ]


def test_items_and_headings_lose_their_marks() -> None:
    assert _lines("# Scenes\n\n- a cat at 0:05\n1. 14.0 green\n* 0:20\n  plain ", 60) == [
        {"kind": "paragraph", "seconds": None, "text": "Scenes"},
        {"kind": "item", "seconds": None, "text": "a cat at 0:05"},
        {"kind": "timed", "seconds": 14, "text": "green"},
        {"kind": "timed", "seconds": 20, "text": ""},
        {"kind": "paragraph", "seconds": None, "text": "plain"},
    ]


def test_a_text_without_times_is_plain() -> None:
    assert evaluate("text/lines", "m.linesOf(a, []).map(line => line.kind)", "0.2 white star. 6.3 red ring.") == [
        "paragraph"
    ]


@pytest.mark.parametrize(("seconds", "clock"), [(0, "0:00"), (59.99, "0:59"), (247, "4:07"), (3723.4, "1:02:03")])
def test_the_clock(seconds: float, clock: str) -> None:
    assert evaluate("text/times", "m.clock(a)", seconds) == clock


@pytest.mark.parametrize(("typed", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5)])
def test_a_typed_time(typed: str, seconds: float) -> None:
    assert evaluate("text/times", "m.parseTime(a)", typed) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "1:2:3:4", "-5", "1::2"])
def test_what_is_no_time(typed: str) -> None:
    assert evaluate("text/times", "Number.isNaN(m.parseTime(a))", typed)


@pytest.mark.parametrize(
    ("typed", "fields"),
    [
        ("https://example.org/a%20film.mp4?x=1", {"video_url": "https://example.org/a%20film.mp4?x=1"}),
        (" s3://films/long.mp4 ", {"video_url": "s3://films/long.mp4"}),
        ("file-0a1b", {"file_id": "file-0a1b"}),
        ("/media/film.mp4", {"video_path": "/media/film.mp4"}),
    ],
)
def test_a_typed_address(typed: str, fields: dict[str, str]) -> None:
    assert evaluate("desk/source", "m.sourceOf(a, id => id).fields", typed) == fields


@pytest.mark.parametrize("typed", ["", "film.mp4", "ftp://example.org/film.mp4", "s3://films"])
def test_what_is_no_address_is_refused_in_words(typed: str) -> None:
    code = "(() => { try { m.sourceOf(a, id => id); return null; } catch (error) { return error.message; } })()"
    assert "address" in evaluate("desk/source", code, typed)


def test_events_that_break_anywhere_are_read() -> None:
    plan = 'id: 1\nevent: plan\ndata: {"a": "ü"}\n\n'
    delta = 'event: delta\ndata: {"text":\ndata:  "x\u2028\u2029"}\n\n'
    code = """(async () => {
        const bytes = new TextEncoder().encode(a);
        const body = new ReadableStream({
            start(stream) { bytes.forEach(byte => stream.enqueue(Uint8Array.of(byte))); stream.close(); }
        });
        const events = [];
        for await (const event of m.serverEvents(new Response(body))) events.push(event);
        return events;
    })()"""
    assert evaluate("server/sse", code, f": keep-alive\n\n{plan}{delta}") == [
        {"id": "1", "name": "plan", "data": {"a": "ü"}},
        {"id": None, "name": "delta", "data": {"text": "x\u2028\u2029"}},
    ]


def test_exports_have_an_address_for_each_format() -> None:
    address = evaluate("server/api", "m.exportAddress('analysis-1/2', 'srt')")
    assert address == "v1/analyses/analysis-1%2F2/export?format=srt"
