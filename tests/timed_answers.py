"""Answers, and the pieces that the server cuts them into and the client shows."""

from __future__ import annotations

TIMED_ANSWERS: list[tuple[str, list[tuple[float, float, str]]]] = [
    (
        "0.2 white star. 6.3 magenta circle. 12.4 red star.",
        [(0.2, 6.3, "white star."), (6.3, 12.4, "magenta circle."), (12.4, 118.0, "red star.")],
    ),
    (
        "Here is what happens: [00:05] A cat sits. It sleeps. [01:00] It leaves.",
        [(5, 60, "Here is what happens: A cat sits. It sleeps."), (60, 118, "It leaves.")],
    ),
    (
        "A cat sits [00:05]. It leaves [01:00].",
        [(5, 60, "A cat sits."), (60, 118, "It leaves.")],
    ),
    (
        "- [00:05 - 00:10] A cat sits.\n- [01:00]: It leaves.",
        [(5, 10, "A cat sits."), (60, 118, "It leaves.")],
    ),
    ("**[00:05]** A cat.\n**[00:05]** A dog.", [(5, 118, "A cat."), (5, 118, "A dog.")]),
    (
        "At [00:05] a cat sits, and at [00:09] it leaves.",
        [(5, 118, "At [00:05] a cat sits, and at [00:09] it leaves.")],
    ),
    ("[00:05] A cat sits, [00:09] it leaves.", [(5, 9, "A cat sits,"), (9, 118, "it leaves.")]),
    ("A cat [00:05 - 00:10] sits.", [(5, 10, "A cat sits.")]),
    ("From [00:05] to [00:10] a cat sits.", [(5, 10, "From [00:05] to [00:10] a cat sits.")]),
    ("[00:09] Later. [00:05] Before.", [(5, 9, "Before."), (9, 118, "Later.")]),
    ("<3.0 seconds> A cat. At 7.5 s, a dog.", [(3.0, 7.5, "A cat."), (7.5, 118.0, "At 7.5 s, a dog.")]),
]
"""Texts of answers about 118 s of video, each with (start, stop, text) of its pieces."""
