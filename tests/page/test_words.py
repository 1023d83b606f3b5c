"""The page's modules by themselves: times in texts, files to take away, events that add up."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.services


def _of(page: Page, module: str, expression: str, argument: Any = None) -> Any:
    """What `expression` is, where `m` is the module and `a` the argument."""
    code = "async ([module, expression, a]) => { const m = await import(module); return (%s)(m, a); }"
    return page.evaluate(code % f"(m, a) => {expression}", [f"/page/{module}.js", "", argument])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[04:07] A cat.", [247]),
        ("At [1:02:03] and [00:05], or 12:30.", [3723, 5, 750]),
        ("0.2 white star. 6.3 magenta circle.", [0.2, 6.3]),
        ("- 12.4 red circle\n- 15.0 blue ring", [12.4, 15.0]),
        ("It starts at 12 s and ends after 14.5 seconds.", [12, 14.5]),
        ("There are 3 cats and 2.5 dogs; 16:9 is a format.", []),
        ("[99:00] is after the end, 10:75 no time.", []),
    ],
)
def test_times_are_found_in_a_text(page: Page, text: str, seconds: list[float]) -> None:
    assert _of(page, "times", "m.mentions(a, 4000).map(found => found.seconds)", text) == seconds


def test_a_text_that_runs_on_has_a_line_for_each_time(page: Page) -> None:
    lines = _of(page, "times", "m.timedLines(a, 60)", "Scenes: see below.\n0.2 white star. 6.3 red ring.\n[00:20] End.")
    assert lines == [
        {"seconds": None, "text": "Scenes: see below."},
        {"seconds": 0.2, "text": "white star."},
        {"seconds": 6.3, "text": "red ring."},
        {"seconds": 20, "text": "End."},
    ]


@pytest.mark.parametrize(("seconds", "clock"), [(0, "0:00"), (59.99, "0:59"), (247, "4:07"), (3723.4, "1:02:03")])
def test_the_clock(page: Page, seconds: float, clock: str) -> None:
    assert _of(page, "times", "m.clock(a)", seconds) == clock


@pytest.mark.parametrize(("typed", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5)])
def test_a_typed_time(page: Page, typed: str, seconds: float) -> None:
    assert _of(page, "times", "m.parseTime(a)", typed) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "1:2:3:4", "-5", "1::2"])
def test_what_is_no_time(page: Page, typed: str) -> None:
    assert _of(page, "times", "Number.isNaN(m.parseTime(a))", typed)


@pytest.mark.parametrize(
    ("typed", "fields"),
    [
        ("https://example.org/a%20film.mp4?x=1", {"video_url": "https://example.org/a%20film.mp4?x=1"}),
        (" s3://films/long.mp4 ", {"video_url": "s3://films/long.mp4"}),
        ("file-0a1b", {"file_id": "file-0a1b"}),
        ("/media/film.mp4", {"video_path": "/media/film.mp4"}),
    ],
)
def test_a_typed_address(page: Page, typed: str, fields: dict[str, str]) -> None:
    assert _of(page, "source", "m.sourceOf(a, id => id).fields", typed) == fields


@pytest.mark.parametrize("typed", ["", "film.mp4", "ftp://example.org/film.mp4", "s3://films"])
def test_what_is_no_address_is_refused_in_words(page: Page, typed: str) -> None:
    code = "{ try { m.sourceOf(a, id => id); return null; } catch (error) { return error.message; } }"
    assert "address" in _of(page, "source", code, typed)


def test_events_that_break_anywhere_are_read(page: Page) -> None:
    wire = ': keep-alive\n\nid: 1\nevent: plan\ndata: {"a": "ü"}\n\nevent: delta\ndata: {"text":\ndata:  "x"}\n\n'
    code = """(async () => {
        const bytes = new TextEncoder().encode(a);
        const body = new ReadableStream({
            start(stream) { bytes.forEach(byte => stream.enqueue(Uint8Array.of(byte))); stream.close(); }
        });
        const events = [];
        for await (const event of m.serverEvents(new Response(body))) events.push(event);
        return events;
    })()"""
    assert _of(page, "sse", code, wire) == [
        {"id": "1", "name": "plan", "data": {"a": "ü"}},
        {"id": None, "name": "delta", "data": {"text": "x"}},
    ]


def test_subtitles_of_an_answer_without_times_are_the_chunks(page: Page) -> None:
    chunks = [
        [0, {"chunk_index": 0, "start_time": 0, "end_time": 60, "success": True, "response": "A cat."}],
        [1, {"chunk_index": 1, "start_time": 58, "end_time": 90.5, "success": False, "response": None}],
    ]
    code = "m.subRip({ answer: 'A cat sits.', result: { video_info: { duration: 90.5 } }, chunks: new Map(a) })"
    assert _of(page, "downloads", code, chunks) == "1\n00:00:00,000 --> 00:01:00,000\nA cat.\n"


def test_a_time_that_no_chunk_bears_out_is_marked(page: Page) -> None:
    code = "m.prose('[00:05] A. [00:09] B.', 60, () => {}, [{ time: 9 }]).map(block => block.innerHTML).join('')"
    html = _of(page, "prose", code)
    marked = html.split("is-doubtful")
    assert len(marked) == 2
    assert "00:09" in marked[1] and "not borne out" in marked[1]
