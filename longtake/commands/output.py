"""Answers in the format that was asked for, on stdout or in files."""

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
"""What can hold one answer alone."""


@dataclass(frozen=True)
class Asked:
    """A question about a video, and what came of it."""

    video: str
    prompt: str
    answer: Answer | None = None
    error: ServerError | None = None


def format_of(given: Format | None, output: Path | None) -> Format:
    """As given, or by the file's name, or text."""
    return given or (SUFFIXES.get(output.suffix.lower()) if output else None) or Format.TEXT


def rendered(results: Sequence[Asked], kind: Format) -> str:
    """All results as one text. SRT and WebVTT hold one answer, the first."""
    answered = [(asked, asked.answer) for asked in results if asked.answer]
    match kind:
        case Format.JSON:
            return json.dumps({"analyses": [_json(asked) for asked in results]}, ensure_ascii=False, indent=2) + "\n"
        case Format.MARKDOWN:
            return "\n".join(_markdown(asked) for asked in results)
        case Format.CSV:
            return csv_rows(
                ({"video": asked.video, "prompt": asked.prompt}, answer.timed_results) for asked, answer in answered
            )
        case Format.SRT:
            return "".join(srt(answer.timed_results) for _, answer in answered[:1])
        case Format.VTT:
            return "".join(vtt(answer.timed_results) for _, answer in answered[:1])
        case Format.TEXT:
            return "".join(f"{answer.text}\n" for _, answer in answered)


def written(results: Sequence[Asked], kind: Format, output: Path) -> list[Path]:
    """Files that `results` were written to: one, or one for each where `output` is a folder."""
    if not output.is_dir():
        output.write_text(rendered(results, kind))
        return [output]
    files: list[Path] = []
    suffix = next(suffix for suffix, other in SUFFIXES.items() if other == kind)
    for asked in results:
        file = _unused(output, Path(asked.video).stem, suffix, files)
        file.write_text(rendered([asked], kind))
        files.append(file)
    return files


def _unused(folder: Path, stem: str, suffix: str, taken: Sequence[Path]) -> Path:
    """`stem`, or `stem-2` and so on for a further question about the same video."""
    number, file = 1, folder / f"{stem}{suffix}"
    while file in taken:
        number += 1
        file = folder / f"{stem}-{number}{suffix}"
    return file


def _json(asked: Asked) -> dict[str, Any]:
    error = asked.error and {"type": asked.error.type, "message": str(asked.error), "param": asked.error.param}
    return {
        "video": asked.video,
        "prompt": asked.prompt,
        "answer": asked.answer and asked.answer.raw,
        "error": error,
    }


def _markdown(asked: Asked) -> str:
    head = f"## {Path(asked.video).name}\n\n"
    if asked.answer is None:
        return f"{head}### {asked.prompt}\n\n**Failed:** {asked.error}\n"
    return head + asked.answer.to_markdown(asked.prompt)
