"""`make truth-mutations`: breaks the system on purpose, in a copy, and sees whether the truth tests notice.

Each break is an edit of the source. The truth tests then run against the broken copy; a break that they pass is a
defect of theirs. First they run against an unbroken copy, which must pass.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from tools.truth.clips import FOLDER

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("pipeline", "deployments", "longtake", "tools", "tests", "models", "serve_config.yaml", "pyproject.toml")
TESTS = "tests/truth/test_truth.py"


@dataclass(frozen=True)
class Break:
    """One line of the source, and what is put in its place."""

    what: str
    path: str
    line: str
    broken: str


BREAKS = (
    Break(
        "red and blue swapped",
        "pipeline/decoding/resizing.py",
        "height_px, width_px, colours = resized.shape",
        "frame, (height_px, width_px, colours) = frame[..., ::-1].copy(), resized.shape",
    ),
    Break(
        "frames of a chunk reversed",
        "pipeline/decoding/chunk_decoder.py",
        "frames=frames if not len(missing) else frames[decoded],",
        "frames=(frames if not len(missing) else frames[decoded])[::-1].copy(),",
    ),
    Break(
        "times one chunk late",
        "pipeline/decoding/chunk_decoder.py",
        "pts_seconds=np.maximum(chunk.pts_seconds[decoded], chunk.start_seconds),",
        "pts_seconds=chunk.pts_seconds[decoded] + chunk.stop_seconds - chunk.start_seconds,",
    ),
    Break(
        "segments of a chunk in the wrong order",
        "pipeline/decoding/patches.py",
        "    return PreparedChunk(tuple(segments), decoded.report)",
        "    return PreparedChunk(tuple(reversed(segments)), decoded.report)",
    ),
    Break(
        "one chunk lost",
        "deployments/orchestrator.py",
        "        answers.sort(key=lambda chunk_answer: chunk_answer.chunk_index)",
        "        answers.sort(key=lambda chunk_answer: chunk_answer.chunk_index)\n        del answers[1:2]",
    ),
    Break(
        "the overlap rule dropped",
        "pipeline/answers/prompting.py",
        'f"{OVERLAP_RULE} Add nothing that no note says."',
        '"Add nothing that no note says."',
    ),
    Break(
        "notes merged in the wrong order",
        "pipeline/answers/prompting.py",
        "for note in notes)",
        "for note in reversed(notes))",
    ),
)


def main() -> None:
    console = Console()
    with console.status("Testing the system as it is"):
        failing = first_failing_test(None)
    if failing:
        sys.exit(f"The truth tests fail before anything is broken: {failing}")
    table = Table("break", "first noticed by", title="What the truth tests make of a broken system")
    unnoticed = []
    for broken in BREAKS:
        started = time.perf_counter()
        with console.status(f"Testing: {broken.what}"):
            failing = first_failing_test(broken)
        seen = "noticed" if failing else "NOT NOTICED"
        console.print(f"{broken.what}: {seen} ({time.perf_counter() - started:.0f} s)")
        table.add_row(broken.what, failing or "none of them")
        if not failing:
            unnoticed.append(broken.what)
    console.print(table)
    if unnoticed:
        sys.exit(f"Defects of the truth tests: they do not notice {', '.join(unnoticed)}.")


def first_failing_test(broken: Break | None) -> str | None:
    """Of the truth tests, the first whose assertions fail in a copy of the project with `broken` in it.

    Raises RuntimeError if it fails for another reason, such as a server that does not start: that is no finding.
    """
    with tempfile.TemporaryDirectory(prefix="longtake-broken-") as scratch:
        copy = Path(scratch)
        _copy_project(copy)
        if broken:
            _edit(copy, broken)
        report = copy / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            TESTS,
            "-m",
            "not slow",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
        ]
        environment = os.environ | {"PYTHONPATH": str(copy)}
        run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"The truth tests did not run:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        for outcome in (*case.findall("failure"), *case.findall("error")):
            if outcome.tag == "error" or not (outcome.get("message") or "").startswith("AssertionError"):
                raise RuntimeError(f"{case.get('name')} failed for no semantic reason: {outcome.get('message')}")
            return str(case.get("name"))
    return None


def _copy_project(to: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    # The films are the same whatever is broken.
    FOLDER.mkdir(parents=True, exist_ok=True)
    films = to / FOLDER.relative_to(ROOT)
    films.parent.mkdir(parents=True)
    films.symlink_to(FOLDER)


def _edit(copy: Path, broken: Break) -> None:
    path = copy / broken.path
    source = path.read_text()
    if source.count(broken.line) != 1:
        raise RuntimeError(
            f"{broken.path} holds the line to break {source.count(broken.line)} times, not once: {broken.line}"
        )
    path.write_text(source.replace(broken.line, broken.broken))


if __name__ == "__main__":
    main()
