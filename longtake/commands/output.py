"""Render outcomes in a format, for stdout or files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from longtake.errors import ServerError
from longtake.exports import csv_rows, srt, vtt
from longtake.results import Answer


class Format(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    CSV = "csv"


SUFFIXES = {
    ".txt": Format.TEXT,
    ".md": Format.MARKDOWN,
    ".json": Format.JSON,
    ".srt": Format.SRT,
    ".vtt": Format.VTT,
    ".csv": Format.CSV,
}
OF_ONE_ANSWER = (Format.SRT, Format.VTT)
"""Formats that hold a single answer."""


@dataclass(frozen=True)
class Outcome:
    """A question about a video, and its answer or its failure."""

    video: str
    prompt: str
    answer: Answer | None = None
    error: ServerError | None = None


def format_of(given: Format | None, output: Path | None) -> Format:
    """The format given, else that of the file's suffix, else text."""
    return given or (SUFFIXES.get(output.suffix.lower()) if output else None) or Format.TEXT


def rendered(outcomes: Sequence[Outcome], kind: Format) -> str:
    """All outcomes as one text; SRT and WebVTT hold only the first answer."""
    answered = [(outcome, outcome.answer) for outcome in outcomes if outcome.answer]
    match kind:
        case Format.JSON:
            return (
                json.dumps({"analyses": [_json(outcome) for outcome in outcomes]}, ensure_ascii=False, indent=2) + "\n"
            )
        case Format.MARKDOWN:
            return "\n".join(_markdown(outcome) for outcome in outcomes)
        case Format.CSV:
            return csv_rows(
                ({"video": outcome.video, "prompt": outcome.prompt}, answer.timed_results)
                for outcome, answer in answered
            )
        case Format.SRT:
            return "".join(srt(answer.timed_results) for _, answer in answered[:1])
        case Format.VTT:
            return "".join(vtt(answer.timed_results) for _, answer in answered[:1])
        case Format.TEXT:
            return "".join(f"{answer.text}\n" for _, answer in answered)


def write(outcomes: Sequence[Outcome], kind: Format, output: Path) -> list[Path]:
    """Write `outcomes` to the file `output`, or to one file each in the folder `output`; returns the files."""
    if not output.is_dir():
        output.write_text(rendered(outcomes, kind))
        return [output]
    files: list[Path] = []
    suffix = next(suffix for suffix, other in SUFFIXES.items() if other == kind)
    for outcome in outcomes:
        file = _unused(output, Path(outcome.video).stem, suffix, files)
        file.write_text(rendered([outcome], kind))
        files.append(file)
    return files


def _unused(folder: Path, stem: str, suffix: str, taken: Sequence[Path]) -> Path:
    """`stem`, or `stem-2` and so on for further questions about the same video."""
    number, file = 1, folder / f"{stem}{suffix}"
    while file in taken:
        number += 1
        file = folder / f"{stem}-{number}{suffix}"
    return file


def _json(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error and {"type": outcome.error.type, "message": str(outcome.error), "param": outcome.error.param}
    return {
        "video": outcome.video,
        "prompt": outcome.prompt,
        "answer": outcome.answer and outcome.answer.raw,
        "error": error,
    }


def _markdown(outcome: Outcome) -> str:
    head = f"## {Path(outcome.video).name}\n\n"
    if outcome.answer is None:
        return f"{head}### {outcome.prompt}\n\n**Failed:** {outcome.error}\n"
    return head + outcome.answer.to_markdown(outcome.prompt)
